"""Pruning by channels takes whole units: what a unit is, is written by hand in `tests.helpers.unitnets`."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.cutting.cut_scores import ones
from kerastickets.errors import RecipeError
from kerastickets.models.masking import weight_reports
from kerastickets.models.weight_roles import output_keys
from kerastickets.pruning.prune_model import prune
from kerastickets.pruning.unit_groups import UnitGroups
from tests.helpers import unitnets


def pruned(model, **dials):
    run = prune(model, unitnets.data_for(model), "random", **unitnets.CHANNELS | {"sparsity": 0.5} | dials)
    return run.tickets[-1].masks


def groups_of(model):
    masks = ones({entry.key: entry.shape for entry in weight_reports(model) if entry.masked})
    return UnitGroups.of(model, masks, output_keys(model, masks))


@pytest.mark.parametrize("name", unitnets.NETS)
@pytest.mark.filterwarnings("ignore:Channels of")
def test_units_go_whole(name):
    masks, units = unitnets.halved(name)[1], unitnets.NETS[name][1]
    gone = {key: np.zeros(mask.shape, bool) for key, mask in masks.items()}
    for layer in units():
        alive = [any(masks[key][place].any() for key, place in unit) for unit in layer]
        assert 0 < sum(alive) < len(layer)
        for unit, lives in zip(layer, alive, strict=True):
            for key, place in unit if not lives else ():
                gone[key][place] = True
    # Nothing is pruned but the weights of units that are gone.
    for key, mask in masks.items():
        np.testing.assert_array_equal(mask, ~gone[key], key)


def test_a_unit_of_a_transposed_convolution_is_on_the_axis_before_the_last():
    masks = unitnets.halved("autoencoder")[1]
    kernel = masks["conv2d_transpose/kernel"]
    assert kernel.any((0, 1, 3)).sum() == kernel.all((0, 1, 3)).sum() == 2


def test_a_recurrent_unit_is_scored_by_its_columns_and_its_row():
    x = keras.Input((3, 1))
    model = keras.Model(x, layers.Dense(1)(layers.SimpleRNN(2, use_bias=False)(x)))
    model.layers[1].set_weights([np.array([[1.0, 1.15]]), np.array([[0.3, 5.0], [7.0, 0.2]])])
    run = prune(model, unitnets.data_for(model), "magnitude", **unitnets.CHANNELS, target=2)
    masks = run.tickets[-1].masks
    # By hand: 5 and 7 lie in a column of one unit and the row of the other. So 1 + 0.3 and 1.15 + 0.2 decide. If the
    # weight of a unit to itself counted twice, the first would win.
    assert masks["simple_rnn/simple_rnn_cell/kernel"].tolist() == [[False, True]]
    assert masks["simple_rnn/simple_rnn_cell/recurrent_kernel"].tolist() == [[False, False], [False, True]]


def test_a_layer_of_your_own_is_asked_for_its_axis():
    @keras.saving.register_keras_serializable("test_unit_groups")
    class Turned(layers.Layer):
        """Its kernel is (outputs, inputs)."""

        def __init__(self, units, **given):
            super().__init__(**given)
            self.units = units

        def build(self, shape):
            self.kernel = self.add_weight(shape=(self.units, shape[-1]), name="kernel")

        def call(self, x):
            return keras.ops.matmul(x, keras.ops.transpose(self.kernel))

        def get_config(self):
            return super().get_config() | {"units": self.units}

    x = keras.Input((4,))
    found = groups_of(keras.Model(x, layers.Dense(2)(Turned(4)(x))))
    assert [(axis.axis, axis.units.tolist()) for axis in found.groups["turned/kernel"]] == [(0, [0, 1, 2, 3])]


def test_what_has_no_known_units_is_left_alone_and_named():
    @keras.saving.register_keras_serializable("test_unit_groups")
    class Square(layers.Layer):
        """Nothing tells which axis is its outputs'."""

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], shape[-1]), name="kernel")

        def call(self, x):
            return keras.ops.matmul(x, self.kernel)

    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(2)(Square()(layers.Dense(4)(x))))
    with pytest.warns(RuntimeWarning, match="square/kernel: its layer does not say which units it has"):
        masks = pruned(model)
    assert masks.keys() == {"dense/kernel"}
    only = keras.Model(x, layers.Dense(2)(Square()(x)))
    with pytest.warns(RuntimeWarning), pytest.raises(RecipeError, match="all excluded"):
        pruned(only)


def test_channels_that_are_added_to_an_input_cannot_go():
    x = keras.Input((4,))
    h = layers.Add()([x, layers.Dense(4)(x)])
    model = keras.Model(x, layers.Dense(2)(layers.Dense(6, activation="relu")(h)))
    assert groups_of(model).groups.keys() == {"dense_1/kernel"}
    assert "joined with an input" in groups_of(model).left_alone["dense/kernel"]


def test_the_partners_of_an_excluded_layer_stay():
    with pytest.warns(RuntimeWarning, match="conv2d/kernel: its channels are joined"):
        masks = pruned(unitnets.residual(), exclude=["conv2d_2"])
    assert masks.keys() == {"conv2d_1/kernel"}


def test_plain_nets_are_pruned_by_the_last_axis_without_a_word():
    x = keras.Input((8, 8, 1))
    h = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(layers.Conv2D(3, 3)(x)))
    model = keras.Model(x, layers.Dense(2)(layers.Dense(5, activation="relu")(h)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        masks = pruned(model)
    assert masks.keys() == {"conv2d/kernel", "conv2d_1/kernel", "dense/kernel"}
    assert [mask.any(tuple(range(mask.ndim - 1))).sum() for mask in masks.values()] == [1, 2, 2]
    assert all(groups_of(model).groups[key][0].axis == mask.ndim - 1 for key, mask in masks.items())
