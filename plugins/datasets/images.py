"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, read from folders that TensorFlow Datasets has prepared."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kerastickets.plugin import CROSS_ENTROPY, Data, Split, generator, moments, standardise
from kerastickets_plugins.datasets.prepared import find, published


@dataclass(frozen=True)
class Mnist:
    """MNIST, 28x28x1: 55000 training, 5000 validation and 10000 test examples.

    Standardised with mean 0.1307 and standard deviation 0.3081. Read from `TFDS_DATA_DIR`, or else TFDS's
    default folder; never downloaded. The validation examples are drawn from the training examples; the draw
    depends only on the data set's name.

    Raises:
        DataError: the prepared data set is missing, damaged or not of the published size.

    Reference:
        Y. LeCun, C. Cortes, C. Burges, The MNIST Database of Handwritten Digits.
    """

    def __call__(self) -> Data:
        parts, labels = splits("mnist", (28, 28, 1), (60000, 10000), 5000)
        return _classification("mnist", parts, labels, mean=0.1307, std=0.3081)


@dataclass(frozen=True)
class FashionMnist:
    """Fashion-MNIST, 28x28x1: 55000 training, 5000 validation and 10000 test examples.

    Standardised on the training split. Read from `TFDS_DATA_DIR`, or else TFDS's default folder; never
    downloaded. The validation examples are drawn from the training examples; the draw depends only on the
    data set's name.

    Raises:
        DataError: the prepared data set is missing, damaged or not of the published size.

    Reference:
        H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST.
    """

    def __call__(self) -> Data:
        parts, labels = splits("fashion-mnist", (28, 28, 1), (60000, 10000), 5000)
        mean, std = moments(parts[0][0])
        return _classification("fashion-mnist", parts, labels, mean / 255, std / 255)


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10, 32x32x3: 45000 training, 5000 validation and 10000 test examples.

    Standardised with the usual mean and standard deviation of each channel. Read from `TFDS_DATA_DIR`, or
    else TFDS's default folder; never downloaded. The validation examples are drawn from the training
    examples; the draw depends only on the data set's name.

    Raises:
        DataError: the prepared data set is missing, damaged or not of the published size.

    Reference:
        A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, chapter 3.
    """

    def __call__(self) -> Data:
        parts, labels = splits("cifar10", (32, 32, 3), (50000, 10000), 5000)
        mean, std = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2023, 0.1994, 0.2010])
        return _classification("cifar10", parts, labels, mean, std)


@dataclass(frozen=True)
class Cifar100:
    """CIFAR-100, 32x32x3: 45000 training, 5000 validation and 10000 test examples of 100 classes (the fine labels).

    Standardised with the usual mean and standard deviation of each channel. Read from `TFDS_DATA_DIR`, or
    else TFDS's default folder; never downloaded. The validation examples are drawn from the training
    examples; the draw depends only on the data set's name.

    Raises:
        DataError: the prepared data set is missing, damaged or not of the published size.

    Reference:
        A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, chapter 3.
    """

    sizes: ClassVar[tuple[int, int]] = (50000, 10000)

    def __call__(self) -> Data:
        parts, labels = splits("cifar100", (32, 32, 3), self.sizes, self.sizes[0] // 10)
        mean, std = np.array([0.5071, 0.4865, 0.4409]), np.array([0.2673, 0.2564, 0.2762])
        return _classification("cifar100", parts, labels, mean, std)


def splits(
    name: str, image: tuple[int, ...], sizes: tuple[int, int], validation: int
) -> tuple[tuple[Split, Split, Split], tuple[str, ...]]:
    """The splits train, validation and test of a published data set, with images as bytes, and its class names.

    Args:
        name: this library's name of the data set.
        image: the shape of one image.
        sizes: number of examples in its train and its test split.
        validation: number of training examples to draw for validation.
    """
    found = published(find(name.replace("-", "_")), image, sizes)
    (x, y), test = found.splits["train"], found.splits["test"]
    order = generator("split", name).permutation(len(x))
    first, rest = order[:validation], order[validation:]
    return ((x[rest], y[rest]), (x[first], y[first]), test), found.labels


def _classification(
    name: str,
    parts: tuple[Split, Split, Split],
    labels: tuple[str, ...],
    mean: float | np.ndarray,
    std: float | np.ndarray,
) -> Data:
    """Standardise the splits. `mean` and `std` are for pixels in [0, 1], but the pixels are 0 to 255."""
    mean, std = 255 * np.asarray(mean), 255 * np.asarray(std)
    ready = ((standardise(x, mean, std), y) for x, y in parts)
    return Data(
        name,
        *ready,
        loss=CROSS_ENTROPY,
        metrics=("accuracy",),
        classes=len(labels),
        labels=labels,
        scaling=(mean, std),
    )
