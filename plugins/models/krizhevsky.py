"""Krizhevsky's small net for CIFAR-10, with local response normalisation."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from kerastickets.plugin import Data
from kerastickets_plugins.models.parts import check_images, glorot_normal

#: Pixels that the net cuts off each edge: 32x32 images become 28x28.
BORDER = 2


@dataclass(frozen=True)
class KrizhevskyLrn:
    """Two blocks of a 5x5 convolution, max-pool 3x3/2 and local response normalisation, then dense 384, 192, logits.

    It sees the middle of an image, without two pixels at each edge: 28x28 of 32x32. In training its recipe shifts
    each image at random by up to these two pixels (`crop:2`), so that the middle is a random 28x28 crop of the
    image itself: what the shift brings in at an edge is cut off again. ReLU, `same` padding, Glorot normal
    (untruncated), zero biases; depth radius 4, bias 1, alpha .001/9, beta .75. On 32x32x3 images with five
    classes it has 1,386,112 weights. Its recipe is plain SGD 0.01 with batches of 256.

    Args:
        width: filters of each convolution; the paper's is 64.

    Raises:
        DataError: if the examples are no images `(height, width, channels)`, or too small ones.

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

    def __call__(self, data: Data) -> Any:
        import keras
        from keras import layers

        check_images("krizhevsky-lrn", data, 2 * BORDER + 4)
        dense = [
            layers.Dense(units, activation="relu", kernel_initializer=glorot_normal()) for units in (384, 192)
        ]
        return keras.Sequential(
            [
                keras.Input(data.input_shape),
                layers.Cropping2D(BORDER),
                *_block(self.width),
                *_block(self.width),
                layers.Flatten(),
                *dense,
                layers.Dense(data.outputs, kernel_initializer=glorot_normal()),
            ]
        )


def _block(width: int) -> list[Any]:
    from keras import layers

    from kerastickets.plugin import LocalResponseNormalization

    return [
        layers.Conv2D(width, 5, padding="same", activation="relu", kernel_initializer=glorot_normal()),
        layers.MaxPooling2D(3, 2, padding="same"),
        LocalResponseNormalization(),
    ]
