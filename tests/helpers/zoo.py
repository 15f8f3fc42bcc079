"""Small nets of every form that structure is followed through, each built by Keras and written down by hand.

Activations are smooth and no pool takes a maximum where numbers are compared, so that what can matter does.
"""

import functools

import keras
from keras import layers

from tests.helpers.bruteforce import Builder


def lenet_5(b):
    x = b.input(8, 8, 1)
    x = b.each(b.conv(x, 2, 3, padding="same", activation="tanh"), layers.AveragePooling2D(2))
    x = b.each(b.conv(x, 4, 3, activation="tanh"), layers.AveragePooling2D(2))
    x = b.dense(b.dense(b.flat(x), 5, activation="tanh"), 4, activation="tanh")
    return [b.dense(x, 3)]


def stacked(b, blocks):
    x = b.input(8, 8, 2)
    for filters in blocks:
        for _ in range(2):
            x = b.conv(x, filters, 3, padding="same", activation="tanh")
        x = b.each(x, layers.AveragePooling2D(2))
    x = b.dense(b.dense(b.flat(x), 4, activation="tanh"), 3, activation="tanh")
    return [b.dense(x, 2)]


def mlp_of_images(b):
    x = b.flat(b.each(b.input(2, 3, 1, pixels=True), layers.Rescaling(0.5)))
    x = b.each(b.dense(x, 5), layers.BatchNormalization(), layers.Activation("tanh"), layers.Dropout(0.1))
    return [b.dense(b.dense(x, 4, activation="tanh"), 3)]


def residual(b):
    """Two blocks, the second with a projection, BatchNormalization and global pooling, as in ResNet-20."""

    def normalised(x, filters, size=3, strides=1):
        y = b.conv(x, filters, size, strides=strides, padding="same", use_bias=False)
        return b.each(y, layers.BatchNormalization())

    tanh = functools.partial(layers.Activation, "tanh")
    x = b.each(normalised(b.input(4, 4, 3), 3), tanh())
    h = normalised(b.each(normalised(x, 3), tanh()), 3)
    x = b.each(b.joined(layers.Add(), h, x), tanh())
    h = normalised(b.each(normalised(x, 4, strides=2), tanh()), 4)
    x = b.each(b.joined(layers.Add(), normalised(x, 4, 1, 2), h), tanh())
    return [b.dense(b.each(x, layers.GlobalAveragePooling2D()), 3)]


def operators(b):
    """Additions and concatenation by operators, and a layer that is called as an operator would be."""
    x = b.input(4)
    keras.ops.add(x.tensor, x.tensor)  # so that the next one that Keras names is past `add`
    h = b.dense(x, 4, name="add", activation="tanh")
    h = b.joined(lambda p, q: p + q, h, x)
    h = b.each(h, lambda t: t * 0.5, lambda t: t - 1.0, keras.ops.tanh)
    h = b.joined(lambda p, q: p - q, h, b.dense(h, 4))
    h = b.beside(h, x, join=lambda some: keras.ops.concatenate(some, axis=-1))
    return [b.dense(h, 2)]


def branches(b):
    """Two branches of images and one of numbers, joined flat."""
    image, numbers = b.input(4, 4, 2), b.input(3)
    left = b.conv(image, 2, 3, activation="tanh")
    right = b.conv(image, 3, 3, activation="tanh")
    both = b.beside(left, right)
    other = b.flat(b.each(left, layers.AveragePooling2D(2)))
    joined = b.beside(b.flat(both), numbers, other)
    h = b.dense(joined, 4, activation="tanh")
    return [b.dense(h, 2), b.dense(b.dense(h, 3, activation="tanh"), 2)]


def depthwise(b):
    x = b.depthwise(b.input(4, 4, 2), 2, times=2, activation="tanh")
    x = b.separable(b.each(x, layers.ZeroPadding2D(1)), 3, 2, times=2, activation="tanh")
    x = b.depthwise(x, 2, activation="tanh")
    return [b.dense(b.each(x, layers.GlobalAveragePooling2D()), 2)]


