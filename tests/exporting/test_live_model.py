"""Exporting a live model, pruned or dense: what is verified is the model itself, and it is not changed."""

import keras
import numpy as np
import pytest
from keras import layers

import kerastickets as kt
from kerastickets.errors import AlignError, ExportError, TicketError
from kerastickets.exporting import write
from kerastickets.exporting.verification import Reading, accuracy, outputs_of
from kerastickets.models import architecture
from kerastickets.models.variables import snapshot
from kerastickets.testing import toy_data
from tests.helpers.fakeexporters import Npz
from tests.helpers.training import same


def digits(layer=layers.Dense):
    return keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layer(4, activation="relu"), layer(10)]
    )


@pytest.mark.parametrize("layer", [layers.Dense, kt.layers.Dense])
def test_a_pruned_model_is_exported_and_stays_as_it_is(tmp_path, layer):
    model = digits(layer)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    kt.cut_model(model, 0.75)
    weights, masks = snapshot(model), kt.masks_of(model)
    done = kt.export(model, Npz(sparse=True), tmp_path / "a.npz", data=toy_data(), latency=False)
    assert done.bytes_dense - done.bytes == 222 * 6  # of 296 weights 222 are pruned, of 4 + 2 bytes each
    assert done.multiply_adds == {"dense": 296, "theoretical": 74, "executed": 296}
    assert done.accuracy_before == pytest.approx(model.evaluate(*toy_data().test, verbose=0)[1])
    assert same(snapshot(model), weights)
    assert same(kt.masks_of(model), masks)


def test_a_dense_model_is_exported_and_its_zeros_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = digits()
    done = kt.export(model, Npz(), data=toy_data(), latency=False)
    assert str(done.path) == "saved_models/model-npz.npz"
    assert done.multiply_adds["theoretical"] == 296
    stripped = kt.strip(kt.cut_model(model, 0.5))
    assert (
        kt.export(stripped, Npz(), "b.npz", data=toy_data(), latency=False).multiply_adds["theoretical"]
        == 148
    )


class Scaled(layers.Layer):
    """Holds a number that its config leaves out."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor


def test_the_outputs_are_those_of_the_live_model(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((8, 8, 1)), *digits().layers, Scaled()])
    model.layers[-1].factor = 2.0
    with pytest.raises(AlignError, match="must compute what the original computes"):
        kt.export(model, Npz(), tmp_path / "a.npz", data=toy_data(), latency=False)
    # Even if nobody notices that the model built again is another one:
    monkeypatch.setattr(architecture, "check_copy", lambda model, twin: None)
    monkeypatch.setattr(
        write, "read_back", lambda reader, path, x, folder: Reading(outputs_of(twin, x), "mine", 1)
    )
    twin = keras.Sequential([keras.Input((8, 8, 1)), *model.layers[:-1]])
    with pytest.raises(ExportError, match="outputs must equal the model's"):
        kt.export(model, Npz(), tmp_path / "a.npz", data=toy_data(), latency=False)
    assert [*tmp_path.iterdir()] == []


def test_what_cannot_be_built_again_is_refused(tmp_path):
    class Own(keras.Model):
        def __init__(self, layer):
            super().__init__()
            self.one = layer

        def call(self, x):
            return self.one(x)

    model = Own(layers.Dense(2))
    model(np.ones((1, 3)))
    with pytest.raises(TicketError, match=r"Received: a Own that cannot be\. Give the class get_config"):
        kt.export(model, Npz(), tmp_path / "a.npz")
    with pytest.raises(TicketError, match=r"must be given\. Received: int"):
        kt.export(5, Npz(), tmp_path / "a.npz")


def test_padding_that_a_net_masks_is_not_counted(tmp_path, monkeypatch):
    """The net says 0 everywhere. Labels 0, 0, 1 of three words and 0 of one word count, the padding does not."""
    net = keras.Sequential(
        [keras.Input((3,)), layers.Embedding(5, 2, mask_zero=True), layers.Dense(2, use_bias=False)]
    )
    net.set_weights([np.ones((5, 2)), np.array([[1.0, 0.0], [1.0, 0.0]])])
    x, y = np.array([[1, 2, 3], [4, 0, 0]], "float32"), np.array([[0, 0, 1], [0, 1, 1]])
    data = kt.Data("words", (x, y), (x, y), (x, y), kt.CROSS_ENTROPY, ("accuracy",), 2)
    monkeypatch.setattr(
        write, "read_back", lambda reader, path, x, folder: Reading(outputs_of(net, x), "mine", 1)
    )
    done = kt.export(net, Npz(), tmp_path / "a.npz", data=data, latency=False)
    assert (done.accuracy_before, done.accuracy_after) == (0.75, 0.75)
    assert accuracy(outputs_of(net, x), data, probabilities=False) == 0.5
    assert kt.evaluate(kt.Ticket.of(net, zeros=True), data)["accuracy"] == 0.75
