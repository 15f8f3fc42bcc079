"""`--custom`: own classes, losses and metrics named on the command line, in every command that builds a net."""

import json
import sys

import keras
import numpy as np
import pytest

from kerastickets import Ticket

PARTS = """
import keras

@keras.saving.register_keras_serializable("owncustom")
class Registered(keras.layers.Dense):
    pass

class Plain(keras.layers.Dense):
    pass

class _Hidden(keras.layers.Dense):
    pass

class Sum:
    pass

def own_loss(y, p):
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, p, from_logits=True))

def net():
    model = keras.Sequential([keras.Input((4,)), Plain(6, activation="relu"), Registered(2)])
    model.compile("sgd", own_loss, metrics=["accuracy"])
    return model
"""
CHOSEN = (
    "--custom",
    "owncustomparts:Plain",
    "--custom",
    "owncustomparts:Registered",
    "--custom",
    "owncustomparts:own_loss",
)
SMALL = ("--levels", 1, "--rate", 0.5, "--train", "1ep", "--batch-size", 20, "--jit", "off", "-q")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A folder with a module of own classes, data, and a model saved as a file. It is the current folder."""
    folder = tmp_path_factory.mktemp("custom")
    (folder / "owncustomparts.py").write_text(PARTS)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    np.savez(folder / "points.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        patch.syspath_prepend(str(folder))
        import owncustomparts

        owncustomparts.net().save(folder / "net.keras")
        yield folder
    for name in ("owncustomparts", "emptyparts"):
        sys.modules.pop(name, None)
    for name in [*keras.saving.get_custom_objects()]:
        if name.startswith("owncustom>"):
            del keras.saving.get_custom_objects()[name]


@pytest.fixture(scope="module")
def ticket(kt, parts):
    """A trained ticket of a model that is made of own classes."""
    data = ("--dataset", f"npz:{parts / 'points.npz'}")
    kt("prune", "--model", "net.keras", *data, *CHOSEN, *SMALL, "--out", parts / "run")
    return parts / "run" / "level-01.safetensors"


def test_a_file_of_own_classes_is_pruned(ticket):
    loaded = Ticket.load(ticket)
    assert (loaded.kept, loaded.total) == (18, 36)
    assert "final" in loaded.snapshots


def test_without_custom_the_ticket_is_refused_in_one_sentence(kt, ticket):
    said = kt("eval", ticket, code=1).stderr
    assert "own_loss. Give it in custom_objects (--custom MODULE:NAME)" in said
    said = kt("eval", ticket, "--custom", "owncustomparts:own_loss", code=1).stderr
    assert "A ticket may not hold owncustomparts.Plain" in said
    assert "--custom" in said


@pytest.mark.parametrize("custom", [CHOSEN, ("--custom", "owncustomparts", *CHOSEN[-2:])])
def test_names_and_a_whole_module_do_the_same(kt, ticket, custom):
    facts = json.loads(kt("eval", ticket, *custom, "--json").stdout)
    assert facts["examples"] == 20


def test_apply_builds_it(kt, ticket, parts):
    drawn = parts / "drawn.safetensors"
    kt("apply", "reinit", ticket, *CHOSEN[:4], "--out", drawn)
    old, new = (Ticket.load(file).weights()["plain/kernel"] for file in (ticket, drawn))
    assert np.all(old != new)


@pytest.mark.slow
def test_train_builds_it(kt, ticket, parts):
    out = parts / "again.safetensors"
    kt("train", ticket, *CHOSEN, "--train", "2it", "--jit", "off", "--out", out, "-q")
    assert Ticket.load(out).kept == 18


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["new-head", "random-reinit"])
def test_protocols_that_rebuild_the_model_build_it(kt, ticket, parts, protocol):
    moved = parts / f"moved-{protocol}"
    target = ("--dataset", f"npz:{parts / 'points.npz'}", "--train", "2it", "--jit", "off")
    kt("transfer", protocol, ticket, *target, *CHOSEN, "--out", moved, "-q")
    assert (
        Ticket.load(moved / "ticket.safetensors").layers[0]["kept"] == Ticket.load(ticket).layers[0]["kept"]
    )


@pytest.mark.slow
def test_export_builds_it(kt, ticket, parts):
    where = parts / "exported"
    kt("export", ticket, *CHOSEN, "--no-latency", "--out", where, "-q")
    assert (where / "saved_model.pb").exists()


@pytest.mark.parametrize(
    ("custom", "said"),
    [
        ("owncustomparts:Plan", "a class or function 'Plan'. Received: 'owncustomparts:Plan'. Did you mean 'Plain'?"),
        ("nowhere.parts:Plain", "Received: 'nowhere.parts:Plain', and there is no module 'nowhere'."),
        ("brokenparts:Plain", "The module 'brokenparts' must import. Received: 'brokenparts:Plain', ValueError: no"),
        ("emptyparts", "must register classes or have public classes of Keras's kinds."),
        ("a b:c", "must be given as package.module:Name or package.module. Received: 'a b:c'"),
        ("owncustomparts:", "must be given as package.module:Name or package.module."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["prune", "eval"])
def test_what_is_refused(kt, ticket, parts, command, custom, said):
    (parts / "brokenparts.py").write_text("raise ValueError('no')\n")
    (parts / "emptyparts.py").write_text("from keras.layers import Dense\n")
    first = (
        ["--model", "net.keras", "--dataset", "npz:points.npz", "--out", parts / "no"]
        if command == "prune"
        else [ticket]
    )
    result = kt(command, *first, "--custom", custom, code=1)
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not (parts / "no").exists()
