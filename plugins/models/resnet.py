"""ResNet-20: the residual net for CIFAR-10 in the lottery-ticket papers, which call it Resnet-18."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, ClassVar

from kerastickets.plugin import Data
from kerastickets_plugins.models.parts import check_images, check_weights, glorot_normal, normalised


@dataclass(frozen=True)
class ResNet20:
    """ResNet-20: 16 3x3 filters, three blocks each of [16, 16], [32, 32] and [64, 64], average pool, logits.

    Every convolution is followed by BatchNormalization and has no bias. A block adds its input to its result.
    If the block halves the image and doubles the filters, its input first passes a 1x1 convolution with
    stride 2 and its own BatchNormalization. Glorot normal (untruncated). On 32x32x3 images with ten classes
    it has 270,896 weights in kernels and 274,042 numbers in all. The others are ten biases, and a scale, a
    shift, a mean and a variance for each of 784 channels.

    Its recipe is SGD with learning rate 0.1 and momentum 0.9, and no weight decay, for 30,000 iterations with
    batches of 128. The learning rate falls to a tenth from iteration 20,000 on, and to a hundredth from
    25,000 on. Training images are flipped and cropped at random. Each level prunes 20 % of the convolutions,
    ranked all together, and nothing of the dense layer. The learning rate warms up over the first 10,000
    iterations; that number is this library's choice. For a shorter training, set `warmup` and `lr_schedule`
    yourself.

    Args:
        width: number of filters of the first three blocks, at least 1; the next blocks have twice and four
            times as many.

    Raises:
        DataError: the examples are not images `(height, width, channels)`.
        RecipeError: the net does not fit into memory.

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((10, 32, 32, 3)), np.arange(10)
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=10)
        >>> ResNet20()(data).count_params()
        274042

    Reference:
        K. He et al., Deep Residual Learning for Image Recognition, section 4.2; J. Frankle, M. Carbin, The Lottery
        Ticket Hypothesis, figure 2 and section 4.
    """

    width: int = 16

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "optimizer": "sgd",
            "lr": 0.1,
            "momentum": 0.9,
            "lr_schedule": "steps:20000it=0.1,25000it=0.01",
            "warmup": "10000it",
            "train": "30000it",
            "batch_size": 128,
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

        check_images("resnet-20", data)
        filters = [self.width << stage for stage in range(3) for _ in range(6)]
        check_weights("resnet-20", 9 * sum(before * after for before, after in pairwise(filters)))
        x = keras.Input(data.input_shape)
        h = layers.ReLU()(normalised(x, self.width))
        for stage in range(3):
            for block in range(3):
                h = _block(h, self.width << stage, stride=2 if stage and not block else 1)
        h = layers.GlobalAveragePooling2D()(h)
        return keras.Model(x, layers.Dense(data.outputs, kernel_initializer=glorot_normal())(h))


def _block(x: Any, filters: int, stride: int) -> Any:
    from keras import layers

    h = layers.ReLU()(normalised(x, filters, stride=stride))
    h = normalised(h, filters)
    shortcut = x if stride == 1 else normalised(x, filters, size=1, stride=stride)
    return layers.ReLU()(layers.Add()([h, shortcut]))
