import copy
import pickle
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from kerastickets.errors import AlignError, KerasTicketsError, TicketError
from kerastickets.tickets.ticket import Ticket

KERNEL = np.array([[1, -2, 3], [-4, 5, -6]], "float32")
BIAS = np.array([0.5, 0.25, 0.125], "float32")
MASK = np.array([[True, False, True], [False, False, True]])


def make(**changes):
    parts = {
        "architecture": {},
        "masks": {"dense/kernel": MASK},
        "snapshots": {"init": {"dense/kernel": KERNEL, "dense/bias": BIAS}},
        "provenance": {},
    }
    return Ticket(**{**parts, **changes})


def snapshots(**trees):
    return {"init": {"dense/kernel": KERNEL, "dense/bias": BIAS}, **trees}


def test_counts():
    ticket = make()
    assert (ticket.kept, ticket.total, ticket.density) == (3, 6, 0.5)
    assert [(row["key"], row["kept"], row["total"]) for row in ticket.layers] == [("dense/kernel", 3, 6)]
    assert repr(ticket) == "<Ticket: 3 of 6 weights kept (50.00%), init>"


def test_a_ticket_without_masks_is_dense():
    assert (make(masks={}).kept, make(masks={}).density) == (0, 1.0)


# A frozen value


def test_arrays_are_copies_and_read_only():
    kernel, mask = KERNEL.copy(), MASK.copy()
    ticket = make(masks={"dense/kernel": mask}, snapshots={"init": {"dense/kernel": kernel}})
    kernel[:] = mask[:] = 0
    assert ticket.kept == 3
    assert ticket.weights()["dense/kernel"].tolist() == KERNEL.tolist()
    with pytest.raises(ValueError, match="read-only"):
        ticket.masks["dense/kernel"][0, 0] = False
    with pytest.raises(ValueError, match="read-only"):
        ticket.weights()["dense/kernel"][0, 0] = 7
    for mapping in (ticket.masks, ticket.snapshots, ticket.weights(), ticket.provenance, ticket.architecture):
        with pytest.raises(TypeError):
            mapping["x"] = 1
    with pytest.raises(AttributeError):
        ticket.masks = {}


def test_json_is_copied_as_a_file_would_give_it_back():
    given = {"options": {"widths": (300, 100)}, "level": 1}
    ticket = make(provenance=given)
    given["options"]["widths"] = ()
    assert ticket.provenance == {"level": 1, "options": {"widths": [300, 100]}}


def test_keys_and_snapshots_are_in_order():
    tree = {"b": np.zeros(1), "a": np.zeros(1)}
    ticket = make(
        masks={"b": np.ones(1, bool), "a": np.ones(1, bool)},
        snapshots={"final": tree, "rewind@1000": tree, "init": tree, "rewind@20": tree},
    )
    assert [*ticket.masks] == [*ticket.weights("final")] == ["a", "b"]
    assert [*ticket.snapshots] == ["init", "rewind@20", "rewind@1000", "final"]
    assert ticket.rewinds == (20, 1000)


def test_equality_is_of_content():
    assert make() == make()
    assert hash(make()) == hash(make())
    assert len({make(), make(), make(provenance={"level": 1})}) == 2
    assert make() != make(provenance={"level": 1})
    assert make() != make(masks={"dense/kernel": ~MASK})
    assert make() != make(architecture={"name": "x"})
    assert make() != "a ticket"
    # The same bytes as another type or shape are another weight.
    assert make() != make(snapshots={"init": {"dense/kernel": KERNEL, "dense/bias": BIAS.view("int32")}})
    assert make() != make(snapshots={"init": {"dense/kernel": KERNEL, "dense/bias": BIAS.reshape(3, 1)}})


def test_digest_is_that_of_the_file(tmp_path):
    ticket = make(provenance={"level": 3})
    loaded = Ticket.load(ticket.save(tmp_path / "t"))
    assert ticket.digest == loaded.digest == loaded.replace().digest
    assert len(ticket.digest) == 64
    assert ticket.digest.encode() in (tmp_path / "t").read_bytes()


