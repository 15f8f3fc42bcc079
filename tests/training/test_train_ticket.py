"""Single tickets: trained from every start, with their controls, and measured against NumPy."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.data.dataset import Data, Task
from kerastickets.data.metrics import LogitAccuracy
from kerastickets.errors import DataError, RecipeError, TicketError
from kerastickets.foundations.tree import masked
from kerastickets.models.initial_weights import draw_weights, fresh
from kerastickets.models.variables import snapshot
from kerastickets.pruning.prune_model import prune
from kerastickets.training.evaluate_ticket import calibration, evaluate
from kerastickets.training.train_ticket import train
from tests.helpers.training import data, find, noisy, plain, same

QUICK = {"train": "2ep"}


@pytest.fixture(scope="module")
def ticket():
    """A quarter of a net, with a rewind point at step 3 that it starts from."""
    return find(plain, levels=2, rate=0.5, rewind_to="3it", lr_schedule="cosine").tickets[2]


@pytest.fixture(scope="module")
def early():
    """Half of a net, starting from its initial weights."""
    return find(plain, levels=1, rate=0.5).tickets[1]


def test_training_a_ticket_again_gives_what_the_loop_gave(ticket):
    """Its own start, seed, recipe and data order: the very same weights, from the file too."""
    again = train(ticket, data())
    assert same(again.ticket.weights("final"), ticket.weights("final"))
    assert again.metrics == ticket.provenance["metrics"]
    assert [row["iteration"] for row in again.rows] == [3, 5, 10]
    assert {row["level"] for row in again.rows} == {2}


def test_a_trained_ticket_says_how_it_was_made(ticket, tmp_path):
    made = train(
        ticket.save(tmp_path / "t.safetensors"), data(), lr=0.5, seed=4, freeze=["dense/bias"]
    ).ticket
    provenance = made.provenance
    assert provenance["operation"] == "train"
    assert provenance["options"] == {"start": "rewind@3", "freeze": ["dense/bias"]}
    assert provenance["parents"] == [ticket.digest]
    assert provenance["recipe"] == ticket.provenance["recipe"] | {"lr": 0.5}
    assert provenance["seeds"] == {"init": 0, "data": 4, "scoring": 0}
    assert provenance["criterion"] == "magnitude"
    assert provenance["dataset"] == "toy"
    assert provenance["environment"]["xla"] is False
    assert made.start == "rewind@3"
    assert list(made.snapshots) == ["init", "rewind@3", "final"]
    assert same(made.masks, ticket.masks)
    assert same({"b": made.weights("final")["dense/bias"]}, {"b": ticket.weights("rewind@3")["dense/bias"]})


@pytest.mark.parametrize(
    ("start", "begins", "snapshots", "named"),
    [
        ("init", 0, ["init", "rewind@3", "final"], "init"),
        ("rewind", 3, ["init", "rewind@3", "final"], "rewind@3"),
        ("rewind@3", 3, ["init", "rewind@3", "final"], "rewind@3"),
        ("rewind@0", 0, ["init", "rewind@3", "final"], "init"),
        ("final", 0, ["init", "rewind@3", "final"], "final"),
        ("random-reinit", 0, ["init", "final"], "init"),
        ("dense", 0, ["init", "rewind@3", "final"], "init"),
        ("small-dense", 0, ["init", "final"], "init"),
    ],
)
def test_training_starts_where_it_is_told(ticket, start, begins, snapshots, named):
    done = train(ticket, data(), start=start)
    assert done.rows[0]["iteration"] == begins
    assert list(done.ticket.snapshots) == snapshots
    assert done.ticket.start == named
    assert done.ticket.provenance["options"]["start"] == start
    if start not in ("random-reinit", "small-dense"):
        begin = {"rewind": "rewind@3", "dense": "init"}.get(start, start)
        bare = ticket.replace(
            masks=done.ticket.masks, snapshots={"init": ticket.weights(begin)}, provenance={}
        )
        expected = evaluate(bare, data(), split="validation")["loss"]
        assert done.rows[0]["val_loss"] == pytest.approx(expected, abs=1e-6)


def test_random_reinit_keeps_the_mask_and_draws_other_weights(early):
    made = train(early, data(), start="random-reinit", **QUICK).ticket
    assert same(made.masks, early.masks)
    drawn = draw_weights(fresh(plain, 0), 0, "reinit")
    for key, value in made.weights("init").items():
        expected = drawn[key] if key.endswith("kernel") else early.weights("init")[key]
        assert np.array_equal(value, expected), key
        assert key.endswith("bias") or not np.array_equal(value, early.weights("init")[key])
    assert made == train(early, data(), start="random-reinit", **QUICK).ticket
    assert made != train(early, data(), start="random-reinit", seed=1, **QUICK).ticket


def test_dense_keeps_the_weights_and_drops_the_mask(early):
    made = train(early, data(), start="dense", **QUICK).ticket
    assert made.density == 1
    assert same(made.weights("init"), early.weights("init"))
    assert same(
        made.weights("final"), find(plain, levels=1, rate=0.5, no_train=True).tickets[0].weights("final")
    )


def test_small_dense_has_about_as_many_weights_as_the_ticket_keeps(ticket):
    made = train(ticket, data(), start="small-dense").ticket
    assert ticket.kept == 14
    assert (made.kept, made.density) == (14, 1.0)  # two hidden units: 4 * 2 + 2 * 3
    assert made.masks["dense/kernel"].shape == (4, 2)
    assert made.build().count_params() == 14 + 2 + 3
    again = train(made, data())  # it is a ticket like any other
    assert same(again.ticket.weights("final"), made.weights("final"))


def test_a_ticket_from_rewound_statistics_starts_with_them():
    late = find(noisy, levels=1, rate=0.5, rewind_to="3it").tickets[1]
    again = train(late, data())
    assert same(again.ticket.weights("final"), late.weights("final"))
    assert late.weights("rewind@3")["batch_normalization/moving_mean"].any()


def test_a_control_that_is_none_and_a_snapshot_that_is_not_there(early):
    with pytest.raises(TicketError, match=r"has the snapshots init, final. Received: 'rewind@7'"):
        train(early, data(), start="rewind@7")
    with pytest.raises(TicketError, match="Received: 'dens'"):
        train(early, data(), start="dens")
    assert (
        train(early, data(), start="rewind", **QUICK).ticket.start == "init"
    )  # no later step: the initial one


def test_a_rewind_point_past_the_training_is_refused(ticket):
    with pytest.raises(RecipeError, match=r"longer than its start. Received: train=2it .* from iteration 3"):
        train(ticket, data(), train="2it")


def test_data_comes_from_the_ticket_where_none_is_given(working_folder):
    x, y = data().train
    np.savez("points.npz", x=np.repeat(x, 3, 0), y=np.tile(y, 3))
    spec = f"npz:{working_folder / 'points.npz'},seed=5"  # another seed is another split
    found = prune(plain, spec, levels=1, rate=0.5, train="1ep", batch_size=8, jit="off").tickets[1]
    again = train(found)
    assert again.ticket.provenance["dataset"] == "npz:points.npz,seed=5"
    assert again.ticket.provenance["files"] == found.provenance["files"]
    assert list(found.provenance["files"]) == ["points.npz"]
    assert same(again.ticket.weights("final"), found.weights("final"))
    assert evaluate(found)["dataset"] == "npz:points.npz,seed=5"
    with pytest.raises(DataError, match="does not say which data"):
        train(found.replace(provenance={}))


def test_another_optimizer_and_callbacks(early):
    levels = []
    done = train(early, data(), optimizer="sgd", callbacks=lambda level: levels.append(level) or [], **QUICK)
    assert done.ticket.provenance["recipe"]["optimizer"] == "sgd"
    assert done.ticket.provenance["recipe"]["lr"] is None
    assert levels == [1]


def opaque():
    class Opaque(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.dense_1 = layers.Dense(8, activation="tanh"), layers.Dense(3)
            self.make = lambda: None

        def call(self, x):
            return self.dense_1(self.dense(x))

        def get_config(self):
            raise NotImplementedError

    model = Opaque()
    model(np.zeros((1, 4), "float32"))
    return model


def test_a_model_without_an_architecture_needs_the_model():
    found = find(opaque, levels=1, rate=0.5).tickets[1]
    assert found.architecture == {}
    with pytest.raises(TicketError, match="no architecture that could be rebuilt"):
        train(found, data())
    for build in (opaque, plain):  # the same one, or any whose weights have the same keys and shapes
        done = train(found, data(), model=build)
        for key, value in done.ticket.weights("final").items():
            np.testing.assert_allclose(value, found.weights("final")[key], atol=1e-6)
    assert evaluate(found, data(), model=opaque)["examples"] == 23


# Measuring


def by_hand(ticket, split, name="final"):
    """Loss, accuracy and probabilities, in float64."""
    x, y = getattr(data(), split)
    w = {key: value.astype("float64") for key, value in masked(ticket.weights(name), ticket.masks).items()}
    logits = np.tanh(x @ w["dense/kernel"] + w["dense/bias"]) @ w["dense_1/kernel"] + w["dense_1/bias"]
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return -np.log(share[np.arange(len(y)), y]).mean(), (logits.argmax(1) == y).mean(), share, y


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_measurements_equal_numpys(early, split):
    facts = evaluate(early, data(), split=split)
    loss, accuracy, share, y = by_hand(early, split)
    assert facts["loss"] == pytest.approx(loss, abs=1e-6)
    assert facts["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert (facts["split"], facts["dataset"], facts["weights"], facts["examples"]) == (
        split,
        "toy",
        "final",
        len(y),
    )
    for n, row in enumerate(facts["classes"]):
        mine = y == n
        assert row == {
            "class": n,
            "count": mine.sum(),
            "accuracy": pytest.approx((share[mine].argmax(1) == n).mean()),
        }
    assert facts["calibration"] == calibration(share.max(1), share.argmax(1) == y) | {
        "ece": pytest.approx(facts["calibration"]["ece"], abs=1e-6),
        "bins": facts["calibration"]["bins"],
    }
    assert json.loads(json.dumps(facts)) == facts


def test_test_measurements_are_those_of_the_run(early):
    facts, metrics = evaluate(early, data()), early.provenance["metrics"]
    assert facts["accuracy"] == pytest.approx(metrics["test_accuracy"], abs=1e-6)
    assert facts["loss"] == pytest.approx(metrics["test_loss"], abs=1e-6)


def test_an_untrained_ticket_is_measured_at_its_start_with_its_mask():
    bare = find(plain, criterion="snip", sparsity=0.5, no_train=True).tickets[1]
    facts = evaluate(bare, data())
    assert facts["weights"] == "init"
    assert facts["loss"] == pytest.approx(by_hand(bare, "test", "init")[0], abs=1e-6)


def test_a_model_that_ends_in_softmax_is_measured_alike(early):
    def soft():
        net = [layers.Dense(8, activation="tanh"), layers.Dense(3, activation="softmax")]
        return keras.Sequential([keras.Input((4,)), *net])

    facts, other = evaluate(early, data()), evaluate(early, data(), model=soft)
    assert other["loss"] == pytest.approx(facts["loss"], abs=1e-5)
    assert other["calibration"]["ece"] == pytest.approx(facts["calibration"]["ece"], abs=1e-5)


def test_a_convolution_is_measured_without_xla(monkeypatch):
    def conv():
        net = [layers.Reshape((4, 1)), layers.Conv1D(2, 2), layers.Flatten(), layers.Dense(3)]
        return keras.Sequential([keras.Input((4,)), *net])

    asked = []
    real = keras.Model.compile
    monkeypatch.setattr(keras.Model, "compile", lambda self, *a, **k: asked.append(k) or real(self, *a, **k))
    evaluate(find(conv, levels=1, rate=0.5, no_train=True, train="1ep").tickets[1], data())
    assert [options["jit_compile"] for options in asked] == [False, False]


def test_tasks_are_measured_by_name():
    x = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
    y = (x[:, :2] > 0).astype("float32")
    loss = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}
    tasks = {"left": Task((0, 1), (0,), loss), "right": Task((2, 3), (1,), loss)}
    metrics = (
        lambda: LogitAccuracy(0, name="left_accuracy"),
        lambda: LogitAccuracy(1, name="right_accuracy"),
    )
    two = Data("two", (x, y), (x, y), (x, y), loss, metrics, None, tasks)

    def net():
        return keras.Sequential([keras.Input((4,)), layers.Dense(2)])

    found = prune(
        net, two, levels=1, rate=0.5, train="2ep", batch_size=8, monitor="val_loss", jit="off"
    ).tickets[1]
    facts = evaluate(found, two)
    w = found.weights("final")
    right = ((x @ w["dense/kernel"] + w["dense/bias"]) > 0) == (y > 0.5)
    assert facts["tasks"]["left"]["accuracy"] == pytest.approx(right[:, 0].mean(), abs=1e-6)
    assert facts["tasks"]["right"]["accuracy"] == pytest.approx(right[:, 1].mean(), abs=1e-6)
    assert "classes" not in facts


def test_metrics_that_are_no_single_number_are_left_out(early):
    toy = data()
    score = {"class_name": "F1Score", "config": {"name": "f1"}}
    hot = [(x, np.eye(3, dtype="float32")[y]) for x, y in (toy.train, toy.validation, toy.test)]
    each = Data("hot", *hot, "categorical_crossentropy", (score, "accuracy"), None)
    facts = evaluate(early, each)
    assert "f1" not in facts
    assert 0 <= facts["accuracy"] <= 1


def test_a_split_that_is_none_is_refused(early):
    with pytest.raises(
        RecipeError, match=r"`split` must be train, validation or test. Received: split='dev'"
    ):
        evaluate(early, data(), split="dev")


def test_calibration_by_hand():
    confidence = np.array([0.1, 0.19, 0.5, 0.55, 0.95, 1.0])
    right = np.array([False, True, True, True, False, True])
    found = calibration(confidence, right, bins=5)
    assert [row["count"] for row in found["bins"]] == [2, 0, 2, 0, 2]
    assert [(row["low"], row["high"]) for row in found["bins"]] == [(n / 5, (n + 1) / 5) for n in range(5)]
    assert [row["accuracy"] for row in found["bins"]] == [0.5, None, 1.0, None, 0.5]
    assert [row["confidence"] for row in found["bins"]] == [
        pytest.approx(0.145),
        None,
        pytest.approx(0.525),
        None,
        pytest.approx(0.975),
    ]
    # (2 * |.5 - .145| + 2 * |1 - .525| + 2 * |.5 - .975|) / 6
    assert found["ece"] == pytest.approx((0.71 + 0.95 + 0.95) / 6)


def test_perfect_calibration_has_no_error():
    assert calibration(np.full(4, 0.75), np.array([True, True, True, False]))["ece"] == 0
    assert calibration(np.ones(3), np.ones(3, bool))["ece"] == 0
    assert calibration(np.array([]), np.array([], bool))["ece"] == 0


def test_snapshots_of_a_ticket_are_not_changed_by_training_it(early):
    before = {name: {k: v.copy() for k, v in tree.items()} for name, tree in early.snapshots.items()}
    train(early, data(), **QUICK)
    assert all(same(before[name], early.weights(name)) for name in before)
    assert snapshot(early.build()).keys() == before["init"].keys()
