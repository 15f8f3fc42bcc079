"""The same model made of mask-aware layers: equal outputs, masks that outlive a file and a plain fit."""

import keras
import numpy as np
import pytest
from keras import layers

import kerastickets as kt
from kerastickets.errors import AlignError, RecipeError
from kerastickets.layers import convert
from kerastickets.models.proof import example_batch, outputs
from kerastickets.models.prunable_weights import kernels
from kerastickets.models.variables import snapshot
from tests.helpers import nets
from tests.helpers.training import same


def wrapped():
    """Layers in wrappers, cells in an RNN, and attention, whose kernels are in layers that configs do not show."""
    x = keras.Input((5, 4))
    h = layers.TimeDistributed(layers.Dense(3))(x)
    h = layers.Bidirectional(layers.GRU(2, return_sequences=True))(h)
    h = layers.MultiHeadAttention(2, 3)(h, h)
    return keras.Model(x, layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])(h))


NETS = [
    nets.plain,
    nets.named,
    nets.convolutional,
    nets.nested,
    nets.shared,
    nets.branched,
    nets.custom,
    wrapped,
]


@pytest.mark.parametrize("build", NETS, ids=lambda build: build.__name__)
def test_it_computes_the_same_with_the_same_masks_and_names(build):
    model = kt.cut_model(build(), 0.5, allow_collapse=True)
    weights = snapshot(model)
    made = convert(model)
    assert same(kt.masks_of(made), kt.masks_of(model))
    assert same(snapshot(made), weights)
    batch = example_batch(model)
    for mine, theirs in zip(outputs(made, batch), outputs(model, batch), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert [layer.name for layer in made.layers] == [layer.name for layer in model.layers]
    assert len(made.non_trainable_weights) == len(model.non_trainable_weights) + len(kernels(model))
    assert same(snapshot(model), weights)


def test_a_file_and_a_plain_fit_keep_the_masks(tmp_path):
    model = convert(kt.cut_model(nets.nested(), 0.5))
    masks = kt.masks_of(model)
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert same(kt.masks_of(loaded), masks)
    loaded.compile(keras.optimizers.Adam(0.1), "mse")
    before = snapshot(loaded)
    loaded.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)
    after = snapshot(loaded)
    assert all(not after[key][~mask].any() for key, mask in masks.items())
    assert any((after[key][mask] != before[key][mask]).any() for key, mask in masks.items())


def test_a_ticket_is_built_of_mask_aware_layers():
    ticket = kt.Ticket.of(kt.cut_model(nets.plain(), 0.5))
    made = ticket.build(aware=True)
    assert same(kt.masks_of(made), dict(ticket.masks))
    assert same(snapshot(made), snapshot(ticket.build()))
    assert kt.Ticket.of(made).architecture == ticket.architecture
    assert kt.masks_of(ticket.build()) == {}


def test_what_has_no_mask_gets_ones_and_aware_layers_stay():
    model = keras.Sequential([keras.Input((4,)), kt.layers.Dense(6), layers.Dense(3)])
    mask = np.arange(24).reshape(4, 6) % 2 == 0
    kt.sparsify(model, {"dense/kernel": mask})
    masks = kt.masks_of(convert(model))
    assert masks["dense/kernel"].tolist() == mask.tolist()
    assert masks["dense_1/kernel"].all()
    assert {type(layer) for layer in convert(model).layers} == {kt.layers.Dense}


def test_frozen_layers_have_masks_in_every_process(tmp_path):
    model = convert(kt.cut_model(nets.plain(), 0.5, scope="layer"))
    model.layers[0].trainable = False
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert not loaded.layers[0].trainable
    assert same(kt.masks_of(loaded), kt.masks_of(model))
    # The mask of a frozen layer is kept, and a run does not prune it further.
    once = {"levels": 1, "rate": 0.5, "no_train": True, "between": "none", "batch_size": 10}
    run = kt.prune(loaded, nets.data(), **once)
    assert same({"a": run.tickets[1].masks["dense/kernel"]}, {"a": kt.masks_of(model)["dense/kernel"]})
    assert run.tickets[1].kept == 12 + 9 - round(9 * 0.5)
    fresh = keras.Sequential([keras.Input((4,)), kt.layers.Dense(6, trainable=False), kt.layers.Dense(3)])
    assert kt.prune(fresh, nets.data(), **once).tickets[1].kept == 9
    # A file from before frozen layers had masks holds none: they stay ones.
    fresh.layers[0].masks.load_own_variables({})
    assert kt.masks_of(fresh)["dense/kernel"].all()


def test_what_cannot_be_made_of_other_layers_is_refused():
    inner = nets.subclassed()
    inner(np.ones((1, 4)))
    x = keras.Input((4,))
    for model in (inner, keras.Model(x, layers.Dense(2)(inner(x)))):
        with pytest.raises(AlignError, match="that is subclassed, or holds a subclassed model"):
            convert(model)
    biased = nets.plain()
    kt.sparsify(biased, {"dense/bias": np.arange(6) > 2})
    with pytest.raises(AlignError, match=r"Received: a mask of dense/bias\. Leave it out"):
        convert(biased)
    with pytest.raises(RecipeError, match=r"must be a live Keras model\. Received: str"):
        convert("net.keras")
