"""Small nets of the forms that are compacted, with weights, biases and statistics that none of them is neutral in."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from kerastickets.models.variables import variables


def lenet(dtype: str) -> keras.Model:
    """LeNet-300-100, narrower."""
    dense = [layers.Dense(units, activation="relu", dtype=dtype) for units in (30, 10)]
    return keras.Sequential(
        [
            keras.Input((7, 7, 1), dtype=dtype),
            layers.Flatten(dtype=dtype),
            *dense,
            layers.Dense(5, dtype=dtype),
        ]
    )


def conv(blocks: int, padding: str = "same") -> Callable[[str], keras.Model]:
    """Conv-2, Conv-4 or Conv-6, narrower."""

    def build(dtype: str) -> keras.Model:
        net = [keras.Input((8, 8, 3), dtype=dtype)]
        for filters in (4, 8, 12)[:blocks]:
            for _ in range(2):
                net.append(layers.Conv2D(filters, 3, padding=padding, activation="relu", dtype=dtype))
            net.append(layers.MaxPooling2D(dtype=dtype))
        dense = [layers.Dense(12, activation="relu", dtype=dtype) for _ in range(2)]
        return keras.Sequential([*net, layers.Flatten(dtype=dtype), *dense, layers.Dense(4, dtype=dtype)])

    return build


def vgg(dtype: str) -> keras.Model:
    """Convolutions without bias, each before BatchNormalization, as in VGG-19."""
    net: list[Any] = [keras.Input((8, 8, 3), dtype=dtype)]
    for filters in (6, 6, "pool", 8, 8, "pool", 10):
        if filters == "pool":
            net.append(layers.MaxPooling2D(dtype=dtype))
            continue
        net.append(layers.Conv2D(filters, 3, padding="same", use_bias=False, dtype=dtype))
        net += [layers.BatchNormalization(dtype=dtype), layers.ReLU(dtype=dtype)]
    return keras.Sequential([*net, layers.GlobalAveragePooling2D(dtype=dtype), layers.Dense(4, dtype=dtype)])


def _normalised(x: Any, filters: int, size: int, strides: int, dtype: str) -> Any:
    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, dtype=dtype)(x)
    return layers.BatchNormalization(dtype=dtype)(x)


def residual(dtype: str) -> keras.Model:
    """Three residual blocks, the second with a projection shortcut."""
    start = keras.Input((8, 8, 3), dtype=dtype)
    x = layers.ReLU(dtype=dtype)(_normalised(start, 6, 3, 1, dtype))
    for filters, strides in ((6, 1), (9, 2), (9, 1)):
        h = layers.ReLU(dtype=dtype)(_normalised(x, filters, 3, strides, dtype))
        h = _normalised(h, filters, 3, 1, dtype)
        short = x if strides == 1 else _normalised(x, filters, 1, strides, dtype)
        x = layers.ReLU(dtype=dtype)(layers.Add(dtype=dtype)([short, h]))
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return keras.Model(start, layers.Dense(4, dtype=dtype)(x))


def densenet(dtype: str) -> keras.Model:
    """Each layer takes all that came before it, side by side."""
    start = keras.Input((8, 8, 3), dtype=dtype)
    x = layers.Conv2D(6, 3, padding="same", dtype=dtype)(start)
    for _ in range(3):
        h = layers.ReLU(dtype=dtype)(layers.BatchNormalization(dtype=dtype)(x))
        h = layers.Conv2D(4, 3, padding="same", use_bias=False, dtype=dtype)(h)
        x = layers.Concatenate(dtype=dtype)([x, h])
    x = layers.AveragePooling2D(2, dtype=dtype)(layers.Conv2D(8, 1, activation="relu", dtype=dtype)(x))
    return keras.Model(start, layers.Dense(4, dtype=dtype)(layers.Flatten(dtype=dtype)(x)))


def mobilenet(dtype: str) -> keras.Model:
    """Depthwise and pointwise convolutions, and an inverted residual block."""
    start = keras.Input((8, 8, 3), dtype=dtype)
    x = layers.ReLU(6.0, dtype=dtype)(_normalised(start, 6, 3, 2, dtype))
    for filters, strides in ((6, 1), (9, 2)):
        h = layers.ReLU(6.0, dtype=dtype)(_normalised(x, 12, 1, 1, dtype))
        h = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False, dtype=dtype)(h)
        h = layers.ReLU(6.0, dtype=dtype)(layers.BatchNormalization(dtype=dtype)(h))
        h = _normalised(h, filters, 1, 1, dtype)
        x = layers.Add(dtype=dtype)([x, h]) if strides == 1 else h
    x = layers.SeparableConv2D(8, 3, padding="same", activation="relu", dtype=dtype)(x)
    return keras.Model(start, layers.Dense(4, dtype=dtype)(layers.GlobalMaxPooling2D(dtype=dtype)(x)))


FORMS: Mapping[str, Callable[[str], keras.Model]] = {
    "lenet": lenet,
    "conv-2": conv(1),
    "conv-2, valid": conv(1, "valid"),
    "conv-4": conv(2),
    "conv-6": conv(3),
    "vgg": vgg,
    "residual": residual,
    "densenet": densenet,
    "mobilenet": mobilenet,
}


def prune(
    model: keras.Model,
    densities: Mapping[str, float] | float,
    rng: np.random.Generator,
    whole: float = 0.0,
    gain: float | None = None,
) -> None:
    """Draw all weights, and set some kernels' to zero.

    Args:
        model: what to change.
        densities: the share of each kernel that stays, or of all.
        rng: draws them.
        whole: the share of the output channels of kernels that go as a whole.
        gain: of kernels: their weights are so large that what is kept passes on that share of a deviation, however
            large the net. Without it weights have a deviation of a half.
    """
    for key, variable in variables(model).items():
        fan_in = max(1, variable.shape and int(np.prod(variable.shape[:-1])))
        spread = 0.5 if gain is None else gain / np.sqrt(fan_in)
        values = rng.normal(size=variable.shape) * (spread if len(variable.shape) > 1 else 1.0)
        if key.endswith("variance"):
            values = np.abs(values) + 0.5
        if len(variable.shape) > 1:
            density = densities if isinstance(densities, float) else densities[key]
            values *= (rng.random(values.shape) < density) & (rng.random(values.shape[-1]) >= whole)
        variable.assign(values)