def test_pickled_and_deep_copied_tickets_are_equal():
    ticket = make(snapshots=snapshots(final={"dense/kernel": KERNEL * MASK, "dense/bias": BIAS}))
    for twin in (pickle.loads(pickle.dumps(ticket)), copy.deepcopy(ticket)):
        assert twin == ticket
        assert not twin.masks["dense/kernel"].flags.writeable


def test_replace():
    ticket = make().replace(provenance={"level": 4}, masks={"dense/kernel": ~MASK})
    assert ticket.provenance == {"level": 4}
    assert ticket.masks["dense/kernel"].tolist() == (~MASK).tolist()
    assert ticket.weights()["dense/bias"] is not None


def test_bfloat16_becomes_float32_and_big_endian_native():
    tree = {"dense/kernel": KERNEL.astype(ml_dtypes.bfloat16), "dense/bias": BIAS.astype(">f4")}
    ticket = make(snapshots={"init": tree})
    assert [value.dtype for value in ticket.weights().values()] == [np.dtype("float32")] * 2
    assert ticket == make()


def test_strided_arrays_are_stored_in_c_order(tmp_path):
    ticket = make(masks={"k": np.asfortranarray(MASK)}, snapshots={"init": {"k": KERNEL.T.copy().T}})
    loaded = Ticket.load(ticket.save(tmp_path / "t"))
    assert loaded.masks["k"].tolist() == MASK.tolist()
    assert loaded.weights()["k"].tolist() == KERNEL.tolist()


# Snapshots


def test_weights_by_name():
    ticket = make(snapshots=snapshots(**{"rewind@5": {"dense/kernel": KERNEL + 1, "dense/bias": BIAS}}))
    assert ticket.weights("rewind@5")["dense/kernel"][0, 0] == 2
    assert ticket.weights("rewind@0") is ticket.weights("init")
    with pytest.raises(TicketError, match=r"has the snapshots init, rewind@5\. Received: 'final'"):
        ticket.weights("final")


def test_start_names_a_snapshot():
    tree = {"dense/kernel": KERNEL, "dense/bias": BIAS}
    assert make().start == "init"
    assert (
        make(snapshots=snapshots(**{"rewind@5": tree}), provenance={"start": "rewind@5"}).start == "rewind@5"
    )
    with pytest.raises(TicketError, match="Received: 'rewind@6'"):
        make(snapshots=snapshots(**{"rewind@5": tree}), provenance={"start": "rewind@6"})


def test_facts_are_what_the_arrays_say():
    facts = make(provenance={"criterion": "snip", "level": 1, "seeds": {"init": 0}}).facts()
    assert facts["criterion"] == "snip"
    assert (facts["format"], facts["version"], facts["level"]) == ("kerastickets.ticket", 1, 1)
    assert (facts["kept"], facts["total"], facts["density"]) == (3, 6, 0.5)
    assert facts["snapshots"] == ["init"]
    assert facts["provenance"] == {"criterion": "snip", "level": 1, "seeds": {"init": 0}}
    assert facts["digest"] == make(provenance=facts["provenance"]).digest


