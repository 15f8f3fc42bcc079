"""Numbers that compare runs: paired tests, adjusted p values, summaries; overlaps by chance are in `chance`.

Everything here is a pure function of plain numbers, and every result has `facts()`, which is JSON.
"""

import math
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from kerastickets.errors import RecipeError
from kerastickets.statistics.mask_overlap import RandomOverlap, random_intersection, random_overlap

__all__ = [
    "PairedTest",
    "RandomOverlap",
    "Summary",
    "holm",
    "paired",
    "random_intersection",
    "random_overlap",
    "summary",
]

Alternative = Literal["two-sided", "greater", "less"]

_FEWEST = 3
# Differences of two numbers that differ by rounding alone are none. 2^-40 is a part in a million millions.
_ROUNDING = 2.0**-40
_LARGEST = 1e150  # Squares of larger numbers overflow, and of smaller ones than its inverse vanish.


@dataclass(frozen=True)
class PairedTest:
    """Two treatments of the same units, compared unit by unit: a minus b.

    Args:
        n: pairs.
        mean_a: mean of a.
        mean_b: mean of b.
        mean_difference: mean of a - b.
        t: Student's t of the differences, with n - 1 degrees of freedom; None where they do not vary.
        p: its p value; 1 where all differences are 0, None where they are all another number.
        wilcoxon_p: p value of Wilcoxon's signed ranks, which needs no normal distribution. Fewer than six
            pairs cannot bring it below 0.05, two-sided.
        effect_size: mean difference over the standard deviation of the differences (Cohen's d_z).
        interval: two-sided confidence interval of the mean difference, whatever the alternative.
        problem: what these numbers cannot say; None if nothing.
    """

    n: int
    mean_a: float
    mean_b: float
    mean_difference: float
    t: float | None
    p: float | None
    wilcoxon_p: float
    effect_size: float | None
    interval: tuple[float, float] | None
    problem: str | None = None

    def facts(self) -> dict[str, Any]:
        """The test as JSON."""
        return asdict(self) | {"interval": list(self.interval) if self.interval else None}


@dataclass(frozen=True)
class Summary:
    """Some values in five numbers; None where there are too few values for one.

    Args:
        n: how many.
        mean: their mean.
        sd: standard deviation of the sample (n - 1 below); None for fewer than two values.
        min: the smallest.
        max: the largest.
    """

    n: int
    mean: float | None
    sd: float | None
    min: float | None
    max: float | None

    def facts(self) -> dict[str, Any]:
        """The summary as JSON."""
        return asdict(self)


def paired(
    a: Iterable[float],
    b: Iterable[float],
    *,
    alternative: Alternative = "two-sided",
    confidence: float = 0.95,
) -> PairedTest:
    """Test whether a and b differ, by Student's paired t test and by Wilcoxon's signed ranks.

    Pairs of equal values count in the t test; Wilcoxon's test drops them, as Wilcoxon did. Its p value is exact
    up to 50 pairs without ties and without equal values, and up to 13 with them; a normal approximation beyond.

    Args:
        a: values, one per unit (a seed, say).
        b: values of the same units in the same order.
        alternative: `two-sided`, or `greater` / `less`: a is above / below b.
        confidence: of the interval, in (0, 1).

    Returns:
        A `PairedTest`. Where all differences are 0, both p values are 1. Where all are one other number, t
        would be infinite: there is no spread to judge it by, so t, p and interval are None and `problem` says
        it; Wilcoxon's p holds.

    Raises:
        RecipeError: fewer than 3 pairs, unequal lengths, values that are not finite, or a dial out of range.

    Example:
        >>> test = paired([3, 5, 4, 8], [1, 2, 3, 4])
        >>> test.mean_difference, round(test.t, 3), round(test.p, 4), test.wilcoxon_p
        (2.5, 3.873, 0.0305, 0.125)

    Reference:
        Student, "The probable error of a mean", 1908. F. Wilcoxon, "Individual comparisons by ranking
        methods", 1945. Demšar, "Statistical comparisons of classifiers over multiple data sets", section 3.1.
    """
    first, second = _finite("a", a), _finite("b", b)
    if first.size != second.size or first.size < _FEWEST:
        raise RecipeError(
            f"`a` and `b` must be {_FEWEST} pairs or more. Received: {first.size} and {second.size} values. "
            "Run more seeds."
        )
    if alternative not in get_args(Alternative):
        raise RecipeError(
            f"`alternative` must be one of {', '.join(get_args(Alternative))}. Received: {alternative!r}"
        )
    if not 0 < confidence < 1:
        raise RecipeError(f"`confidence` must be in (0, 1). Received: confidence={confidence}")
    means = float(first.mean()), float(second.mean())
    return _test(means, _differences(first, second), alternative, confidence)


