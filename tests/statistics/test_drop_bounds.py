"""Upper bounds of drops, against values by hand, another formula, and how often they hold."""

import math

import numpy as np
import pytest
from scipy import stats

from kerastickets.errors import RecipeError
from kerastickets.statistics.drop_bounds import lost_share_bound, mean_bound

Z = 1.6448536269514722


def test_without_disagreement_the_bound_is_the_closed_form():
    # The statistic is -n d / sqrt(n d (1 - d)); it is -z where d = z^2 / (n + z^2).
    for n in (1, 30, 1000, 10_000):
        assert lost_share_bound(0, 0, n) == pytest.approx(Z**2 / (n + Z**2), rel=1e-9)


def score(d, lost, gained, n):
    """The score test by brute force: the nuisance share that makes the counts most likely, found on a grid."""
    shares = np.linspace(max(0.0, -d), (1 - d) / 2, 200_001)[1:-1]
    likely = (
        lost * np.log(shares + d) + gained * np.log(shares) + (n - lost - gained) * np.log(1 - 2 * shares - d)
    )
    share = shares[likely.argmax()]
    return (lost - gained - n * d) / math.sqrt(n * (2 * share + d - d * d))


@pytest.mark.parametrize(("lost", "gained", "n"), [(30, 20, 1000), (7, 4, 600), (18, 3, 600), (2, 9, 120)])
def test_at_the_bound_the_score_test_has_its_critical_value(lost, gained, n):
    bound = lost_share_bound(lost, gained, n)
    assert bound > (lost - gained) / n
    assert score(bound, lost, gained, n) == pytest.approx(-Z, abs=1e-3)


def test_many_examples_approach_the_normal_bound():
    lost, gained, n = 3000, 2000, 100_000
    share = (lost - gained) / n
    spread = math.sqrt(((lost + gained) / n - share**2) / n)
    assert lost_share_bound(lost, gained, n) == pytest.approx(share + Z * spread, rel=2e-3)


def test_it_is_an_upper_bound_as_often_as_it_says():
    rng, worse, better, n = np.random.default_rng(0), 0.03, 0.02, 500
    counts = rng.multinomial(n, [worse, better, 1 - worse - better], 2000)
    below = np.mean([lost_share_bound(int(a), int(b), n) < worse - better for a, b, _ in counts])
    assert below == pytest.approx(0.05, abs=0.02)


def test_edges():
    assert lost_share_bound(5, 0, 5) == 1.0
    assert lost_share_bound(0, 5, 5) < 0
    assert lost_share_bound(3, 3, 100, alpha=0.01) > lost_share_bound(3, 3, 100, alpha=0.05)


def test_the_mean_is_bounded_by_student():
    values = np.random.default_rng(1).normal(size=12)
    expected = stats.ttest_1samp(values, 0, alternative="less").confidence_interval(0.95).high
    assert mean_bound(values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("given", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_counts_out_of_range_are_refused(given):
    with pytest.raises(RecipeError, match="Expected lost and gained"):
        lost_share_bound(*given)


@pytest.mark.parametrize("given", [[0.0, 1.0], [0.0, 1.0, math.nan]])
def test_too_few_or_infinite_differences_are_refused(given):
    with pytest.raises(RecipeError, match="at least 3 finite"):
        mean_bound(given)


def test_alpha_is_checked():
    with pytest.raises(RecipeError, match=r"in \(0, 0.5\)"):
        lost_share_bound(0, 0, 5, alpha=0.5)