# Parts that do not fit


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"snapshots": {}}, "must have weights named `init`"),
        ({"snapshots": {"init": {}}}, "must have weights named `init`"),
        ({"snapshots": {"final": {"dense/kernel": KERNEL * MASK}}}, "must have weights named `init`"),
        ({"snapshots": snapshots(middle={})}, "Received: 'middle'"),
        ({"snapshots": snapshots(**{"rewind@0": {}})}, "Received: 'rewind@0'"),
        ({"snapshots": snapshots(**{"rewind@05": {}})}, "Received: 'rewind@05'"),
        (
            {"snapshots": snapshots(final={"dense/kernel": KERNEL * MASK})},
            "'dense/bias' of shape \\(3,\\) in init and None",
        ),
        (
            {"snapshots": snapshots(final={"dense/kernel": KERNEL.T, "dense/bias": BIAS})},
            "'dense/kernel' of shape",
        ),
        ({"snapshots": snapshots(final={"dense/kernel": KERNEL, "dense/bias": BIAS})}, "zero where pruned"),
        ({"masks": {"dense/kernel": MASK.astype("float32")}}, "Masks must be boolean"),
        ({"masks": {"dense/kernel": MASK.T}}, "mask of shape \\(3, 2\\) and a weight of shape \\(2, 3\\)"),
        ({"masks": {"other/kernel": MASK}}, "weight of shape None"),
        ({"masks": {"/kernel": MASK}}, "Received: '/kernel' in mask"),
        ({"snapshots": {"init": {3: KERNEL}}}, "Received: 3 in init"),
        ({"snapshots": {"init": {"k": KERNEL.astype("complex64")}}, "masks": {}}, "init/k of complex64"),
        ({"snapshots": {"init": {"k": np.array(["x"])}}, "masks": {}}, "init/k of <U1"),
        ({"snapshots": {"init": {"k": np.array([None])}}, "masks": {}}, "init/k of object"),
        ({"provenance": {"loss": float("nan")}}, "finite numbers"),
        ({"provenance": {"loss": np.float32(1)}}, "plain JSON"),
        ({"provenance": [1]}, "`provenance` must be a mapping. Received: list"),
        ({"architecture": None}, "`architecture` must be a mapping"),
    ],
)
def test_parts_that_do_not_fit(changes, words):
    with pytest.raises(TicketError, match=words):
        make(**changes)


def test_json_that_is_nested_too_deep():
    deep: dict = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(TicketError, match="plain JSON"):
        make(provenance=deep)


def test_a_final_nan_where_pruned_is_not_zero():
    final = {"dense/kernel": np.where(MASK, KERNEL, np.float32("nan")), "dense/bias": BIAS}
    with pytest.raises(TicketError, match="zero where pruned"):
        make(snapshots=snapshots(final=final))


# Without and with Keras


def test_everything_but_build_needs_no_keras(tmp_path):
    make().save(tmp_path / "t")
    code = (
        "import sys; from kerastickets.tickets.ticket import Ticket; t = Ticket.load(sys.argv[1]); "
        "t.facts(); t.save(sys.argv[1]); print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "t"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()"


def dense_ticket(**changes):
    from kerastickets.models.architecture import architecture
    from kerastickets.models.variables import snapshot

    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    tree = {key: np.full_like(value, 2) for key, value in snapshot(model).items()}
    parts = {
        "architecture": architecture(model),
        "masks": {"dense/kernel": MASK},
        "snapshots": {"init": tree},
    }
    return Ticket(**{**parts, **changes})


def test_build_gives_the_start_weights_with_zeros_where_pruned(tmp_path):
    model = Ticket.load(dense_ticket().save(tmp_path / "t")).build()
    kernel, bias = model.get_weights()
    assert kernel.tolist() == [[2, 0, 2], [0, 0, 2]]
    assert bias.tolist() == [2, 2, 2]
    assert model.predict(np.array([[1.0, 10.0]]), verbose=0).tolist() == [[4, 2, 24]]


def test_build_starts_where_provenance_says():
    ticket = dense_ticket()
    rewound = {key: value + 1 for key, value in ticket.weights().items()}
    ticket = ticket.replace(
        snapshots={**ticket.snapshots, "rewind@3": rewound}, provenance={"start": "rewind@3"}
    )
    assert ticket.build().get_weights()[0].tolist() == [[3, 0, 3], [0, 0, 3]]


def test_build_needs_an_architecture():
    with pytest.raises(TicketError, match="--model"):
        make().build()


def test_build_of_another_model_is_an_error_of_alignment():
    ticket = dense_ticket()
    with pytest.raises(AlignError, match="dense/bias"):
        ticket.replace(snapshots={"init": {**ticket.weights(), "dense/bias": np.zeros(9, "float32")}}).build()


def test_loading_a_lambda_is_harmless_and_building_it_refused(tmp_path):
    evil = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "..."}}
    loaded = Ticket.load(dense_ticket(architecture=evil).save(tmp_path / "t"))
    with pytest.raises(KerasTicketsError, match=r"may not hold keras\.layers\.Lambda"):
        loaded.build()
