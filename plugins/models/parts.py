"""Building blocks that several models share."""

from typing import Any

from kerastickets.plugin import Data, DataError


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
