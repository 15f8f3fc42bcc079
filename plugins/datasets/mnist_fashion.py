"""MNIST and Fashion-MNIST side by side: two tasks for one net."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastickets.data import CROSS_ENTROPY, Data, Split, Task, moments, standardise, task_cross_entropy
from kerastickets.tree import generator
from kerastickets_plugins.datasets.images import splits

_CLASSES = (10, 10)


@dataclass(frozen=True)
class MnistFashion:
    """MNIST left of Fashion-MNIST, 28x56x1, one label of each: 55000 / 5000 / 10000 examples.

    An example joins an image of each, paired by permutations that depend on the data set's name alone,
    within train, validation and test of the two. Outputs 0 to 9 are the digits, 10 to 19 the clothes; the
    loss is the sum of the two cross-entropies. Each pixel is standardised on train, constant ones divided
    by 1. Read from `TFDS_DATA_DIR`, or TFDS's own default folder; never downloaded.

    Raises:
        DataError: if one of the prepared data sets is missing, damaged or not of the published size.

    Reference:
        Y. LeCun, C. Cortes, C. Burges, The MNIST Database of Handwritten Digits. H. Xiao, K. Rasul,
        R. Vollgraf, Fashion-MNIST.
    """

    def __call__(self) -> Data:
        digits, clothes = (
            splits(name, (28, 28, 1), (60000, 10000), 5000)[0] for name in ("mnist", "fashion-mnist")
        )
        parts = [
            _joined(one, other, part)
            for one, other, part in zip(digits, clothes, ("train", "validation", "test"), strict=True)
        ]
        mean, std = moments(parts[0][0], axis=0)
        return Data(
            "mnist-fashion",
            *((standardise(x, mean, std), y) for x, y in parts),
            loss=task_cross_entropy(*_CLASSES),
            metrics=(_accuracy("accuracy"), _accuracy("mnist_accuracy", 0), _accuracy("fashion_accuracy", 1)),
            classes=_CLASSES,
            tasks={
                "mnist": Task(_columns(0, 28), tuple(range(10)), CROSS_ENTROPY),
                "fashion": Task(_columns(28, 56), tuple(range(10, 20)), CROSS_ENTROPY),
            },
        )


def _joined(digits: Split, clothes: Split, part: str) -> Split:
    order = generator("pairs", "mnist-fashion", part).permutation(len(clothes[1]))
    x = np.concatenate([digits[0], clothes[0][order]], axis=2)
    return x, np.stack([digits[1], clothes[1][order]], axis=1)


def _columns(first: int, last: int) -> tuple[int, ...]:
    """The positions of some columns in a flattened image."""
    return tuple(np.arange(28 * 56).reshape(28, 56)[:, first:last].ravel().tolist())


def _accuracy(name: str, task: int | None = None) -> Callable[[], Any]:
    def metric() -> Any:
        from kerastickets.metrics import TaskAccuracy

        return TaskAccuracy(_CLASSES, task, name=name)

    return metric
