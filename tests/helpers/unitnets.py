"""Small nets whose units are more than a column of one kernel, and by hand: the weights of each of their units.

Each `*_units` gives for every layer a list of units, and for every unit the places of its weights: pairs of a key and
an index. They are written from the definitions of the layers, not from the library's own rules.
"""

import functools
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from kerastickets.data.dataset import Data
from kerastickets.pruning.prune_model import prune

ALL = slice(None)


def autoencoder():
    """Convolutions and transposed convolutions with as many inputs as outputs, so that no shape tells them apart."""
    x = keras.Input((8, 8, 2))
    h = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    h = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(h)
    h = layers.Conv2DTranspose(4, 3, padding="same", activation="relu")(h)
    return keras.Model(x, layers.Conv2D(1, 3, padding="same")(h))


def autoencoder_units():
    return [
        [[("conv2d/kernel", (ALL, ALL, ALL, n))] for n in range(4)],
        [[("conv2d_transpose/kernel", (ALL, ALL, n, ALL))] for n in range(4)],
        [[("conv2d_transpose_1/kernel", (ALL, ALL, n, ALL))] for n in range(4)],
    ]


def attention():
    """A block of a transformer that normalises first: attention of four heads, and two dense layers."""
    x = keras.Input((5, 6))
    h = layers.Dense(6)(x)
    a = layers.LayerNormalization()(h)
    h = layers.Add()([h, layers.MultiHeadAttention(4, 3)(a, a)])
    f = layers.Dense(8, activation="gelu")(layers.LayerNormalization()(h))
    h = layers.Add()([h, layers.Dense(6)(f)])
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(h)))


def attention_units():
    name = "multi_head_attention"
    heads = [
        [(f"{name}/{part}/kernel", (ALL, n, ALL)) for part in ("query", "key", "value")]
        + [(f"{name}/attention_output/kernel", (n, ALL, ALL))]
        for n in range(4)
    ]
    return [heads, [[("dense_1/kernel", (ALL, n))] for n in range(8)]]


def grouped_attention():
    """Four query heads that share two key heads."""
    x = keras.Input((5, 6))
    h = layers.GroupQueryAttention(3, 4, 2)(x, x)
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(h)))


def grouped_attention_units():
    name = "grouped_query_attention"
    return [
        [
            [(f"{name}/query/kernel", (ALL, slice(2 * n, 2 * n + 2), ALL))]
            + [(f"{name}/{part}/kernel", (ALL, n, ALL)) for part in ("key", "value")]
            + [(f"{name}/attention_output/kernel", (slice(2 * n, 2 * n + 2), ALL, ALL))]
            for n in range(2)
        ]
    ]


def recurrent(layer) -> Callable[[], keras.Model]:
    """Two recurrent layers in a row."""

    def build():
        x = keras.Input((7, 3))
        h = layer(6)(layer(4, return_sequences=True)(x))
        return keras.Model(x, layers.Dense(2)(h))

    return build


def recurrent_units(layer: str, gates: int) -> Callable[[], list]:
    def units():
        found = []
        for name, count in ((layer, 4), (f"{layer}_1", 6)):
            cell = f"{name}/{layer}_cell"
            columns = [[n + count * gate for gate in range(gates)] for n in range(count)]
            found.append(
                [
                    [
                        (f"{cell}/kernel", (ALL, own)),
                        (f"{cell}/recurrent_kernel", (ALL, own)),
                        (f"{cell}/recurrent_kernel", (n, ALL)),
                        (f"{cell}/bias", (..., own)),
                    ]
                    for n, own in enumerate(columns)
                ]
            )
        return found

    return units


def residual():
    """A shortcut around one convolution: both sides of the sum lose the same channels."""
    x = keras.Input((6, 6, 2))
    h = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    inner = layers.Conv2D(4, 3, padding="same", activation="relu")(h)
    h = layers.Add()([h, layers.Conv2D(6, 3, padding="same")(inner)])
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(h)))


def residual_units():
    both = [[("conv2d/kernel", (..., n)), ("conv2d_2/kernel", (..., n))] for n in range(6)]
    return [both, [[("conv2d_1/kernel", (..., n))] for n in range(4)]]


