"""MNIST, Fashion-MNIST and CIFAR-10, read from the folders that TensorFlow Datasets prepares."""

import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerastickets.data import CROSS_ENTROPY, Data, Split, moments, standardise
from kerastickets.errors import DataError
from kerastickets.tree import generator

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_NOISE = re.compile(r"\{\{.*?\}\}|\[Op:.*", re.DOTALL)  # where in TensorFlow's own graph
# Not `tfds build`: it needs apache-beam, which nothing here installs.
_PREPARE = (
    "Prepare it, online, with: "
    "python -c \"import tensorflow_datasets as tfds; tfds.builder('{name}').download_and_prepare()\""
)


@dataclass(frozen=True)
class Mnist:
    """MNIST, 28x28x1: 55000 / 5000 / 10000 examples, mean .1307 and standard deviation .3081.

    Read from `TFDS_DATA_DIR`, or TFDS's own default folder; never downloaded. Validation is drawn
    from train by a permutation that depends on the data set's name alone.

    Raises:
        DataError: if the prepared data set is missing, damaged or not of the published size.

    Reference:
        Y. LeCun, C. Cortes, C. Burges, The MNIST Database of Handwritten Digits.
    """

    def __call__(self) -> Data:
        train, validation, test = _splits("mnist", (60000, 28, 28, 1), 5000)
        return _classification("mnist", train, validation, test, mean=0.1307, std=0.3081)


@dataclass(frozen=True)
class FashionMnist:
    """Fashion-MNIST, 28x28x1: 55000 / 5000 / 10000 examples, standardised on train.

    Read from `TFDS_DATA_DIR`, or TFDS's own default folder; never downloaded. Validation is drawn
    from train by a permutation that depends on the data set's name alone.

    Raises:
        DataError: if the prepared data set is missing, damaged or not of the published size.

    Reference:
        H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST.
    """

    def __call__(self) -> Data:
        train, validation, test = _splits("fashion-mnist", (60000, 28, 28, 1), 5000)
        mean, std = moments(train[0])
        return _classification("fashion-mnist", train, validation, test, mean / 255, std / 255)


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10, 32x32x3: 45000 / 5000 / 10000 examples, the usual mean and deviation of each channel.

    Read from `TFDS_DATA_DIR`, or TFDS's own default folder; never downloaded. Validation is drawn
    from train by a permutation that depends on the data set's name alone.

    Raises:
        DataError: if the prepared data set is missing, damaged or not of the published size.

    Reference:
        A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, chapter 3.
    """

    def __call__(self) -> Data:
        train, validation, test = _splits("cifar10", (50000, 32, 32, 3), 5000)
        mean, std = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2023, 0.1994, 0.2010])
        return _classification("cifar10", train, validation, test, mean, std)


def _classification(
    name: str, train: Split, validation: Split, test: Split, mean: float | np.ndarray, std: float | np.ndarray
) -> Data:
    """The constants are for pixels in [0, 1]; the pixels still are 0 to 255."""
    mean, std = 255 * np.asarray(mean), 255 * np.asarray(std)
    splits = ((standardise(x, mean, std), y) for x, y in (train, validation, test))
    return Data(name, *splits, loss=CROSS_ENTROPY, metrics=("accuracy",), classes=10)


def _splits(name: str, shape: tuple[int, ...], validation: int) -> tuple[Split, Split, Split]:
    (x, y), test = _read(_prepared(name.replace("-", "_")), shape)
    order = generator("split", name).permutation(len(x))
    first, rest = order[:validation], order[validation:]
    return (x[rest], y[rest]), (x[first], y[first]), test


def _prepared(name: str) -> Path:
    """The folder of the newest prepared version. It only looks: TFDS would try to download for minutes."""
    home = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser() / name
    found = [path.parent for path in home.glob("*/dataset_info.json")]
    # Not `3.0.1.incompleteXYZ`, which an interrupted preparation leaves.
    versions = {
        tuple(map(int, path.name.split("."))): path for path in found if _VERSION.fullmatch(path.name)
    }
    if not versions:
        raise DataError(
            f"Data set '{name}' must be prepared once. {_searched(home)} {_PREPARE.format(name=name)}"
        )
    return versions[max(versions)]


def _searched(home: Path) -> str:
    named = "named by TFDS_DATA_DIR" if os.environ.get("TFDS_DATA_DIR") else "as TFDS_DATA_DIR is not set"
    return f"Searched: {home} ({named})."


@functools.cache  # pixels as bytes: a quarter of the standardised arrays, and all of the decoding
def _read(folder: Path, shape: tuple[int, ...]) -> tuple[Split, Split]:
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(folder)
        train, test = (
            tuple(
                tensor.numpy() for tensor in builder.as_dataset(split=part, batch_size=-1, as_supervised=True)
            )
            for part in ("train", "test")
        )
    except Exception as error:  # whatever TFDS and TensorFlow raise for a damaged file
        cause = " ".join(_NOISE.sub("", str(error)).split())[:300].rstrip(".")
        raise _damaged(folder, f"{type(error).__name__}: {cause}") from error
    for (x, _), size in ((train, shape[0]), (test, 10000)):
        if x.shape != (size, *shape[1:]) or x.dtype != np.uint8:
            raise _damaged(folder, f"images of shape {x.shape}, expected {(size, *shape[1:])}")
    return train, test


def _damaged(folder: Path, received: str) -> DataError:
    return DataError(
        f"The prepared data set in {folder} must be readable and complete. Received: {received}. "
        f"Remove that folder. {_PREPARE.format(name=folder.parent.name)}"
    )
