"""New output layers: nothing else changes, and exactly so many weights live."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.errors import RecipeError
from kerastickets.models.architecture import faithful_architecture
from kerastickets.models.variables import snapshot
from kerastickets.testing import toy_data, toy_ticket
from kerastickets.tickets.ticket import Ticket
from kerastickets.transferring.output_layer import Ends, carried, head_keys, new_head

HEAD = {"dense_1/kernel", "dense_1/bias"}


def bare(model):
    return Ticket(faithful_architecture(model), {}, {"init": snapshot(model)})


@pytest.mark.parametrize(
    ("outputs", "density", "kept"), [(4, "dense", 24), (4, "ticket", 12), (10, "ticket", 30)]
)
def test_a_new_head_changes_no_other_layer(outputs, density, kept):
    old = toy_ticket()
    new = new_head(old, outputs, seed=0, density=density)
    assert np.array_equal(new.masks["dense/kernel"], old.masks["dense/kernel"])
    for name, tree in old.snapshots.items():
        for key in tree.keys() - HEAD:
            assert np.array_equal(tree[key], new.weights(name)[key]), (name, key)
    assert new.masks["dense_1/kernel"].shape == (6, outputs)
    assert new.masks["dense_1/kernel"].sum() == kept
    assert not new.weights("final")["dense_1/kernel"][~new.masks["dense_1/kernel"]].any()
    assert new.weights("init")["dense_1/bias"].tolist() == [0] * outputs
    assert new.build().output_shape == (None, outputs)
    assert new == new_head(old, outputs, seed=0, density=density)


def test_another_seed_is_another_head():
    one, two = (new_head(toy_ticket(), 10, seed=seed).weights()["dense_1/kernel"] for seed in (0, 1))
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, toy_ticket().weights()["dense_1/kernel"])
    assert np.abs(one).max() <= np.sqrt(6 / (6 + 10))  # Glorot uniform of 6 inputs and 10 outputs


def test_the_old_layers_density_is_rounded():
    old = toy_ticket()
    share = old.masks["dense_1/kernel"].mean()
    made = new_head(old, 3, seed=0, density="layer")
    assert made.masks["dense_1/kernel"].sum() == round(share * 18)


def test_a_head_behind_which_there_are_activations():
    net = [layers.Dense(3), layers.Dense(4, name="top"), layers.Activation("relu"), layers.Softmax()]
    ticket = bare(keras.Sequential([keras.Input((2,)), *net]))
    made = new_head(ticket, 7, seed=0)
    assert made.build().output_shape == (None, 7)
    assert head_keys(made) == ("top/kernel", "top/bias")


def test_a_functional_model_of_two_branches():
    x = keras.Input((4, 4, 1))
    both = layers.Concatenate()(
        [layers.Flatten()(x), layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(x))]
    )
    ticket = bare(keras.Model(x, layers.Dense(5)(both)))
    made = new_head(ticket, 2, seed=0)
    assert made.weights()["dense/kernel"].shape == (18, 2)
    assert np.array_equal(made.weights()["conv2d/kernel"], ticket.weights()["conv2d/kernel"])


@pytest.mark.parametrize(
    ("last", "named"),
    [
        ([layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()], "global_average_pooling2d"),
        ([layers.Flatten(), layers.Dense(4), layers.BatchNormalization()], "BatchNormalization"),
        ([layers.Flatten(), keras.Sequential([layers.Dense(4)], name="inner")], "inner"),
    ],
)
def test_another_output_layer_is_named(last, named):
    ticket = bare(keras.Sequential([keras.Input((4, 4, 1)), *last]))
    with pytest.raises(RecipeError, match=rf"must be Dense.*{named}"):
        new_head(ticket, 3, seed=0)


def test_the_head_is_drawn_where_it_must_be():
    ticket = toy_ticket()
    assert carried(ticket, toy_data(), 0, "auto") is ticket
    assert carried(ticket, toy_data(), 0, "same") is ticket
    assert carried(ticket, toy_data(), 0, "new") == new_head(ticket, 10, 0)


def test_the_ends_of_a_model_with_two_inputs():
    a, b = keras.Input((2,)), keras.Input((2,))
    with pytest.raises(RecipeError, match="2 inputs and 1 outputs"):
        Ends.of(bare(keras.Model([a, b], layers.Dense(1)(layers.Add()([a, b])))))
