"""What several models are made of."""

from typing import Any

from kerastickets.plugin import Data, DataError


def check_images(model: str, data: Data, least: int = 1) -> None:
    """Refuse examples that cannot be convolved.

    Args:
        model: the model's name, for the message.
        data: what it is built for.
        least: pixels that a side must have at least.

    Raises:
        DataError: if the examples are no images `(height, width, channels)`, or too small ones.
    """
    if len(data.input_shape) != 3 or min(data.input_shape[:2]) < least:
        size = f" of at least {least}x{least}" if least > 1 else ""
        raise DataError(
            f"{model} must have images (height, width, channels){size}. "
            f"Received: data set '{data.name}' with inputs {data.input_shape}"
        )


def glorot_normal() -> Any:
    """The papers' Glorot normal: Keras's own is truncated."""
    from keras.initializers import VarianceScaling

    return VarianceScaling(1.0, "fan_avg", "untruncated_normal")


def normalised(x: Any, filters: int, *, size: int = 3, stride: int = 1) -> Any:
    """A convolution without bias and its BatchNormalization, applied to `x`.

    Args:
        x: images as a Keras tensor.
        filters: how many.
        size: pixels of a kernel's side.
        stride: pixels between two applications.
    """
    from keras import layers

    convolution = layers.Conv2D(
        filters, size, strides=stride, padding="same", use_bias=False, kernel_initializer=glorot_normal()
    )
    # Keras's own momentum of 0.99 would leave statistics near their start in a training of some hundred iterations.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(convolution(x))
