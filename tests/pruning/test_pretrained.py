"""A model that was trained elsewhere: level 0 measures it, and later levels are fine-tuned from its weights."""

import keras
import numpy as np
import pytest

import kerastickets as kt
from kerastickets.errors import RecipeError
from kerastickets.models.variables import snapshot

SETTINGS = {"pretrained": True, "train": "1ep", "monitor": "val_loss", "jit": "off", "batch_size": 20}


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)).astype("float32")
    return x, (x[:, 0] > 0).astype("int64")


@pytest.fixture(scope="module")
def model(arrays):
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2)], name="net"
    )
    net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    net.fit(*arrays, epochs=2, verbose=0)
    return net


@pytest.fixture(scope="module")
def run(model, arrays):
    split = {"train": arrays, "validation": arrays, "test": arrays}
    return kt.prune(model, split, levels=2, rate=0.5, **SETTINGS)


def test_level_0_is_the_given_model_and_its_metrics_are_those_of_evaluate(model, arrays, run):
    level = run.tickets[0]
    for key, value in snapshot(model).items():
        np.testing.assert_array_equal(level.weights("final")[key], value)
    loss, accuracy = model.evaluate(*arrays, verbose=0)
    metrics = level.provenance["metrics"]
    assert metrics["val_loss"] == pytest.approx(loss, rel=1e-6)
    assert metrics["val_accuracy"] == pytest.approx(accuracy, rel=1e-6)
    assert metrics["stopped_iteration"] == 0
    assert [row["iteration"] for row in run.history() if row["level"] == 0] == [0]


def test_level_1_cuts_the_given_weights_and_goes_on_from_them(model, run):
    given, cut = snapshot(model), run.tickets[1].masks
    for key in ("dense/kernel", "dense_1/kernel"):
        kept, away = np.abs(given[key])[cut[key]], np.abs(given[key])[~cut[key]]
        assert cut[key].sum() == cut[key].size // 2
        assert kept.min() >= away.max()
    assert run.tickets[1].provenance["method"]["after_cut"] == "fine-tune"
    # Fine-tuning for one epoch of small steps moves no weight far.
    change = np.abs(run.tickets[1].weights("final")["dense/kernel"] - given["dense/kernel"])[
        cut["dense/kernel"]
    ]
    assert 0 < change.max() < 0.1


def test_a_trained_ticket_goes_on_from_its_final_weights(arrays, run):
    split = {"train": arrays, "validation": arrays, "test": arrays}
    more = kt.prune(None, split, start=run.tickets[1], levels=1, rate=0.5, **SETTINGS)
    for key, value in run.tickets[1].weights("final").items():
        np.testing.assert_array_equal(more.tickets[0].weights("final")[key], value)
    assert more.tickets[1].kept == run.tickets[2].kept


def test_a_trained_ticket_as_the_model_is_measured_as_trained(arrays, run):
    split = {"train": arrays, "validation": arrays, "test": arrays}
    more = kt.prune(run.tickets[1], split, levels=1, rate=0.5, **SETTINGS)
    for key, value in run.tickets[1].weights("final").items():
        np.testing.assert_array_equal(more.tickets[0].weights("final")[key], value)
    before, after = (one.provenance["metrics"]["val_loss"] for one in (run.tickets[1], more.tickets[0]))
    assert after == pytest.approx(before, rel=1e-6)


def test_weights_that_are_drawn_are_refused():
    with pytest.raises(RecipeError, match="whose weights are drawn"):
        kt.prune("mlp:8", "digits", pretrained=True)


def test_an_untrained_ticket_is_refused(run, arrays):
    bare = run.tickets[1].replace(snapshots={"init": run.tickets[1].weights("init")})
    with pytest.raises(RecipeError, match="Train it first"):
        kt.prune(None, {"train": arrays, "validation": arrays, "test": arrays}, start=bare, pretrained=True)


def test_settings_of_a_trained_level_0_are_refused(model, arrays):
    with pytest.raises(RecipeError, match="Leave out one of them"):
        kt.prune(model, arrays, pretrained=True, rewind_to="5it")
