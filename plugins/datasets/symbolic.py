"""Formulas whose structure is known: which inputs each output depends on, and what outputs share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kerastickets.plugin import Data, Split, Task, generator


@dataclass(frozen=True)
class Symbolic:
    """Formulas to fit, each output a task whose inputs are known: how a net should come apart is known too.

    Inputs are uniform in [-1, 1], not standardised. `independent`: y1 = x2^2 + sin(pi x4) and
    y2 = (x1 + x3)^3 of x1 to x4, two tasks without a common input. `feature-sharing`: y1 = x1^2,
    y2 = x1^2 + x2^2 and y3 = x1^2 + x2^2 + x3^2 of x1 to x3, three tasks of which each contains the one
    before. `compositional`: y1 = sqrt((x1 - x2)^2 + (x3 - x4)^2) of x1 to x4, one task built of two
    features. Loss is the mean squared error over the outputs, reported for each task as well: train with
    `--monitor val_loss`.

    Args:
        variant: which formulas. The paper trains on 100 examples of each, without noise.
        train: examples to train on.
        validation: examples that select.
        test: examples that select nothing.
        seed: draws the inputs and the noise; a larger split of a seed begins with a smaller one.
        noise: standard deviation of normal noise on the targets of all splits.

    Example:
        >>> data = Symbolic()()
        >>> data
        Data('symbolic:independent', train=1000, validation=500, test=500, inputs=(4,), outputs=2)
        >>> {name: task.inputs for name, task in data.tasks.items()}
        {'y1': (1, 3), 'y2': (0, 2)}
        >>> {name: task.inputs for name, task in Symbolic("feature-sharing")().tasks.items()}
        {'y1': (0,), 'y2': (0, 1), 'y3': (0, 1, 2)}

    Reference:
        Z. Liu, E. Gan, M. Tegmark, Seeing is Believing: Brain-Inspired Modular Training for Mechanistic
        Interpretability, section 3.1; formulas as in its published code.
    """

    variant: Literal["independent", "feature-sharing", "compositional"] = "independent"
    train: int = 1000
    validation: int = 500
    test: int = 500
    seed: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {name}={getattr(self, name)}")
        if self.noise < 0:
            raise ValueError(f"`noise` must not be negative. Received: noise={self.noise}")

    def __call__(self) -> Data:
        formulas = _VARIANTS[self.variant]
        return Data(
            f"symbolic:{self.variant}",
            *(self._split(name) for name in ("train", "validation", "test")),
            loss="mean_squared_error",
            metrics=(),
            classes=None,
            tasks={
                f"y{number + 1}": Task(inputs, (number,), "mean_squared_error")
                for number, (inputs, _) in enumerate(formulas)
            },
        )

    def _split(self, name: str) -> Split:
        formulas, size = _VARIANTS[self.variant], getattr(self, name)
        width = 1 + max(position for inputs, _ in formulas for position in inputs)
        draw = (generator("symbolic", what, name, self.seed) for what in ("inputs", "noise"))
        # The formulas are those of the inputs as they are stored, in float32.
        x = next(draw).uniform(-1, 1, (size, width)).astype(np.float32)
        columns = [formula(*x[:, inputs].T.astype(np.float64)) for inputs, formula in formulas]
        y = np.stack(columns, axis=1)
        return x, y + self.noise * next(draw).standard_normal(y.shape)


def _squares(*x: np.ndarray) -> np.ndarray:
    return np.sum(np.square(x), axis=0)


_Formulas = tuple[tuple[tuple[int, ...], Callable[..., np.ndarray]], ...]

# Of each output the inputs, from 0, and the formula of these.
_VARIANTS: dict[str, _Formulas] = {
    "independent": (
        ((1, 3), lambda x2, x4: x2**2 + np.sin(np.pi * x4)),
        ((0, 2), lambda x1, x3: (x1 + x3) ** 3),
    ),
    "feature-sharing": (((0,), _squares), ((0, 1), _squares), ((0, 1, 2), _squares)),
    "compositional": (((0, 1, 2, 3), lambda x1, x2, x3, x4: np.hypot(x1 - x2, x3 - x4)),),
}
