"""The nets and the arrays that every side of the race trains, as plain numbers: no framework here."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Net:
    """One contest.

    Args:
        name: what tables call it.
        inputs: the shape of one example.
        widths: units of the dense layers, the last being the classes.
        batch: examples a step.
        lr: the learning rate.
        steps: steps of one measurement.
        examples: training examples in memory.
        conv: whether two 64-channel 3x3 convolutions and a pooling come first.
    """

    name: str
    inputs: tuple[int, ...]
    widths: tuple[int, ...]
    batch: int
    lr: float
    steps: int
    examples: int
    conv: bool = False

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Random examples and labels: what they are changes no time."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(self.examples, *self.inputs)).astype("float32")
        return x, rng.integers(0, self.widths[-1], self.examples)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of all kernels."""
        shapes: list[tuple[int, ...]] = [(3, 3, 3, 64), (3, 3, 64, 64)] if self.conv else []
        size = 64 * 16 * 16 if self.conv else int(np.prod(self.inputs))
        for width in self.widths:
            shapes.append((size, width))
            size = width
        return shapes


NETS = {
    net.name: net
    for net in (
        Net("lenet-300-100", (784,), (300, 100, 10), 60, 1.2e-3, 1800, 55_000),
        Net("mlp-4-38-38-2", (4,), (38, 38, 2), 64, 1e-3, 15_000, 1000),
        Net("conv-2", (32, 32, 3), (256, 256, 10), 60, 2e-4, 30, 6000, conv=True),
    )
}
