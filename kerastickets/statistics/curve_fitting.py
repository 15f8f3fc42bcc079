"""Measure how fast a network learns: the rate c of an exponential fitted to its learning curve.

Reference: the curve, its start values and its points follow the study of merged lottery tickets that
`kt reproduce merging` repeats (its "C parameter"). The standard error and the flags are not in that study.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerastickets.errors import RecipeError

#: The start values of the published fit: (a, b, c, d).
START = (-1.0, 1.0, 4.0, 95.0)

_FEWEST = 5  # one more than there are parameters
_ATTEMPTS = 5000
# exp(-12) of a rise of 100 % is less than one image in 100 000.
# Beyond that, nothing is left to measure at the second point.
_STEEPEST = 12.0
# Noise around a constant spans four to five times its standard deviation.
# An exponential fitted to such noise says nothing.
_LEAST_RISE = 6.0
_SPEEDS = 100


@dataclass(frozen=True)
class LearningCurve:
    """The curve f(x) = a exp(-c (x - b)) + d, fitted to accuracies in percent.

    A larger c means faster learning.
    Only c and d can be interpreted on their own. a and b together describe a single number: the height
    a exp(c b) at x = 0.

    Args:
        a: scale; below 0 if accuracy rises.
        b: shift in epochs.
        c: learning speed, per epoch.
        d: the plateau, in percent.
        c_error: standard error of c, per epoch. It comes from a fit of A exp(-c x) + d, a form whose
            parameters are all identified.
        points: the number of fitted points.
        rmse: root mean square of the residuals, in percent.
        restarted: whether the fit from the published start values failed or was worse. These numbers then
            come from a fit that starts from the data, and b is the first epoch.
        problem: why c should not be used; None if it can be used.

    Numbers that could not be determined are None.
    """

    a: float | None
    b: float | None
    c: float | None
    d: float | None
    c_error: float | None
    points: int
    rmse: float | None
    restarted: bool = False
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether c is identified."""
        return self.problem is None

    def curve(self, x: ArrayLike) -> np.ndarray:
        """The fitted accuracy at each x, in percent. It is NaN if there is no fit.

        Args:
            x: epochs, of any shape.

        Example:
            >>> LearningCurve(-1.0, 1.0, 4.0, 95.0, 0.1, 20, 0.2).curve([1, 100]).tolist()
            [94.0, 95.0]
        """
        x = np.asarray(x, float)
        if self.a is None or self.b is None or self.c is None or self.d is None:
            return np.full(x.shape, np.nan)
        with np.errstate(all="ignore"):
            return _exponential(x, self.a, self.b, self.c, self.d)

    def facts(self) -> dict[str, Any]:
        """The fit as JSON."""
        return asdict(self) | {"ok": self.ok}


def fit_learning_curve(epochs: ArrayLike, accuracy: ArrayLike) -> LearningCurve:
    """Fit f(x) = a exp(-c (x - b)) + d to a learning curve. c measures how fast the network learns.

    The fit is by least squares and begins with the published start values. From there the search can get
    stuck where the exponential has vanished. In that case it starts again from the data.

    Args:
        epochs: the epoch x of each point, one-dimensional. The published fit uses 0, 1, ..., 19 for 20
            epochs. Without the untrained point at 0, c is a different number. Fractions are allowed.
        accuracy: the accuracy before epoch x, in percent. It has the length of `epochs`.

    Returns:
        A `LearningCurve`. `restarted` says whether the search started again. If c is not identified,
        `problem` says why; there is no exception and no warning. The reasons are: fewer than 5 different
        epochs; accuracies that are not finite or not in percent; a curve that is flat, falls or is still
        straight; a plateau reached before the second point; no convergence; a standard error above c.

    Raises:
        RecipeError: the arguments are not numbers, not one-dimensional or of unequal length, or an epoch is
            not finite.

    Example:
        >>> x = np.arange(20)
        >>> fit = fit_learning_curve(x, 95 - 85 * np.exp(-2.0 * x))
        >>> round(fit.c, 3), round(fit.d, 3), fit.ok
        (2.0, 95.0, True)
        >>> fit_learning_curve([0, 1, 2], [10, 90, 95]).problem
        'fewer than 5 points'
    """
    x, y = _points(epochs, accuracy)
    problem = _unfit(x, y)
    if problem:
        return _failed(x, problem)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _fitted(x, y)


