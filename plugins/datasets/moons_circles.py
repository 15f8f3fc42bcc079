"""A data set of two independent toy tasks, for nets that should separate into one subnetwork per task."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastickets.plugin import BINARY_CROSS_ENTROPY, Data, Task, integer, moments, standardise


@dataclass(frozen=True)
class MoonsCircles:
    """Circles and moons side by side: four inputs and two yes-or-no outputs.

    1000 training, 500 validation and 500 test examples. The inputs are points of scikit-learn's
    `make_circles(2000, noise=0.1, factor=0.35)` and `make_moons(2000, noise=0.1)`, standardised on the
    training split. Each example joins one point of each, drawn independently. The loss is the mean binary
    cross-entropy over both outputs.

    Example:
        >>> data = MoonsCircles()()
        >>> data
        Data('moons-circles', train=1000, validation=500, test=500, inputs=(4,), outputs=2)
        >>> data.tasks["moons"].inputs, data.tasks["moons"].outputs
        ((2, 3), (1,))
    """

    def __call__(self) -> Data:
        return _moons_circles()


@functools.cache
def _moons_circles() -> Data:
    from sklearn.datasets import make_circles, make_moons

    # Each generator shuffles with its own seed, so the two labels of an example are independent.
    circles, circle = make_circles(2000, noise=0.1, factor=0.35, random_state=_seed("circles"))
    moons, moon = make_moons(2000, noise=0.1, random_state=_seed("moons"))
    x, y = np.hstack([circles, moons]), np.stack([circle, moon], axis=1)
    x = standardise(x, *moments(x[:1000], axis=0))
    splits = ((x[part], y[part]) for part in (slice(0, 1000), slice(1000, 1500), slice(1500, 2000)))
    return Data(
        "moons-circles",
        *splits,
        loss=BINARY_CROSS_ENTROPY,
        metrics=(_accuracy("accuracy"), _accuracy("circles_accuracy", 0), _accuracy("moons_accuracy", 1)),
        classes=None,
        tasks={
            "circles": Task(inputs=(0, 1), outputs=(0,), loss=BINARY_CROSS_ENTROPY),
            "moons": Task(inputs=(2, 3), outputs=(1,), loss=BINARY_CROSS_ENTROPY),
        },
    )


def _seed(task: str) -> int:
    return integer("moons-circles", task)


def _accuracy(name: str, output: int | None = None) -> Callable[[], Any]:
    def metric() -> Any:
        from kerastickets.plugin import LogitAccuracy

        return LogitAccuracy(output, name=name)

    return metric