def separable():
    """A depthwise convolution, a separable one, and a gate for each channel as in squeeze-and-excite blocks."""
    x = keras.Input((8, 8, 2))
    h = layers.Conv2D(6, 3, activation="relu")(x)
    h = layers.DepthwiseConv2D(3, activation="relu")(h)
    h = layers.SeparableConv2D(4, 3, activation="relu")(h)
    g = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(h))
    g = layers.Conv2D(4, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="relu")(g))
    h = layers.Multiply()([h, g])
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(h)))


def separable_units():
    first = [
        [("conv2d/kernel", (..., n))]
        + [
            (key, (ALL, ALL, n, ALL))
            for key in ("depthwise_conv2d/kernel", "separable_conv2d/depthwise_kernel")
        ]
        for n in range(6)
    ]
    gated = [
        [("separable_conv2d/pointwise_kernel", (..., n)), ("conv2d_2/kernel", (..., n))] for n in range(4)
    ]
    return [first, gated, [[("conv2d_1/kernel", (..., n))] for n in range(2)]]


#: Prune whole units of a net once, without training.
CHANNELS = {
    "levels": 1,
    "scope": "layer",
    "between": "none",
    "no_train": True,
    "granularity": "channel",
    "batch_size": 4,
}

#: By name: the net, and its units.
NETS = {
    "autoencoder": (autoencoder, autoencoder_units),
    "attention": (attention, attention_units),
    "grouped attention": (grouped_attention, grouped_attention_units),
    "lstm": (recurrent(layers.LSTM), recurrent_units("lstm", 4)),
    "gru": (recurrent(layers.GRU), recurrent_units("gru", 3)),
    "simple rnn": (recurrent(layers.SimpleRNN), recurrent_units("simple_rnn", 1)),
    "residual": (residual, residual_units),
    "separable": (separable, separable_units),
}


@functools.cache
def halved(name: str) -> tuple[keras.Model, dict[str, np.ndarray]]:
    """A net of `NETS`, and the masks of a run that prunes half of the weights of layers that go together."""
    model = NETS[name][0]()
    run = prune(model, data_for(model), "random", **CHANNELS, sparsity=0.5)
    return model, dict(run.tickets[-1].masks)


def data_for(model) -> Data:
    """Random inputs and targets that fit a model."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, *model.input_shape[1:])).astype("float32")
    y = rng.normal(size=(24, *model.output_shape[1:])).astype("float32")
    return Data(
        "fitting", (x[:12], y[:12]), (x[12:18], y[12:18]), (x[18:], y[18:]), "mean_squared_error", (), None
    )


def embedded():
    """An embedding, a recurrent layer without bias, and one whose two biases differ."""
    x = keras.Input((6,))
    h = layers.Embedding(9, 5)(x)
    h = layers.LSTM(4, return_sequences=True, use_bias=False)(h)
    h = layers.Dense(4, activation="relu")(h)
    return keras.Model(x, layers.Dense(2)(layers.GRU(3, reset_after=True)(h)))


def einsums():
    """Dense layers written as einsums, one with its kernel the other way round."""
    x = keras.Input((4, 3))
    h = layers.EinsumDense("abc,cd->abd", (4, 6), bias_axes="d", activation="relu")(x)
    h = layers.EinsumDense("abc,dc->abd", (4, 5), activation="tanh")(h)
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(h)))


def moved():
    """Units that go to another axis and come back, through Reshape, Permute and a flattened tensor."""
    x = keras.Input((4, 3))
    h = layers.Dense(6, activation="relu")(x)
    h = layers.Permute((2, 1))(h)
    h = layers.Activation("tanh")(h)
    h = layers.Reshape((6, 2, 2))(h)
    h = layers.Permute((2, 3, 1))(h)
    h = layers.Conv2D(5, 1, activation="relu")(h)
    h = layers.Reshape((2, 2, 5))(layers.Reshape((20,))(h))
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(h)))


def gated():
    """Products: a gate beside the channels, an activation by hand, and one gate for all channels."""
    x = keras.Input((6, 6, 2))
    h = layers.Conv2D(5, 3, activation="relu")(x)
    h = layers.Multiply()([h, layers.Activation("sigmoid")(h)])
    h = h * layers.Conv2D(5, 1, activation="sigmoid")(h)
    h = layers.Multiply()([h, layers.Conv2D(1, 1, activation="sigmoid")(h)])
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(h)))


#: Further nets that compaction goes through.
FURTHER = {"embedded": embedded, "einsums": einsums, "moved": moved, "gated": gated}