def learning_curve(
    rows: Iterable[Mapping[str, Any]], metric: str = "val_accuracy", level: int | None = None
) -> tuple[list[float], list[float]]:
    """Extract the learning curve of one training from its evaluations, for `fit_learning_curve`.

    Args:
        rows: a run's evaluations: `Run.history()`, `Trained.rows`, or the lines of `metrics.jsonl`.
        metric: the name of an accuracy in [0, 1] that every row has. Training accuracy is not possible: the
            first row has none, because nothing was trained before it.
        level: the level whose rows to use. None is allowed only if all rows are of one level.

    Returns:
        `(epochs, accuracies)`, two lists of equal length, accuracies in percent. As in the published fit, a
        point is the accuracy before its epoch. The first point is the untrained network, and the evaluation
        at the end of training is left out.

    Raises:
        RecipeError: a row has no level or epoch, the level or metric does not exist, there are several levels
            and none is chosen, or a value is not in [0, 1].

    Example:
        >>> learning_curve([{"level": 0, "epoch": n, "val_accuracy": n / 4} for n in range(4)])
        ([0.0, 1.0, 2.0], [0.0, 25.0, 50.0])
    """
    chosen = _of_level(list(rows), level)
    values = [_share(row, metric) for row in chosen]
    last = max(row["epoch"] for row in chosen)
    points = [
        (float(row["epoch"]), 100 * v) for row, v in zip(chosen, values, strict=True) if row["epoch"] < last
    ]
    return [epoch for epoch, _ in points], [value for _, value in points]


def _of_level(rows: Sequence[Mapping[str, Any]], level: int | None) -> Sequence[Mapping[str, Any]]:
    for row in rows:
        if not (isinstance(row.get("level"), int) and isinstance(row.get("epoch"), int | float)):
            raise RecipeError(f"A row must have a level and an epoch. Received: {dict(row)}")
    levels = sorted({row["level"] for row in rows})
    if not rows or (level is not None and level not in levels):
        raise RecipeError(f"`level` must be one of {levels}. Received: level={level}")
    if level is None and len(levels) > 1:
        raise RecipeError(f"`level` must be given for rows of several levels: {levels}. Received: level=None")
    return [row for row in rows if level in (None, row["level"])]


def _share(row: Mapping[str, Any], metric: str) -> float:
    if metric not in row:
        known = ", ".join(name for name in row if name.rpartition("_")[2] == "accuracy")
        raise RecipeError(
            f"`metric` must be an accuracy that every row has. Received: metric={metric!r}. "
            f"The row of level {row['level']}, iteration {row.get('iteration')} has: {known or 'none'}"
        )
    value = row[metric]
    if metric.endswith("loss") or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RecipeError(f"`metric` must be an accuracy in [0, 1]. Received: {metric}={value!r}")
    return float(value)