def holm(p_values: Iterable[float]) -> list[float]:
    """Adjust p values of several tests, so that the chance of any false alarm stays below the level.

    The smallest is multiplied by their number, the next by one less, and so on; none falls below the one
    before it, none exceeds 1.

    Args:
        p_values: in [0, 1].

    Returns:
        Adjusted p values, in the order given.

    Raises:
        RecipeError: a value outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    Reference:
        S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    values = _finite("p_values", p_values)
    if ((values < 0) | (values > 1)).any():
        raise RecipeError(f"`p_values` must be in [0, 1]. Received: p_values={values.tolist()}")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def summary(values: Iterable[float]) -> Summary:
    """Number, mean, standard deviation and range of some values.

    Args:
        values: finite numbers; there may be none.

    Returns:
        A `Summary`.

    Raises:
        RecipeError: a value that is not finite.

    Example:
        >>> summary([2, 4, 4, 6])
        Summary(n=4, mean=4.0, sd=1.632993161855452, min=2.0, max=6.0)
    """
    found = _finite("values", values)
    if not found.size:
        return Summary(0, None, None, None, None)
    sd = float(found.std(ddof=1)) if found.size > 1 else None
    return Summary(found.size, float(found.mean()), sd, float(found.min()), float(found.max()))


def _finite(name: str, values: Iterable[float]) -> np.ndarray:
    try:
        found = np.array(values if isinstance(values, np.ndarray) else [*values], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RecipeError(f"`{name}` must be a list of numbers. Received: {error}") from error
    if found.ndim != 1 or not (np.abs(found) < _LARGEST).all():
        raise RecipeError(
            f"`{name}` must be a list of finite numbers (below {_LARGEST}). Received: {name}={found.tolist()}"
        )
    return found


def _differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b, to the digits that the subtraction leaves: 0.3 - 0.2 and 0.2 - 0.1 are then one number."""
    largest = max(np.abs(a).max(), np.abs(b).max())
    unit = max(math.ldexp(_ROUNDING, math.frexp(largest)[1]), 1 / _LARGEST)
    return np.round((a - b) / unit) * unit


def _test(
    means: tuple[float, float], differences: np.ndarray, alternative: Alternative, confidence: float
) -> PairedTest:
    from scipy import stats

    n, mean = differences.size, float(differences.mean())
    if np.all(differences == differences[0]):
        return _constant(n, means, float(differences[0]), alternative)
    sd = float(differences.std(ddof=1))
    error = sd / math.sqrt(n)
    t = mean / error
    tails = {"two-sided": 2 * stats.t.sf(abs(t), n - 1), "greater": stats.t.sf(t, n - 1)}
    p = float(tails.get(alternative, stats.t.cdf(t, n - 1)))
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    with warnings.catch_warnings():  # Some versions of SciPy announce that ties are not exact.
        warnings.simplefilter("ignore")
        ranks = float(stats.wilcoxon(differences, alternative=alternative).pvalue)
    return PairedTest(n, *means, mean, t, p, ranks, mean / sd, (mean - reach, mean + reach))


def _constant(n: int, means: tuple[float, float], value: float, alternative: Alternative) -> PairedTest:
    if value == 0:
        return PairedTest(n, *means, 0.0, None, 1.0, 1.0, None, (0.0, 0.0), "all pairs are equal")
    # All signs agree: of the 2^n ways to choose signs one is as extreme on either side.
    one = 0.5**n
    towards = {"two-sided": 2 * one, "greater": one if value > 0 else 1.0, "less": one if value < 0 else 1.0}
    problem = f"all differences are {value:.6g}: without spread there is no t, p or interval"
    return PairedTest(n, *means, value, None, None, towards[alternative], None, None, problem)
