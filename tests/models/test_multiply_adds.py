"""Multiply-adds, counted by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.layers import aware
from kerastickets.models.multiply_adds import multiply_adds
from tests.helpers.nets import nested, shared


def counted(*stack, shape=(8, 8, 2)):
    return multiply_adds(keras.Sequential([keras.Input(shape), *stack]))["dense"]


def test_three_layers_by_hand():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(2, 3),  # 18 weights at 6 x 6
            layers.MaxPooling2D(2),
            layers.Conv2D(4, 3, padding="same"),  # 72 weights at 3 x 3
            layers.Flatten(),
            layers.Dense(5),  # 36 x 5
        ]
    )
    assert multiply_adds(model) == {"dense": 18 * 36 + 72 * 9 + 180, "theoretical": 18 * 36 + 72 * 9 + 180}
    kernel = np.zeros((3, 3, 1, 2), "float32")
    kernel[0, 0, 0, 0] = kernel[2, 1, 0, 1] = 1
    model.layers[0].kernel.assign(kernel)
    assert multiply_adds(model) == {"dense": 1476, "theoretical": 2 * 36 + 72 * 9 + 180}
    assert "call" not in vars(model.layers[0])


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv2D(4, 3, strides=2, groups=2), (8, 8, 2), 3 * 3 * 1 * 4 * 9),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 2), 3 * 3 * 2 * 2 * 36),
        (layers.SeparableConv2D(5, 3), (8, 8, 2), (3 * 3 * 2 + 2 * 5) * 36),
        (layers.Conv2DTranspose(3, 2, strides=2), (4, 4, 2), 2 * 2 * 2 * 3 * 16),
        (layers.Conv1D(3, 2, dilation_rate=2), (6, 2), 2 * 2 * 3 * 4),
        (layers.Conv3D(2, 2), (3, 3, 3, 1), 8 * 2 * 8),
        (layers.Dense(3), (5, 2), 5 * 2 * 3),
        (layers.EinsumDense("abc,cd->abd", (None, 3)), (5, 2), 5 * 2 * 3),
        (layers.EinsumDense("...x,xy->...y", 3), (5, 2), 5 * 2 * 3),
        (layers.LSTM(3), (5, 2), 5 * (2 * 12 + 3 * 12)),
        (layers.Bidirectional(layers.GRU(3)), (5, 2), 2 * 5 * (2 * 9 + 3 * 9)),
        (layers.TimeDistributed(layers.Dense(3)), (5, 2), 5 * 2 * 3),
        (layers.ConvLSTM1D(2, 3, padding="same"), (4, 6, 1), 4 * 6 * (3 * 1 * 8 + 3 * 2 * 8)),
        (layers.PReLU(), (5, 2), 0),
        (layers.Embedding(7, 3), (5,), 0),
        (aware(layers.Dense)(3), (5, 2), 5 * 2 * 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Layer) else "",
)
def test_each_kind_of_layer(layer, shape, expected):
    assert counted(layer, shape=shape) == expected


def test_layers_count_at_every_call():
    # shared(): a layer called three times and a model called twice; nested(): models in models.
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
    x = keras.Input((4,))
    assert multiply_adds(keras.Model(x, model(model(x))))["dense"] == 2 * 16
    assert multiply_adds(nested())["dense"] == 16 * 4 + 12
    assert multiply_adds(shared())["dense"] > sum(w.size for w in shared().get_weights() if w.ndim > 1)


def test_several_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Add()([layers.Dense(2)(a), layers.Dense(2)(b)]))
    assert multiply_adds(model)["dense"] == 8 + 6


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(3), Scaled()

    def call(self, inputs):
        return self.second(self.first(inputs))


class Scaled(layers.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 2))

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.matrix)


def test_subclassed_models_and_layers():
    model = Own()
    x = np.zeros((1, 5, 4), "float32")
    model(x)
    assert multiply_adds(model, x)["dense"] == 5 * (4 * 3 + 3 * 2)
    with pytest.raises(ValueError, match="Give `inputs`"):
        multiply_adds(model)
