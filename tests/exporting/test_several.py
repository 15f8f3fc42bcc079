"""Exports of nets with several inputs and outputs, one unit for two classes, and label maps."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerastickets as kt
from kerastickets import registry
from kerastickets.errors import KerasTicketsError
from kerastickets.models.architecture import faithful_architecture
from kerastickets.models.variables import snapshot

RNG = np.random.default_rng(0)


def trained(model, data="none"):
    """A ticket of a model as it is, as if it had been trained on a data set."""
    weights = snapshot(model)
    masks = {key: np.ones(value.shape, bool) for key, value in weights.items() if "kernel" in key}
    return kt.Ticket(
        faithful_architecture(model), masks, {"init": weights, "final": weights}, {"dataset": data}
    )


def two_by_two(names):
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b", dtype="int32")
    h = layers.Concatenate()([layers.Dense(5)(a), layers.Flatten()(layers.Embedding(6, 2)(b))])
    kind, size = layers.Dense(3, name="kind")(h), layers.Dense(2, activation="relu", name="size")(h)
    if names:
        return keras.Model({"b": b, "a": a}, {"size": size, "kind": kind})
    return keras.Model([b, a], [size, kind])


def arrays(names, count=12):
    a, b = RNG.normal(size=(count, 4)).astype("float32"), RNG.integers(6, size=(count, 3))
    y = RNG.normal(size=(count, 3)), RNG.normal(size=(count, 2))
    return ({"a": a, "b": b}, {"kind": y[0], "size": y[1]}) if names else ((b, a), (y[1], y[0]))


def written(ticket, exporter, folder, **given):
    path = folder / f"net{registry.create('exporters', exporter).suffix}"
    return path, kt.export(ticket, exporter, path, latency=False, **given)


@pytest.mark.parametrize(
    ("exporter", "names"),
    [
        ("onnx", True),
        *(pytest.param(exporter, False, marks=pytest.mark.slow) for exporter in ("keras", "onnx", "litert")),
        *(
            pytest.param(exporter, True, marks=pytest.mark.slow)
            for exporter in ("keras", "safetensors", "saved-model", "litert")
        ),
    ],
)
def test_another_process_computes_the_same_from_several_inputs(exporter, names, tmp_path):
    split = arrays(names)
    data = kt.Data("several", split, split, split)
    done = written(trained(two_by_two(names)), exporter, tmp_path, data=data)[1]
    assert done.max_abs_difference < 1e-5
    assert done.accuracy_before is None
    assert [one["name"] for one in done.details["inputs"]] == (["a", "b"] if names else ["b", "a"])
    assert done.details["outputs"] == (["kind", "size"] if names else ["size", "kind"])


@pytest.mark.slow
def test_without_data_the_examples_come_from_the_inputs(tmp_path):
    path, done = written(trained(two_by_two(True)), "saved-model", tmp_path)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    assert done.examples == 64
    assert sorted(serve.structured_input_signature[1]) == ["a", "b"]
    assert sorted(serve.structured_outputs) == ["output_0", "output_1"]


@pytest.mark.slow
def test_what_takes_one_input_names_the_others(tmp_path):
    with pytest.raises(KerasTicketsError, match=r"must have one input. Received: a model with a, b"):
        written(trained(two_by_two(True)), "tfmot", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("activation", [None, pytest.param("sigmoid", marks=pytest.mark.slow)])
def test_one_unit_classifies_two_classes(activation, tmp_path):
    x = RNG.normal(size=(20, 2)).astype("float32")
    split = x, (x[:, 0] > 0).astype("int64")
    data = kt.Data("signs", split, split, split, kt.CROSS_ENTROPY, ("accuracy",), 2, labels=("minus", "plus"))
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, activation=activation)])
    model.layers[0].set_weights([np.array([[2.0], [0.0]]), np.zeros(1)])
    path, done = written(trained(model), "saved-model", tmp_path, data=data)
    assert (done.accuracy_before, done.accuracy_after) == (1.0, 1.0)
    classify = tf.saved_model.load(str(path)).signatures["classify"]
    found = classify(tf.constant([[1.0, 0.0], [-1.0, 0.0]]))
    assert found["label"].numpy().tolist() == [b"plus", b"minus"]
    assert found["probability"].numpy() == pytest.approx([1 / (1 + np.exp(-2.0))] * 2, rel=1e-5)


@pytest.mark.slow
def test_a_label_map_has_an_accuracy_and_no_classify(tmp_path):
    x = RNG.normal(size=(6, 2, 2, 1)).astype("float32")
    split = x, (x[..., 0] > 0).astype("int64")
    data = kt.Data("maps", split, split, split, kt.CROSS_ENTROPY, ("accuracy",), 2)
    model = keras.Sequential([keras.Input((2, 2, 1)), layers.Conv2D(2, 1)])
    model.layers[0].set_weights([np.array([[[[-1.0, 1.0]]]]), np.zeros(2)])
    done = written(trained(model), "saved-model", tmp_path, data=data)[1]
    assert done.accuracy_after == 1.0
    assert done.details["signatures"] == ["serve", "serving_default"]


@pytest.mark.slow
def test_a_compiled_net_has_an_accuracy_on_data_without_classes(tmp_path):
    x = RNG.normal(size=(40, 2)).astype("float32")
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    pairs = x, (x[:, 0] > 0).astype("int64")
    ticket = kt.prune(model, pairs, levels=1, train="1it", batch_size=8, jit="off").tickets[-1]
    done = written(ticket, "keras", tmp_path, data=pairs)[1]
    assert done.accuracy_before == pytest.approx(kt.evaluate(ticket, pairs)["accuracy"])
    assert json.dumps(done.facts())
    assert Path(done.path).exists()


def awkward():
    """Normalization with many numbers, exact GELU, random layers and a grouped convolution in one net."""
    x = keras.Input((8, 8, 4))
    h = layers.GaussianNoise(0.5)(layers.RandomFlip()(x))
    h = layers.GlobalAveragePooling2D()(layers.Conv2D(64, 3, groups=2, activation="gelu")(h))
    normal = layers.Normalization()
    normal.adapt(RNG.normal(3.0, 2.0, size=(100, 64)))
    return keras.Model(x, layers.Dense(3)(layers.Dropout(0.5)(normal(h))))


@pytest.mark.parametrize(
    "exporter",
    ["onnx", *(pytest.param(one, marks=pytest.mark.slow) for one in ("keras", "safetensors", "litert"))],
)
def test_nets_that_converters_do_not_like(exporter, tmp_path):
    """TRIALS P."""
    assert written(trained(awkward()), exporter, tmp_path)[1].max_abs_difference < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("exporter", ["keras", "safetensors", "saved-model", "onnx", "litert"])
def test_half_precision_is_exported_or_named(policy, exporter, tmp_path):
    """TRIALS J."""
    net = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, dtype=policy),
            layers.GlobalAveragePooling2D(dtype=policy),
            layers.Dense(3, dtype=policy),
        ]
    )
    if exporter == "onnx" and policy == "mixed_bfloat16":
        with pytest.raises(KerasTicketsError, match="in a model that computes in bfloat16"):
            written(trained(net), exporter, tmp_path)
    else:
        assert written(trained(net), exporter, tmp_path)[1].max_abs_difference < 0.1