def _points(epochs: ArrayLike, accuracy: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    try:
        x, y = (np.array(values, dtype=np.float64) for values in (epochs, accuracy))
    except (TypeError, ValueError, OverflowError) as error:
        raise RecipeError(f"`epochs` and `accuracy` must be numbers. Received: {error}") from error
    if x.ndim != 1 or x.shape != y.shape:
        raise RecipeError(
            "`epochs` and `accuracy` must be one-dimensional and of one length. "
            f"Received: shapes {x.shape} and {y.shape}"
        )
    if not np.isfinite(x).all():
        raise RecipeError(f"`epochs` must be finite. Received: epochs={x[~np.isfinite(x)][0]}")
    return x, y


def _unfit(x: np.ndarray, y: np.ndarray) -> str | None:
    """Why these points cannot be fitted; None if they can."""
    if np.unique(x).size < _FEWEST:
        return f"fewer than {_FEWEST} points"
    if not np.isfinite(y).all():
        return f"{np.count_nonzero(~np.isfinite(y))} of {y.size} accuracies are not finite"
    if y.max() == y.min():
        return "the curve is flat"
    return None


def _exponential(x: np.ndarray, a: float, b: float, c: float, d: float) -> np.ndarray:
    return a * np.exp(-c * (x - b)) + d


def _identified(x: np.ndarray, height: float, c: float, d: float) -> np.ndarray:
    return height * np.exp(-c * x) + d


def _fitted(x: np.ndarray, y: np.ndarray) -> LearningCurve:
    first = float(x.min())
    published = _least_squares(_exponential, x, y, START)
    # x counts from the first point, so that the height at x = 0 has the magnitude of the data.
    start = _profiled(x - first, y)
    refit = _least_squares(_identified, x - first, y, start) if start else None
    found = published[0] if published else None
    own = [refit[0][0], first, refit[0][1], refit[0][2]] if refit else None
    restarted = own is not None and (found is None or _better(_rmse(x, y, own), _rmse(x, y, found)))
    chosen = own if restarted else found
    if chosen is None:
        return _failed(x, "the fit does not converge")
    error = refit[1][1] if refit else math.inf
    if refit and abs(refit[0][1] - chosen[2]) > max(error, 1e-3 * abs(chosen[2])):
        error = math.inf  # this error belongs to another c
    rmse = _rmse(x, y, chosen)
    problem = _problem(x, y, chosen, error, rmse)
    a, b, c, d, c_error = (_number(value) for value in (*chosen, error))
    return LearningCurve(a, b, c, d, c_error, x.size, _number(rmse), restarted, problem)


def _failed(x: np.ndarray, problem: str) -> LearningCurve:
    return LearningCurve(None, None, None, None, None, x.size, None, problem=problem)


def _better(rmse: float, than: float) -> bool:
    """Whether `rmse` is below `than` by more than two searches for the same minimum can differ."""
    return 1.001 * rmse + 1e-6 < than


def _rmse(x: np.ndarray, y: np.ndarray, parameters: Sequence[float]) -> float:
    """Root mean square of the residuals; infinite if the curve is not finite."""
    value = float(np.sqrt(np.mean((_exponential(x, *parameters) - y) ** 2)))
    return value if math.isfinite(value) else math.inf


def _profiled(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float] | None:
    """Start values (height, c, plateau) from a grid of speeds c; None if there is no grid.

    At a given c the curve is linear in height and plateau, so linear regression finds these two.
    """
    slowest, steepest = 0.01 / x.max(), _STEEPEST / _second(x)
    if not 0 < slowest < steepest < math.inf:
        return None
    speeds = np.geomspace(slowest, steepest, _SPEEDS)
    decays = np.exp(-np.outer(speeds, x))
    apart = decays - decays.mean(axis=1, keepdims=True)
    heights = apart @ (y - y.mean()) / (apart**2).sum(axis=1)
    best = np.argmin(((heights[:, None] * apart - (y - y.mean())) ** 2).sum(axis=1))
    plateau = y.mean() - heights[best] * decays[best].mean()
    return float(heights[best]), float(speeds[best]), float(plateau)


def _least_squares(
    function: Callable[..., np.ndarray], x: np.ndarray, y: np.ndarray, start: Sequence[float]
) -> tuple[list[float], list[float]] | None:
    """The fitted parameters and their standard errors, or None if the fit fails."""
    from scipy.optimize import curve_fit

    try:
        found, covariance = curve_fit(function, x, y, p0=start, maxfev=_ATTEMPTS)
    except (RuntimeError, ValueError, np.linalg.LinAlgError):
        return None
    if not np.isfinite(found).all():
        return None
    return found.tolist(), np.sqrt(np.diag(covariance)).tolist()


def _problem(
    x: np.ndarray, y: np.ndarray, parameters: Sequence[float], error: float, rmse: float
) -> str | None:
    """Why c is not identified; None if it is. The simplest reason comes first."""
    a, b, c, d = parameters
    height, rise = a * np.exp(-c * (x.min() - b)), y.max() - y.min()
    checks = [
        (y.min() >= 0 and y.max() <= 1, "no accuracy is above 1: they must be in percent"),
        (not np.isfinite([height, rise, rmse]).all(), "the fit is not finite"),
        (
            rise < _LEAST_RISE * rmse,
            "the curve is flat, or no exponential: it scatters by a sixth of its rise",
        ),
        (c <= 0, "accuracy approaches no plateau: c is not positive"),
        (height >= 0, "accuracy falls"),
        (d - y.max() > rise, "no plateau in sight: less than half of the rise was seen"),
        (c * _second(x) > _STEEPEST, "the plateau is reached before the second point"),
        (not error <= c, "the standard error of c is larger than c"),
    ]
    return next((text for bad, text in checks if bad), None)


def _second(x: np.ndarray) -> float:
    """The distance from the smallest x to the next larger one."""
    first, second = np.unique(x)[:2]
    return float(second - first)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