def grouped(b):
    x = b.conv(b.input(4, 4, 4), 6, 2, groups=2, activation="tanh")
    x = b.conv(b.each(x, layers.UpSampling2D(2)), 6, 2, groups=3, activation="tanh")
    x = b.conv(x, 2, 1)
    return [b.each(x, layers.GlobalAveragePooling2D())]


def transposed(b):
    x = b.transposed(b.input(2, 2, 3), 4, 2, strides=2, activation="tanh")
    x = b.transposed(b.each(x, layers.Cropping2D(1)), 2, 2, activation="tanh")
    return [b.dense(b.flat(x), 3)]


def line(b):
    x = b.conv(b.input(6, 2), 3, 2, kind=layers.Conv1D, activation="tanh")
    x = b.dense(x, 3, activation="tanh")  # at every place
    return [b.dense(b.each(x, layers.AveragePooling1D(2), layers.GlobalAveragePooling1D()), 2)]


def shared(b):
    """A layer called three times and a nested model called twice."""
    twice = layers.Dense(4, activation="tanh")
    inner = [layers.Dense(3, activation="tanh"), layers.Dense(4, activation="tanh")]
    block = keras.Sequential([keras.Input((4,)), *inner])
    x = b.dense(b.input(4), layer=twice)
    x = b.nested(b.dense(x, layer=twice), block, *inner)
    x = b.nested(b.dense(x, layer=twice), block, *inner)
    return [b.dense(x, 3)]


def nested(b):
    """A Functional inside a Sequential inside a Functional."""
    first, second, third = (layers.Dense(n, activation="tanh") for n in (4, 3, 4))
    start = keras.Input((4,))
    inner = keras.Model(start, second(first(start)))
    middle = keras.Sequential([keras.Input((4,)), inner, third])
    x = b.dense(b.input(4), 4, activation="tanh")
    return [b.dense(b.nested(x, middle, first, second, third), 3)]


def ended_by_models(b):
    """The outputs are those of a model that is called twice, the second call first, and of another."""
    inner = [layers.Dense(3, activation="tanh"), layers.Dense(4)]
    start, other = keras.Input((4,)), layers.Dense(2)
    twice = keras.Model(start, inner[1](inner[0](start)))
    once = keras.Model(start, other(start))
    first = b.nested(b.input(4), twice, *inner)
    second = b.nested(b.dense(first, 4, activation="tanh"), twice, *inner)
    return [second, first, b.nested(first, once, other)]


def two_inputs(b):
    """Inputs that each feed an output of their own and one that both feed; one input is its own neighbour."""
    left, right = b.input(3), b.input(2)
    a, c = b.dense(left, 3, activation="tanh"), b.dense(right, 3, activation="tanh")
    both = b.joined(layers.Average(), a, c)
    return [b.dense(a, 2), b.dense(b.beside(both, both, c), 2), b.dense(c, 1)]


def ended_by_softmax(b):
    x = b.dense(b.input(4), 4, activation="tanh")
    return [b.dense(x, 3, activation="softmax")]


FORMS = {
    "lenet-5": lenet_5,
    "conv-2": functools.partial(stacked, blocks=(3,)),
    "conv-4": functools.partial(stacked, blocks=(2, 3)),
    "conv-6": functools.partial(stacked, blocks=(2, 2, 3)),
    "mlp": mlp_of_images,
    "residual": residual,
    "operators": operators,
    "branches": branches,
    "depthwise": depthwise,
    "grouped": grouped,
    "transposed": transposed,
    "line": line,
    "shared": shared,
    "nested": nested,
    "ended-by-models": ended_by_models,
    "two-inputs": two_inputs,
    "softmax": ended_by_softmax,
}


@functools.cache
def built(form):
    """The Keras model and the net of one form; made once."""
    builder = Builder()
    return builder.finish(*FORMS[form](builder))
