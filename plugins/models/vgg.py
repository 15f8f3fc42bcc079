"""VGG-19 for small images, in the form that the lottery-ticket papers use."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, ClassVar

from kerastickets.plugin import Data
from kerastickets_plugins.models.parts import check_images, check_weights, glorot_normal, normalised

# For each block: the number of convolutions, and their filters as a multiple of the first block's.
_BLOCKS = ((2, 1), (2, 2), (4, 4), (4, 8), (4, 8))


@dataclass(frozen=True)
class Vgg19:
    """VGG-19: 3x3 filters, 2x64, pool, 2x128, pool, 4x256, pool, 4x512, pool, 4x512, average pool and the logits.

    Every convolution is followed by BatchNormalization and has no bias; ReLU, Glorot normal (untruncated). On
    32x32x3 images with ten classes it has 20,024,000 weights in kernels and 20,046,026 numbers in all. The
    pools are max-pools by 2. Images smaller than 16x16 are padded to even sides before each pool, because
    otherwise nothing of them would be left.

    Its recipe is SGD with learning rate 0.1 and momentum 0.9, and no weight decay, for 112,000 iterations
    with batches of 64. The learning rate falls to a tenth from iteration 56,000 on, and to a hundredth from
    84,000 on (half and three quarters of the training). Training images are flipped and cropped at random.
    Each level prunes 20 % of the convolutions, ranked all together, and nothing of the dense layer. The
    learning rate warms up over the first 10,000 iterations; that number is this library's choice. For a
    shorter training, set `warmup` and `lr_schedule` yourself.

    Args:
        width: number of filters of the first block; the others have two, four and eight times as many.

    Raises:
        DataError: the examples are not images `(height, width, channels)`.
        RecipeError: the net does not fit into memory.

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((10, 32, 32, 3)), np.arange(10)
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=10)
        >>> Vgg19(width=4)(data).layers[-2].output.shape
        (None, 32)

    Reference:
        K. Simonyan, A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, table 1;
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, figure 2 and section 4.
    """

    width: int = 64

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "optimizer": "sgd",
            "lr": 0.1,
            "momentum": 0.9,
            "lr_schedule": "steps:56000it=0.1,84000it=0.01",
            "warmup": "10000it",
            "train": "112000it",
            "batch_size": 64,
            "augment": "flip+crop:4",
            "rate": {"*": 0.2, "dense": 0},
            "scope": "global",
        }
    )

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"`width` must be at least 1. Received: width={self.width}")

    def __call__(self, data: Data) -> Any:
        import keras
        from keras import layers

        check_images("vgg-19", data)
        filters = [self.width * multiple for count, multiple in _BLOCKS for _ in range(count)]
        check_weights("vgg-19", 9 * sum(before * after for before, after in pairwise(filters)))
        h = x = keras.Input(data.input_shape)
        padding = "valid" if min(data.input_shape[:2]) >= 16 else "same"
        for n, (count, multiple) in enumerate(_BLOCKS):
            if n:
                h = layers.MaxPooling2D(2, padding=padding)(h)
            for _ in range(count):
                h = layers.ReLU()(normalised(h, self.width * multiple))
        h = layers.GlobalAveragePooling2D()(h)
        return keras.Model(x, layers.Dense(data.outputs, kernel_initializer=glorot_normal())(h))
