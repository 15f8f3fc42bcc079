"""Upper bounds for how much worse one model is than another on the same examples."""

import math
from collections.abc import Sequence

import numpy as np

from kerastickets.errors import RecipeError

_FEWEST = 3


def lost_share_bound(lost: int, gained: int, examples: int, alpha: float = 0.05) -> float:
    """The upper bound of the drop in accuracy between two models that answered the same examples.

    The bound inverts the score test of two paired proportions. It is sensible also where the models disagree on few
    examples or on none, where a bound from the normal distribution would be 0.

    Args:
        lost: the number of examples that only the first model answered rightly.
        gained: the number of examples that only the second model answered rightly.
        examples: the number of examples that both answered; at least 1.
        alpha: the probability, in (0, 0.5), that the true drop is above the bound.

    Returns:
        The bound, in [-1, 1]: the true drop `(lost - gained) / examples` is below it with probability 1 - alpha.

    Raises:
        RecipeError: a number is out of range.

    Example:
        >>> round(lost_share_bound(0, 0, 1000), 6)  # z^2 / (n + z^2), with z = 1.644854
        0.002698
        >>> round(lost_share_bound(30, 20, 1000), 4)
        0.0221

    Reference:
        T. Tango, Equivalence test and confidence interval for the difference in proportions for the paired-sample
        design, section 3 (Statistics in Medicine, 1998).
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    _check_alpha(alpha)
    if examples < 1 or min(lost, gained) < 0 or lost + gained > examples:
        raise RecipeError(
            "Expected lost and gained of at least 0, together at most the examples, of which there is at least 1. "
            f"Received: lost={lost}, gained={gained}, examples={examples}"
        )
    z = float(norm.ppf(1 - alpha))

    def above(drop: float) -> float:
        """The score statistic at a drop, plus z: above 0 while the test does not reject the drop."""
        b = (2 * examples - lost + gained) * drop - (lost + gained)
        c = -gained * drop * (1 - drop)
        share = (math.sqrt(max(b * b - 8 * examples * c, 0.0)) - b) / (4 * examples)
        variance = examples * (2 * share + drop * (1 - drop))
        return (lost - gained - examples * drop) + z * math.sqrt(max(variance, 0.0))

    # At the estimate itself the statistic has no variance if the models never disagree.
    low = (lost - gained) / examples + 1e-9
    if low >= 1 or above(1.0) >= 0:
        return 1.0
    return float(brentq(above, low, 1.0, xtol=1e-12))


def mean_bound(differences: Sequence[float], alpha: float = 0.05) -> float:
    """The upper bound of the mean of differences that are independent of one another, by Student's t.

    Args:
        differences: at least three numbers, such as how much worse a model is on each group of examples.
        alpha: the probability, in (0, 0.5), that the true mean is above the bound.

    Raises:
        RecipeError: there are fewer than three, one of them is not finite, or `alpha` is out of range.

    Example:
        >>> round(mean_bound([0.0, 1.0, 2.0]), 4)  # 1 + 2.919986 * 1 / sqrt(3)
        2.6859
    """
    from scipy.stats import t

    _check_alpha(alpha)
    values = np.asarray(differences, "float64")
    if values.ndim != 1 or values.size < _FEWEST or not np.isfinite(values).all():
        raise RecipeError(f"Expected at least {_FEWEST} finite differences. Received: {differences!r:.100}")
    spread = values.std(ddof=1) / math.sqrt(values.size)
    return float(values.mean() + t.ppf(1 - alpha, values.size - 1) * spread)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise RecipeError(f"`alpha` must be in (0, 0.5). Received: alpha={alpha!r}")
