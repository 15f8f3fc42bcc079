"""Compare runs: paired tests, adjusted p values and summaries. `mask_overlap` has the overlaps by chance.

All functions here are pure functions of plain numbers. Every result object has a method `facts()`, which
returns JSON.
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
# If two numbers differ only by rounding, their difference counts as 0. 2^-40 is about one part in 10^12.
_ROUNDING = 2.0**-40
_LARGEST = 1e150  # squares of larger numbers overflow; squares of numbers below its inverse become 0


@dataclass(frozen=True)
class PairedTest:
    """The result of a paired test: two treatments of the same units, compared unit by unit as a - b.

    Args:
        n: the number of pairs.
        mean_a: mean of a.
        mean_b: mean of b.
        mean_difference: mean of a - b.
        t: Student's t of the differences, with n - 1 degrees of freedom; None if all differences are equal.
        p: the p value of t; 1 if all differences are 0, None if they all equal another number.
        wilcoxon_p: the p value of Wilcoxon's signed-rank test, which assumes no normal distribution. With
            fewer than six pairs it cannot fall below 0.05, two-sided.
        effect_size: mean difference divided by the standard deviation of the differences (Cohen's d_z); None
            if all differences are equal.
        interval: two-sided confidence interval of the mean difference, also for a one-sided alternative; None
            if all differences equal a number other than 0.
        problem: what these numbers cannot tell; None if there is no such limit.
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
    """Five numbers that summarise some values.

    Args:
        n: the number of values.
        mean: their mean; None without values.
        sd: the sample standard deviation (divisor n - 1); None for fewer than two values.
        min: the smallest value; None without values.
        max: the largest value; None without values.
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
    """Test whether a and b differ, with Student's paired t test and Wilcoxon's signed-rank test.

    Pairs of equal values count in the t test. Wilcoxon's test drops them, as in Wilcoxon's paper. Its p value
    is exact for up to 50 pairs without ties and without equal pairs, and for up to 13 pairs with them. Above
    that it is a normal approximation.

    Args:
        a: values, one per unit (for example one per seed).
        b: values of the same units in the same order.
        alternative: `"two-sided"`, `"greater"` (a is above b) or `"less"` (a is below b).
        confidence: the confidence level of the interval, in (0, 1).

    Returns:
        A `PairedTest`. If all differences are 0, both p values are 1. If all differences equal another
        number, there is no spread and t would be infinite. Then t, p and interval are None and `problem` says
        so, but Wilcoxon's p value is valid.

    Raises:
        RecipeError: there are fewer than 3 pairs or unequal lengths, a value is not finite, or `alternative`
            or `confidence` is not allowed.

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
    """Adjust the p values of several tests, so that the chance of any false positive stays below the level.

    With m p values, the smallest is multiplied by m, the next by m - 1, and so on. No adjusted value is below
    the adjusted value of a smaller p value, and none exceeds 1.

    Args:
        p_values: p values in [0, 1].

    Returns:
        The adjusted p values, in the order given.

    Raises:
        RecipeError: a value is outside [0, 1].

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
    """Count, mean, standard deviation and range of some values.

    Args:
        values: finite numbers. The list may be empty.

    Returns:
        A `Summary`.

    Raises:
        RecipeError: a value is not finite.

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
    """a - b, rounded to the digits that are exact, so that 0.3 - 0.2 and 0.2 - 0.1 become equal."""
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
    with warnings.catch_warnings():  # some versions of SciPy warn that p is not exact with ties
        warnings.simplefilter("ignore")
        ranks = float(stats.wilcoxon(differences, alternative=alternative).pvalue)
    return PairedTest(n, *means, mean, t, p, ranks, mean / sd, (mean - reach, mean + reach))


def _constant(n: int, means: tuple[float, float], value: float, alternative: Alternative) -> PairedTest:
    if value == 0:
        return PairedTest(n, *means, 0.0, None, 1.0, 1.0, None, (0.0, 0.0), "all pairs are equal")
    # All signs agree. Of the 2^n ways to choose signs, one is as extreme on each side.
    one = 0.5**n
    towards = {"two-sided": 2 * one, "greater": one if value > 0 else 1.0, "less": one if value < 0 else 1.0}
    problem = f"all differences are {value:.6g}: without spread there is no t, p or interval"
    return PairedTest(n, *means, value, None, None, towards[alternative], None, None, problem)
