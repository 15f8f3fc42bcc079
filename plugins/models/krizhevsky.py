"""Krizhevsky's small net for CIFAR-10, with local response normalisation."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from kerastickets.plugin import Data
from kerastickets_plugins.models.parts import check_images, check_layers, glorot_normal

#: Number of pixels that the net crops at each edge: 32x32 images become 28x28.
BORDER = 2


@dataclass(frozen=True)
class KrizhevskyLrn:
    """Two blocks of a 5x5 convolution, max-pool 3x3/2 and local response normalisation, then dense 384, 192, logits.

    The net crops two pixels at each edge of an image: it sees the central 28x28 pixels of 32x32. In training,
    its recipe shifts each image at random by up to two pixels (`crop:2`). The centre is then a random 28x28
    crop of the original image, because the net crops away the padding that the shift adds. ReLU, `same`
    padding, Glorot normal (untruncated), zero biases. Local response normalisation has depth radius 4, bias
    1, alpha 0.001/9 and beta 0.75. On 32x32x3 images with five classes the net has 1,386,112 weights. Its
    recipe is plain SGD with learning rate 0.01 and batches of 256.

    Args:
        width: number of filters of each convolution, at least 1; the paper uses 64.

    Raises:
        DataError: the examples are not images `(height, width, channels)`, or the images are too small.
        RecipeError: the net does not fit into memory.

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((10, 32, 32, 3)), np.arange(10)
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=10)
        >>> [layer.output.shape[1:] for layer in KrizhevskyLrn(width=16)(data).layers[:3]]
        [(28, 28, 3), (28, 28, 16), (14, 14, 16)]

    Reference:
        R. Van Soelen, J. Sheppard, Using Winning Lottery Tickets in Transfer Learning for Convolutional
        Neural Networks, table I.
    """

    width: int = 64

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"optimizer": "sgd", "lr": 0.01, "batch_size": 256, "augment": f"crop:{BORDER}"}
    )

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"`width` must be at least 1. Received: width={self.width}")

    def __call__(self, data: Data) -> Any:
        import keras
        from keras import layers

        check_images("krizhevsky-lrn", data, 2 * BORDER + 4)
        dense = [
            layers.Dense(units, activation="relu", kernel_initializer=glorot_normal()) for units in (384, 192)
        ]
        whole = [
            layers.Cropping2D(BORDER),
            *_block(self.width),
            *_block(self.width),
            layers.Flatten(),
            *dense,
            layers.Dense(data.outputs, kernel_initializer=glorot_normal()),
        ]
        check_layers("krizhevsky-lrn", data.input_shape, whole)
        return keras.Sequential([keras.Input(data.input_shape), *whole])


def _block(width: int) -> list[Any]:
    from keras import layers

    from kerastickets.plugin import LocalResponseNormalization

    return [
        layers.Conv2D(width, 5, padding="same", activation="relu", kernel_initializer=glorot_normal()),
        layers.MaxPooling2D(3, 2, padding="same"),
        LocalResponseNormalization(),
    ]
