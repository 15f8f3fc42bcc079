"""Small model builders that several test files share: one for every way that Keras puts models together."""

import keras
import numpy as np
from keras import layers

from kerastickets.data.dataset import CROSS_ENTROPY, Data


def plain():
    """4 -> 6 -> 3, the smallest classifier; tanh, since a dead ReLU stops weights that should move."""
    return keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="tanh"), layers.Dense(3)])


def normalised():
    """Dense and BatchNormalization, with a Dropout that must not count as anything."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6),
            layers.BatchNormalization(),
            layers.Dropout(0.1),
            layers.Dense(3),
        ]
    )


def named():
    """Names of its own, one of which looks like one that Keras makes up."""
    for _ in range(2):
        layers.Dense(1)  # so that the names Keras makes up are past `dense_1`
    x = keras.Input((4,))
    hidden = layers.Dense(5, name="head")(layers.Dense(6)(layers.Dense(4)(x)))
    return keras.Model(x, layers.EinsumDense("ab,bc->ac", 3, name="dense_1")(hidden))


def convolutional():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(2, 3, activation="relu"),
            layers.DepthwiseConv2D(2),
            layers.SeparableConv2D(3, 2),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def nested():
    """A Functional inside a Sequential inside a Functional, with equal layers at every depth."""
    x = keras.Input((4,))
    inner = keras.Model(x, layers.Dense(4)(layers.Dense(4)(x)))
    middle = keras.Sequential([keras.Input((4,)), inner, layers.Dense(4)])
    y = keras.Input((4,))
    return keras.Model(y, layers.Dense(3)(middle(layers.Dense(4)(y))))


def shared():
    """One layer called three times, and one model called twice."""
    x = keras.Input((4,))
    layer = layers.Dense(4, activation="tanh")
    block = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
    return keras.Model(x, layers.Dense(3)(block(layer(block(layer(layer(x)))))))


def pictures():
    """A recurrent convolution, whose name Keras writes in a way of its own."""
    x = keras.Input((3, 5, 5, 1))
    h = layers.ConvLSTM2D(2, 3)(x)
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(h)))


def branched():
    """Parallel branches, made in another order than they are joined."""
    x = keras.Input((4,))
    a, b, c = layers.Dense(2), layers.Dense(3), layers.Dense(4)
    joined = layers.Concatenate()([c(x), a(x), b(x)])
    return keras.Model(x, layers.Dense(3)(joined))


def residual():
    """Additions written as operators, not as layers."""
    x = keras.Input((4,))
    h = layers.Dense(4)(x)
    h = h + layers.Dense(4)(keras.ops.relu(h)) * 0.5
    return keras.Model(x, layers.Dense(3)(h))


def attention():
    x = keras.Input((5,), dtype="int32")
    h = layers.Embedding(7, 4)(x)
    h = h + layers.MultiHeadAttention(2, 3)(h, h)
    h = layers.LayerNormalization()(h)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(h)))


def recurrent():
    x = keras.Input((5, 4))
    h = layers.LSTM(3, return_sequences=True)(x)
    h = layers.TimeDistributed(layers.Dense(4))(h)
    h = layers.Bidirectional(layers.GRU(2))(h)
    return keras.Model(x, layers.Dense(3)(h))


def two_outputs():
    x = keras.Input((4,))
    h = layers.Dense(5)(x)
    return keras.Model(x, [layers.Dense(3)(h), layers.Dense(2)(layers.Dense(4)(h))])


@keras.saving.register_keras_serializable("tests")
class WithConfig(keras.Model):
    """A subclassed model that Keras can write down, with sublayers in a list and in a block."""

    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.blocks = [layers.Dense(width, activation="relu") for _ in range(2)]
        self.inner = keras.Sequential([layers.Dense(width), layers.Dense(3)])

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.inner(x)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


class Opaque(keras.Model):
    """A subclassed model without a config: its argument is no JSON."""

    def __init__(self, make):
        super().__init__()
        self.first, self.second = make(5), make(3)
        self.scale = self.add_weight(name="scale", shape=(3,), initializer="ones")

    def call(self, x):
        return self.second(self.first(x)) * self.scale


def subclassed():
    model = WithConfig()
    model(np.zeros((1, 4), "float32"))
    return model


def opaque():
    model = Opaque(lambda units: layers.Dense(units))
    model(np.zeros((1, 4), "float32"))
    return model


@keras.saving.register_keras_serializable("tests")
class Scaled(keras.layers.Layer):
    """A layer of somebody else's, with a kernel of its own and a sublayer that it makes itself."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], self.units), initializer="glorot_uniform"
        )
        self.dense.build((*input_shape[:-1], self.units))

    def call(self, x):
        return self.dense(keras.ops.matmul(x, self.kernel))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def custom():
    return keras.Sequential([keras.Input((4,)), Scaled(5), layers.Dense(3)])


#: Every model that Keras can write down as a config.
REBUILDABLE = [
    plain,
    normalised,
    named,
    convolutional,
    nested,
    shared,
    pictures,
    branched,
    residual,
    attention,
    recurrent,
    two_outputs,
    subclassed,
    custom,
]


def vectors(count=24, seed=0):
    """Inputs of four numbers in three classes that a line separates."""
    x = np.random.default_rng(seed).normal(size=(count, 4)).astype("float32")
    return x, np.arange(count) % 3


def data(count=24):
    """`vectors` as a data set."""
    return Data(
        "vectors", vectors(count, 0), vectors(12, 1), vectors(12, 2), CROSS_ENTROPY, ("accuracy",), classes=3
    )
