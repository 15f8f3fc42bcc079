"""The exporter tfmot: exact masks, equal outputs, a parent process that stays as it was, and what it refuses."""

import json
import os
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerastickets import Ticket, registry
from kerastickets.errors import DataError, ExportError, PluginError
from kerastickets.exporting.verification import largest_difference, outputs_of, read_back
from kerastickets.foundations.tree import masked
from kerastickets.models.architecture import faithful_architecture
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.trained_model import trained_model
from kerastickets.models.variables import snapshot
from kerastickets.testing import toy_data, toy_ticket
from kerastickets_plugins.exporters.tfmot_file import Tfmot


def residual(head=True):
    """A shortcut with BatchNormalization; with `head` also a nested model, and arguments that differ in tf_keras."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(x)))
    x = layers.Add(name="shortcut")([x, y])
    if head:
        x = layers.LeakyReLU(negative_slope=0.2)(layers.DepthwiseConv2D(3)(x))
        dense = [layers.Dense(6, activation="relu"), layers.Dropout(0.5), layers.Dense(10)]
        return keras.Model(inputs, keras.Sequential(dense, name="head")(layers.Flatten()(x)))
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


def ticket_of(model, density=0.3):
    """A ticket of a model with weights anywhere and random masks; some kept weights are zero."""
    rng = np.random.default_rng(0)
    weights = {
        key: value + rng.random(value.shape, "float32") * 0.3 for key, value in snapshot(model).items()
    }
    masks = {entry.key: rng.random(entry.shape) < density for entry in weight_reports(model) if entry.masked}
    final = masked(weights, masks)
    return Ticket(faithful_architecture(model), masks, {"init": weights, "final": final})


def kernels(path):
    """Every weight of rank above 1 in an H5 file, by name."""
    found = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset) and node.ndim > 1:
            found[name.removeprefix("model_weights/")] = node[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def read(exporter, path, tmp_path):
    desk = tmp_path / "desk"
    desk.mkdir()
    return read_back(exporter.reader, path, toy_data().test[0], desk)


@pytest.mark.slow
def test_a_residual_net_with_a_nested_model_keeps_its_exact_mask_and_outputs(tmp_path):
    ticket, exporter, path = ticket_of(residual()), Tfmot(), tmp_path / "net.h5"
    model = trained_model(ticket)
    facts = exporter(ticket, path, model=model)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["guarded"] == [
        "conv2d/kernel",
        "conv2d_1/kernel",
        "head/dense/kernel",
        "head/dense_1/kernel",
    ]
    assert facts["unguarded"] == ["depthwise_conv2d/kernel"]  # TFMOT does not prune these
    stored = list(kernels(path).values())
    assert len(stored) == len(ticket.masks) == 5
    final = ticket.weights("final")
    for key in ticket.masks:
        (same,) = [each for each in stored if np.array_equal(each, final[key])]
        assert not same[~ticket.masks[key]].any()
        assert np.count_nonzero(same) == ticket.masks[key].sum()
    reading = read(exporter, path, tmp_path)
    assert largest_difference(outputs_of(model, toy_data().test[0]), reading.outputs, 1e-5) < 1e-4
    assert reading.runtime.startswith("tf_keras 2")
    # This process is as it was.
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert keras.__version__.startswith("3")
    assert tf.keras.__version__.startswith("3")
    assert not {"tf_keras", "tensorflow_model_optimization"} & set(sys.modules)


def test_what_is_no_layer_is_refused_by_name_without_starting_tfmot(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(inputs)
    y = layers.Dense(4)(x)
    model = keras.Model(inputs, layers.Dense(10)(keras.ops.relu(y) + y))
    with pytest.raises(
        ExportError, match=r"layer 'relu.*keras\..*; layer 'add.*keras\.layers\.Add instead of \+"
    ):
        Tfmot()(toy_ticket(), tmp_path / "a.h5", model=model)
    with pytest.raises(
        ExportError, match=r"quantise every layer\. Received: layer 'head': a model inside the model\."
    ):
        Tfmot(int8=True)(ticket_of(residual()), tmp_path / "a.tflite", data=toy_data())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_layer_that_tf_keras_lacks_is_named(tmp_path):
    body = [layers.Flatten(), layers.Dense(4), layers.RMSNormalization(name="rms")]
    body += [
        layers.GroupNormalization(2, name="grouped"),
        layers.Dense(10),
        layers.RMSNormalization(name="last"),
    ]
    model = keras.Sequential([keras.Input((8, 8, 1)), *body])
    with pytest.raises(ExportError) as caught:
        Tfmot()(toy_ticket(), tmp_path / "a.h5", model=model)
    assert "layer 'rms': a RMSNormalization, which tf_keras lacks; layer 'last': a RMSN" in str(caught.value)
    assert "grouped" not in str(caught.value)


def test_refusals(tmp_path):
    with pytest.raises(DataError, match="int8=true needs a data set"):
        Tfmot(int8=True)(toy_ticket(), tmp_path / "a.tflite")
    for spec, said in {
        "tfmot:steps=-1": "at least 0",
        "tfmot:int8=true,wrapped=true": "exclude each other",
    }.items():
        with pytest.raises((ValueError, PluginError), match=said):
            registry.create("exporters", spec)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 20])
def test_int8_keeps_every_pruned_weight_at_zero(tmp_path, steps):
    ticket, exporter, path = (
        ticket_of(residual(head=False)),
        Tfmot(int8=True, steps=steps),
        tmp_path / "a.tflite",
    )
    facts = exporter(ticket, path, data=toy_data())
    assert facts["zeros_kept"] == dict.fromkeys(ticket.masks, 1.0)
    expected = outputs_of(trained_model(ticket), toy_data().test[0])
    assert largest_difference(expected, read(exporter, path, tmp_path).outputs, exporter.tolerance) > 0


@pytest.mark.slow
def test_a_layer_that_tfmot_cannot_quantise_is_refused(tmp_path):
    alone = [layers.Flatten(), layers.BatchNormalization(name="alone"), layers.Dense(10)]
    ticket = ticket_of(keras.Sequential([keras.Input((8, 8, 1)), *alone]))
    with pytest.raises(
        ExportError, match=r"TFMOT must be able to quantise.*Layer alone:.*litert with int8=true"
    ):
        Tfmot(int8=True, steps=0)(ticket, tmp_path / "a.tflite", data=toy_data())
    assert list(tmp_path.iterdir()) == []


TRAIN = """
import json, sys
import numpy as np, tensorflow_model_optimization as tfmot, tf_keras
with tfmot.sparsity.keras.prune_scope():
    model = tf_keras.models.load_model(sys.argv[1], compile=False)
