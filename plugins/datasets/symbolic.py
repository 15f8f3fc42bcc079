"""Data sets of formulas with a known structure: which inputs each output needs, and what the outputs share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kerastickets.plugin import Data, Split, Task, check_examples_fit, generator


@dataclass(frozen=True)
class Symbolic:
    """Formulas to fit; each output is a task with known inputs, so it is known how a net should separate.

    - `independent`: y1 = x2^2 + sin(pi x4) and y2 = (x1 + x3)^3, of the inputs x1 to x4. Two tasks that share
      no input.
    - `feature-sharing`: y1 = x1^2, y2 = x1^2 + x2^2 and y3 = x1^2 + x2^2 + x3^2, of the inputs x1 to x3.
      Three tasks; each contains the previous one.
    - `compositional`: y1 = sqrt((x1 - x2)^2 + (x3 - x4)^2), of the inputs x1 to x4. One task, composed of two
      features.

    Inputs are uniform in [-1, 1] and not standardised. The loss is the mean squared error over the outputs;
    it is also reported per task. Train with `--monitor val_loss`, because there is no accuracy.

    Args:
        variant: the set of formulas: `independent`, `feature-sharing` or `compositional`. The paper trains on
            100 examples of each, without noise.
        train: number of training examples, at least 1.
        validation: number of validation examples, at least 1.
        test: number of test examples, at least 1; they never select anything.
        seed: random seed of the inputs and the noise. With the same seed, a larger split begins with the
            examples of a smaller one.
        noise: standard deviation of normal noise on the targets of all splits, at least 0.

    Raises:
        DataError: the examples do not fit into memory, or the noise is too large for float32.

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
        values = self._width + len(formulas)
        check_examples_fit("The examples", self.train + self.validation + self.test, (values,), 8)
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
        draw = (generator("symbolic", what, name, self.seed) for what in ("inputs", "noise"))
        # Compute the targets from the inputs as stored, in float32.
        x = next(draw).uniform(-1, 1, (size, self._width)).astype(np.float32)
        columns = [formula(*x[:, inputs].T.astype(np.float64)) for inputs, formula in formulas]
        y = np.stack(columns, axis=1)
        with np.errstate(over="ignore"):  # `Data` refuses what is infinite
            return x, y + self.noise * next(draw).standard_normal(y.shape)

    @property
    def _width(self) -> int:
        return 1 + max(position for inputs, _ in _VARIANTS[self.variant] for position in inputs)


def _squares(*x: np.ndarray) -> np.ndarray:
    return np.sum(np.square(x), axis=0)


_Formulas = tuple[tuple[tuple[int, ...], Callable[..., np.ndarray]], ...]

# For each output: its inputs (counted from 0), and the formula.
_VARIANTS: dict[str, _Formulas] = {
    "independent": (
        ((1, 3), lambda x2, x4: x2**2 + np.sin(np.pi * x4)),
        ((0, 2), lambda x1, x3: (x1 + x3) ** 3),
    ),
    "feature-sharing": (((0,), _squares), ((0, 1), _squares), ((0, 1, 2), _squares)),
    "compositional": (((0, 1, 2, 3), lambda x1, x2, x3, x4: np.hypot(x1 - x2, x3 - x4)),),
}
