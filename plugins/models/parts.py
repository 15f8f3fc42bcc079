"""Building blocks that several models share."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from kerastickets.plugin import Data, DataError, check_memory

# The model holds its weights as float32, and a ticket two more copies while they are drawn.
_BYTES_PER_WEIGHT = 3 * 4


def check_images(model: str, data: Data, least: int = 1) -> None:
    """Check that the examples of a data set are images that are large enough for a model.

    Args:
        model: name of the model, for the message.
        data: the data set that the model is built for.
        least: smallest allowed height and width, in pixels.

    Raises:
        DataError: the examples are not images `(height, width, channels)`, or the images are too small.
    """
    if len(data.input_shape) != 3 or min(data.input_shape[:2]) < least:
        size = f" of at least {least}x{least}" if least > 1 else ""
        raise DataError(
            f"{model} must have images (height, width, channels){size}. "
            f"Received: data set '{data.name}' with inputs {data.input_shape}"
        )


def check_weights(model: str, weights: int) -> None:
    """Check that a model fits into memory before its weights are allocated.

    Args:
        model: name of the model, for the message.
        weights: its number of weights.

    Raises:
        RecipeError: the model does not fit.
    """
    check_memory(weights * _BYTES_PER_WEIGHT, f"The weights of {model}", "Make its layers smaller.")


def check_layers(model: str, shape: Sequence[int], layers: Iterable[Any]) -> None:
    """Check that the dense layers and convolutions of a model fit into memory before they are built.

    Args:
        model: name of the model, for the message.
        shape: the shape of one example.
        layers: Keras layers, each applied to the output of the previous one.

    Raises:
        RecipeError: the model does not fit.
    """
    from keras.layers import Conv2D, Dense

    weights, now = 0, (None, *shape)
    for layer in layers:
        if isinstance(layer, Dense):
            weights += now[-1] * layer.units
        elif isinstance(layer, Conv2D):
            weights += math.prod(layer.kernel_size) * now[-1] * layer.filters
        now = layer.compute_output_shape(now)
    check_weights(model, weights)


def glorot_normal() -> Any:
    """The untruncated Glorot normal initializer of the papers; Keras's own is truncated."""
    from keras.initializers import VarianceScaling

    return VarianceScaling(1.0, "fan_avg", "untruncated_normal")


def normalised(x: Any, filters: int, *, size: int = 3, stride: int = 1) -> Any:
    """Apply a convolution without bias, followed by BatchNormalization, to `x`.

    Args:
        x: images, as a Keras tensor.
        filters: number of filters.
        size: height and width of the kernel, in pixels.
        stride: stride of the convolution, in pixels.
    """
    from keras import layers

    convolution = layers.Conv2D(
        filters, size, strides=stride, padding="same", use_bias=False, kernel_initializer=glorot_normal()
    )
    # With Keras's default momentum of 0.99, the statistics would stay near their start for some hundred iterations.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(convolution(x))