wrappers = [layer for layer in model.layers if hasattr(layer, "pruning_vars")]
before = [(mask.numpy() != 0) for each in wrappers for _, mask, _ in each.pruning_vars]
model.compile("adam", "mse")
x = np.random.default_rng(0).normal(size=(500, 8, 8, 1)).astype("float32")
model.fit(x, np.ones((500, 10)), batch_size=2, verbose=0, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
after = [weight.numpy() != 0 for each in wrappers for weight, _, _ in each.pruning_vars]
print(json.dumps([[int(b.sum()), int(a.sum()), bool((a <= b).all())] for b, a in zip(before, after)]))
"""


@pytest.mark.slow
def test_wrapped_it_trains_on_in_tfmot_under_the_tickets_masks(tmp_path):
    ticket, exporter, path = ticket_of(residual(head=False)), Tfmot(wrapped=True), tmp_path / "a.h5"
    exporter(ticket, path)
    expected = outputs_of(trained_model(ticket), toy_data().test[0])
    reading = read(exporter, path, tmp_path)
    assert largest_difference(expected, reading.outputs, exporter.tolerance) < 1e-4
    assert "tensorflow-model-optimization" in reading.runtime
    command = [sys.executable, "-I", "-c", TRAIN, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kept = [int(mask.sum()) for mask in ticket.masks.values()]
    assert json.loads(done.stdout.splitlines()[-1]) == [[count, count, True] for count in kept]
