"""`inspect`: what will work with a model, and what will not and why, agrees with what `prune` and `export` do."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerastickets as kt
from kerastickets import registry
from kerastickets.data.own_arrays import data_from
from kerastickets.errors import ExportError, KerasTicketsError, RecipeError
from kerastickets.inspection import exports
from kerastickets.inspection.inspect_model import inspect
from kerastickets.models.variables import snapshot
from tests.helpers.training import data, plain, same

DIALS = {"levels": 1, "rate": 0.5, "train": "1it", "batch_size": 8, "jit": "off"}
X, Y = data().train
OWN = data_from((X, Y))


@pytest.fixture(autouse=True)
def without_xla(monkeypatch):
    """XLA takes seconds to compile even these nets."""
    monkeypatch.setattr("kerastickets.training.trainer.use_jit", lambda model, jit: False)


def compiled(model, loss="sparse_categorical_crossentropy"):
    model.compile("sgd", loss)
    return model


class Plain(keras.Model):
    """A model without a config."""

    def __init__(self):
        super().__init__()
        self.head = layers.Dense(3)

    def call(self, x):
        return self.head(x)


def subclassed():
    model = Plain()
    model(np.zeros((1, 4), "float32"))
    return model


def named():
    """A function whose model no config can build."""
    return subclassed()


class Doubled(layers.Layer):
    """An own layer whose state is in its config."""

    def call(self, x):
        return x * 2


def own_layer():
    return keras.Sequential([keras.Input((4,)), Doubled(), layers.Dense(3)])


def refuses(y, predictions):
    raise KeyError("no such column")


def lambdas():
    return keras.Sequential(
        [keras.Input((4,)), layers.Lambda(lambda x: x * 2, name="twice"), layers.Dense(3)]
    )


def wide(inputs, outputs):
    return keras.Sequential([keras.Input((inputs,)), layers.Dense(outputs)])


def test_a_weight_is_pruned_or_skipped_and_the_reason_is_told():
    inner = [layers.Conv2D(3, 2), layers.DepthwiseConv2D(2), layers.BatchNormalization(), layers.Flatten()]
    model = keras.Sequential([keras.Input((4, 4, 2)), *inner, layers.Dense(5), layers.Dense(2)])
    model.layers[-2].trainable = False
    model.layers[0].kernel.assign(np.arange(24).reshape(2, 2, 2, 3) % 4)
    found = inspect(model)
    rows = {w.key: (w.shape, w.count, w.pruned, w.why, w.units) for w in found.weights}
    skipped = (False, "not a kernel or embedding", None)
    assert rows == {
        "conv2d/kernel": ((2, 2, 2, 3), 24, True, "kernel", 3),
        "conv2d/bias": ((3,), 3, *skipped),
        "depthwise_conv2d/kernel": ((2, 2, 3, 1), 12, True, "kernel", 3),
        "depthwise_conv2d/bias": ((3,), 3, *skipped),
        "batch_normalization/gamma": ((3,), 3, *skipped),
        "batch_normalization/beta": ((3,), 3, *skipped),
        "batch_normalization/moving_mean": ((3,), 3, False, "not trainable", None),
        "batch_normalization/moving_variance": ((3,), 3, False, "not trainable", None),
        "dense/kernel": ((12, 5), 60, False, "not trainable", None),
        "dense/bias": ((5,), 5, False, "not trainable", None),
        "dense_1/kernel": ((5, 2), 10, True, "kernel", None),
        "dense_1/bias": ((2,), 2, *skipped),
    }
    assert found.weights[0].zeros == 6
    assert (found.prunable, found.facts()["total"]) == (46, 131)
    assert {w.key for w in inspect(model, include=["*/bias"], exclude=["conv2d"]).weights if w.pruned} == {
        *("depthwise_conv2d/kernel", "depthwise_conv2d/bias", "dense_1/kernel", "dense_1/bias")
    }


def test_masks_that_a_model_holds_are_told():
    model = plain()
    kt.sparsify(model, {"dense/kernel": np.arange(32).reshape(4, 8) % 2 > 0})
    first, *_ = inspect(model).weights
    assert (first.pruned, first.why, first.zeros) == (True, "it has a mask", 16)
    aware = inspect(keras.Sequential([keras.Input((4,)), kt.layers.Dense(3)]))
    assert (aware.rebuilds, aware.custom, aware.prunable) == (True, (), 12)


def test_zeros_without_a_mask_are_counted():
    model = plain()
    kt.sparsify(model, {"dense/kernel": np.arange(32).reshape(4, 8) % 2 > 0})
    assert inspect(model).unmasked_zeros == 0
    kt.strip(model)
    model.layers[1].kernel.assign(np.zeros((8, 3)))  # not trained yet
    assert inspect(model).facts()["unmasked_zeros"] == 16


ACCEPTED = {
    "fits": (plain, data()),
    "own layer": (own_layer, data()),
    "a function": (lambda: named, data()),
    "other inputs": (lambda: wide(5, 3), data()),
    "other outputs": (lambda: wide(4, 2), data()),
    "no config": (subclassed, data()),
    "a lambda": (lambdas, data()),
    "no loss": (plain, OWN),
    "labels": (lambda: compiled(plain(), "categorical_crossentropy"), OWN),
    "a loss that fails": (lambda: compiled(plain(), refuses), OWN),
    "nothing to prune": (
        lambda: compiled(keras.Sequential([keras.Input((4,)), layers.BatchNormalization()])),
        OWN,
    ),
}


TRAINED_TOO = ("own layer", "a function")
CASES = [pytest.param(case, marks=[pytest.mark.slow] * (case in TRAINED_TOO)) for case in ACCEPTED]


@pytest.mark.parametrize("case", CASES)
def test_what_is_accepted_is_what_prune_accepts(case):
    make, on = ACCEPTED[case]
    found = inspect(make(), on, batch_size=8)
    try:
        kt.prune(make(), on, **DIALS)
        refused = ""
    except KerasTicketsError as error:
        refused = str(error)
    assert found.accepted == (not refused)
    if found.fits is False:
        assert found.fits_why == found.first_step_why == refused
    json.dumps(found.facts())


def test_a_model_that_cannot_be_rebuilt_names_what_is_wrong():
    found = inspect(lambdas())
    assert not found.rebuilds
    assert found.rebuilds_why.startswith(
        "A ticket must hold a config that Keras can build the model from. Received: the layer twice, "
    )
    assert "a Plain without one" in inspect(subclassed()).rebuilds_why
    told = inspect(named)
    assert (told.model, told.kind, told.needs_function, told.accepted) == ("named", "Plain", True, True)
    assert "A Plain does not say which layers give its outputs" in told.units_why
    assert [weight.units for weight in told.weights] == [None, None]
    assert inspect(own_layer()).custom == (f"{Doubled.__module__}:Doubled",)


def test_the_first_step_is_measured_on_a_copy():
    model = compiled(plain(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = snapshot(model)
    found = inspect(model, batch_size=500)
    assert found.first_step["examples"] == 2  # the made-up batch
    assert found.first_step["step_seconds"] > 0
    assert found.first_step["compile_seconds"] > 0
    assert found.loss["config"]["from_logits"] is True
    assert same(snapshot(model), before)
    assert not any(getattr(v, "constraint", None) for v in model.variables)
    assert inspect(plain(), data(), batch_size=500).first_step["examples"] == 40
    assert "not compiled with a loss" in inspect(plain()).first_step_why


def test_what_xla_cannot_compile_is_named():
    words = layers.TextVectorization(6, output_sequence_length=3, vocabulary=["a", "b"])
    model = keras.Sequential(
        [keras.Input((1,), dtype="string"), words, layers.Embedding(8, 2), layers.Flatten()]
    )
    found = inspect(compiled(model, "mse"))
    assert (found.xla, found.xla_why) == (False, "XLA does not support StringLookup, TextVectorization")
    assert found.first_step_why == "The model takes texts, and training in this library takes numbers."
    assert inspect(plain()).xla


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((keras.Sequential([layers.Dense(2)]),), "must be built, so that it has weights"),
        (("mlp:8",), "Received: mlp:8 without. Give data"),
        ((3,), "Received: 3"),
        ((lambda: 3,), "must return a keras.Model. Received: int"),
    ],
)
def test_what_is_no_model_is_refused(arguments, message):
    with pytest.raises(RecipeError, match=message):
        inspect(*arguments)


def test_an_export_that_fails_says_why(monkeypatch):
    def fails(ticket, exporter, path, **given):
        assert path.suffix == exporter.suffix == ".safetensors"
        assert (ticket.density, "final" in ticket.snapshots, given["data"]) == (1, True, None)
        raise errors.pop()

    errors = [ValueError("no\nsuch part"), ExportError("Its outputs differ.")]
    monkeypatch.setattr(exports, "export", fails)
    monkeypatch.setattr(exports, "_names", lambda: ["safetensors"])
    assert [one.works for one in inspect(plain()).exports] == [None]
    assert [(one.works, one.why) for one in inspect(plain(), try_exports=True).exports] == [
        (False, "Its outputs differ.")
    ]
    assert inspect(plain(), try_exports=True).exports[0].why == "ValueError: no such part"
    assert "no ticket can build the model" in inspect(named, try_exports=True).exports[0].why
    monkeypatch.setattr(exports, "find_spec", lambda name: None)
    monkeypatch.setattr(exports, "_names", lambda: ["onnx"])
    assert inspect(plain()).exports[0].why.startswith("it needs tf2onnx, onnx, onnxruntime")


@pytest.mark.slow
def test_every_export_is_really_tried():
    found = inspect(plain(), data(), try_exports=True)
    assert {one.format for one in found.exports} == set(registry.names("exporters"))
    assert next(one for one in found.exports if one.format == "safetensors").works
    assert all(one.works for one in found.exports if "extra" not in one.why and "pip install" not in one.why)


@pytest.mark.slow
def test_xla_that_fails_is_told(monkeypatch):
    monkeypatch.undo()

    class Words(layers.Layer):
        def call(self, x):
            return tf.strings.to_number(tf.strings.as_string(x))

    model = keras.Sequential([keras.Input((4,)), Words(), layers.Dense(3)])
    found = inspect(model, data())
    assert not found.xla
    assert "XLA cannot compile this net" in found.xla_why
    assert found.first_step is not None
