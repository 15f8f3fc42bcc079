"""Conv-2, Conv-4, Conv-6 and LeNet-5: the plain convolutional nets of the lottery-ticket papers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from kerastickets.plugin import Data
from kerastickets_plugins.models.parts import check_images, check_layers, glorot_normal


def _recipe(lr: float, conv: float) -> Mapping[str, Any]:
    rate = {"conv": conv, "dense": 0.2, "output": 0.1}
    return MappingProxyType({"optimizer": "adam", "lr": lr, "epsilon": 1e-8, "batch_size": 60, "rate": rate})


@dataclass(frozen=True)
class Conv2:
    """Conv-2: two convolutions with 64 3x3 filters, max-pooling by 2, dense layers of 256 and 256, and the logits.

    ReLU, Glorot normal (untruncated), zero biases. On 32x32x3 images with ten classes it has 4,300,992
    weights with `same` padding and 3,317,952 with `valid`. Its recipe is Adam with learning rate 2e-4,
    epsilon 1e-8 and batches of 60. Each level prunes 10 % of the convolutions and the output layer, and 20 %
    of the other dense layers.

    Args:
        padding: padding of the convolutions: `same`, or `valid`, which matches the weight counts published in
            a comparison with SNIP.

    Raises:
        DataError: the examples are not images `(height, width, channels)`, or the images are too small.
        RecipeError: the net does not fit into memory.

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((10, 8, 8, 1)), np.arange(10)
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=10)
        >>> Conv2(padding="valid")(data).layers[2].output.shape
        (None, 2, 2, 64)

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, figure 2.
    """

    padding: Literal["same", "valid"] = "same"

    recipe: ClassVar[Mapping[str, Any]] = _recipe(lr=2e-4, conv=0.1)

    def __call__(self, data: Data) -> Any:
        least = 6 if self.padding == "valid" else 2
        check_images(f"conv-2 with padding={self.padding}", data, least)
        return _stacked(data, (64,), self.padding)


@dataclass(frozen=True)
class Conv4:
    """Conv-4: 3x3 convolutions 64, 64, max-pool, 128, 128, max-pool, then dense 256, 256 and the logits.

    `same` padding, ReLU, Glorot normal (untruncated), zero biases. On 32x32x3 images with ten classes it has
    2,425,024 weights. Its recipe is Adam with learning rate 3e-4, epsilon 1e-8 and batches of 60. Each level
    prunes 10 % of the convolutions and the output layer, and 20 % of the other dense layers.

    Raises:
        DataError: the examples are not images `(height, width, channels)`, or the images are too small.
        RecipeError: the net does not fit into memory.

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((10, 8, 8, 1)), np.arange(10)
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=10)
        >>> Conv4()(data).layers[5].output.shape
        (None, 2, 2, 128)

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, figure 2.
    """

    recipe: ClassVar[Mapping[str, Any]] = _recipe(lr=3e-4, conv=0.1)

    def __call__(self, data: Data) -> Any:
        check_images("conv-4", data, 4)
        return _stacked(data, (64, 128))


@dataclass(frozen=True)
class Conv6:
    """Conv-6: Conv-4 with another block (convolutions 256, 256, max-pool) before its dense layers.

    On 32x32x3 images with ten classes it has 2,261,184 weights. (The paper's figure says 1.7 million, which
    these layers do not give.) Its recipe is Adam with learning rate 3e-4, epsilon 1e-8 and batches of 60.
    Each level prunes 15 % of the convolutions, 20 % of the dense layers and 10 % of the output layer.

    Raises:
        DataError: the examples are not images `(height, width, channels)`, or the images are too small.
        RecipeError: the net does not fit into memory.

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((10, 8, 8, 1)), np.arange(10)
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=10)
        >>> Conv6()(data).layers[8].output.shape
        (None, 1, 1, 256)

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, figure 2.
    """

    recipe: ClassVar[Mapping[str, Any]] = _recipe(lr=3e-4, conv=0.15)

    def __call__(self, data: Data) -> Any:
        check_images("conv-6", data, 8)
        return _stacked(data, (64, 128, 256))


@dataclass(frozen=True)
class LeNet5:
    """LeNet-5 in its modern form: conv 6 5x5, pool, conv 16 5x5, pool, dense 120, 84 and the logits.

    This is the form common since Caffe, not the original of 1998. It has ReLU instead of scaled tanh,
    max-pooling without weights instead of trained subsampling, connections from every map of the first
    convolution to every map of the second, and a plain dense output. The first convolution has `same`
    padding. The second has `valid`, or `same` on images smaller than 12x12, because `valid` would leave
    nothing of them. Glorot normal (untruncated), zero biases. On 28x28x1 images with ten classes it has
    61,470 weights and 236 biases. Its recipe is that of LeNet-300-100: Adam with learning rate 1.2e-3,
    epsilon 1e-8 and batches of 60. Each level prunes 10 % of the convolutions and the output layer, and 20 %
    of the other dense layers.

    Raises:
        DataError: the examples are not images `(height, width, channels)`, or the images are too small.
        RecipeError: the net does not fit into memory.

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((10, 28, 28, 1)), np.arange(10)
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=10)
        >>> LeNet5()(data).count_params()
        61706

    Reference:
        Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to Document
        Recognition, section II.B.
    """

    recipe: ClassVar[Mapping[str, Any]] = _recipe(lr=1.2e-3, conv=0.1)

    def __call__(self, data: Data) -> Any:
        from keras import layers

        check_images("lenet-5", data, 4)
        second = "valid" if min(data.input_shape[:2]) >= 12 else "same"
        body = [
            _conv(6, 5, "same"),
            layers.MaxPooling2D(2),
            _conv(16, 5, second),
            layers.MaxPooling2D(2),
        ]
        return _classifier(data, body, (120, 84))


def _stacked(data: Data, filters: tuple[int, ...], padding: str = "same") -> Any:
    """A net of blocks with two 3x3 convolutions and a pool, then dense layers of 256 and 256, and the logits."""
    from keras import layers

    body = [
        layer
        for number in filters
        for layer in (_conv(number, 3, padding), _conv(number, 3, padding), layers.MaxPooling2D(2))
    ]
    return _classifier(data, body, (256, 256))


def _classifier(data: Data, body: list[Any], widths: tuple[int, ...]) -> Any:
    import keras
    from keras import layers

    dense = [layers.Dense(units, activation="relu", kernel_initializer=glorot_normal()) for units in widths]
    logits = layers.Dense(data.outputs, kernel_initializer=glorot_normal())
    whole = [*body, layers.Flatten(), *dense, logits]
    # The first dense layer has a weight for every pixel and unit, so that large images make it very large.
    check_layers("a convolutional net on these images", data.input_shape, whole)
    return keras.Sequential([keras.Input(data.input_shape), *whole])


def _conv(filters: int, size: int, padding: str) -> Any:
    from keras import layers

    return layers.Conv2D(
        filters, size, padding=padding, activation="relu", kernel_initializer=glorot_normal()
    )
