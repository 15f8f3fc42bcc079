import math

import keras
import pytest
from keras import layers

from kerastickets import layers as kt
from kerastickets.errors import RecipeError
from kerastickets.models.architecture import architecture
from kerastickets.models.narrower import narrowed
from kerastickets.models.prunable_weights import weight_reports
from tests.helpers import nets


def weights(model):
    return sum(math.prod(entry.shape) for entry in weight_reports(model) if entry.masked)


def dense(*widths):
    return keras.Sequential([keras.Input((4,)), *[layers.Dense(width) for width in widths]])


@pytest.mark.parametrize(
    ("widths", "wanted", "expected"),
    [
        ((10, 2), 18, [3, 2]),  # 4*3 + 3*2
        ((10, 2), 6, [1, 2]),  # 4*1 + 1*2, the narrowest there is
        ((10, 2), 60, [10, 2]),  # 4*10 + 10*2, all of it
        ((10, 2), 1, [1, 2]),
        ((10, 2), 10_000, [10, 2]),
        # Factors around .45: 9 and 4 (4.5 rounds to even) have 84 weights, 9 and 5 have 96.
        ((20, 10, 3), 84, [9, 4, 3]),
        ((20, 10, 3), 96, [9, 5, 3]),
    ],
)
def test_hidden_widths_follow_one_factor(widths, wanted, expected):
    model = narrowed(dense(*widths), wanted)
    assert [layer.units for layer in model.layers] == expected


def test_filters_narrow_like_units():
    model = narrowed(nets.convolutional(), 80)
    # 9a + 4a + 4a + ab + 48b with a = 2f and b = 3f: 66 for 1 and 1, 115 for 1 and 2.
    assert [layer.filters for layer in model.layers if "filters" in layer.get_config()] == [1, 1]
    assert weights(model) == 66
    assert model.output_shape == (None, 3)


def test_layers_in_layers_narrow_too():
    model = nets.recurrent()
    small = narrowed(model, weights(model) // 2)
    assert small.output_shape == model.output_shape
    assert weights(small) < weights(model)


def test_mask_aware_models_give_plain_ones():
    model = keras.Sequential([keras.Input((4,)), kt.Dense(10), kt.Dense(2)])
    small = narrowed(model, 18)
    assert [type(layer) for layer in small.layers] == [layers.Dense, layers.Dense]


def test_layers_of_somebodys_own_narrow_too():
    small = narrowed(nets.custom(), 20)
    assert type(small.layers[0]) is nets.Scaled
    assert (small.layers[0].units, small.layers[1].units) == (2, 3)  # 4*2 + 2*2 + 2*3


def test_the_model_is_not_changed():
    model = dense(10, 2)
    before, config = model.get_weights(), architecture(model)
    narrowed(model, 18)
    assert architecture(model) == config
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def skipped():
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(3)(x + layers.Dense(4)(layers.Dense(8)(x))))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (nets.opaque, "Received: a model without one"),
        (lambda: dense(3), r"hidden layer with units or filters. Received: a model with 1 such layers"),
        (nets.subclassed, r"Received: a model with 0 such layers"),
        (nets.two_outputs, r"must leave the outputs as they are. Received: \[\(None, 3\), \(None, 2\)\]"),
        (skipped, "Received: an architecture whose widths are tied"),
        (nets.nested, "Received: an architecture whose widths are tied"),
    ],
    ids=["no-config", "linear", "subclassed", "two-outputs", "skip", "nested"],
)
def test_what_cannot_be_narrowed_is_refused(build, message):
    with pytest.raises(RecipeError, match=message):
        narrowed(build(), 10)
