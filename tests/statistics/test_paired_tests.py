"""Paired tests, Holm's adjustment and summaries: by hand, and against SciPy's own tests."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from kerastickets.errors import RecipeError
from kerastickets.statistics import holm, paired, summary

# Student's own data (Cushny and Peebles, 1905): hours of sleep gained by ten patients with two drugs.
DEXTRO = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
LAEVO = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_students_sleep_data_give_the_textbook_numbers():
    test = paired(LAEVO, DEXTRO)
    assert (test.n, test.problem) == (10, None)
    assert test.mean_a == pytest.approx(2.33)
    assert test.mean_b == pytest.approx(0.75)
    assert test.mean_difference == pytest.approx(1.58)
    assert test.t == pytest.approx(4.0621, abs=5e-5)
    assert test.p == pytest.approx(0.002833, abs=5e-7)
    assert test.interval == pytest.approx((0.7001, 2.4599), abs=5e-5)
    assert test.effect_size == pytest.approx(1.2846, abs=5e-5)  # 4.0621 / sqrt(10)


def test_a_test_worked_by_hand():
    # Differences 2, 3, 1, 4: mean 2.5, variance (.25 + .25 + 2.25 + 2.25) / 3 = 5 / 3, t = 2.5 / sqrt(5 / 12).
    test = paired([3, 5, 4, 8], [1, 2, 3, 4])
    assert test.t == pytest.approx(2.5 / math.sqrt(5 / 12))
    assert test.effect_size == pytest.approx(2.5 / math.sqrt(5 / 3))
    # With 3 degrees of freedom P(T > t) = 1/2 - (atan(s) + s / (1 + s^2)) / pi where s = t / sqrt(3) = sqrt(5).
    s = math.sqrt(5)
    assert test.p == pytest.approx(1 - 2 / math.pi * (math.atan(s) + s / 6))
    assert test.wilcoxon_p == 2 / 2**4  # All signs agree: two of sixteen.
    assert test.interval == pytest.approx(
        (2.5 - 3.182446 * math.sqrt(5 / 12), 2.5 + 3.182446 * math.sqrt(5 / 12))
    )


VALUES = st.lists(
    st.tuples(st.floats(-100, 100, allow_subnormal=False), st.floats(-100, 100, allow_subnormal=False)),
    min_size=3,
    max_size=20,
)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(3, 60), st.sampled_from(["two-sided", "greater", "less"]))
def test_it_agrees_with_scipy(seed, n, alternative):
    a, b = np.random.default_rng(seed).normal(size=(2, n)).round(3)
    test = paired(a, b, alternative=alternative, confidence=0.9)
    reference = stats.ttest_rel(a, b, alternative=alternative)
    assert test.t == pytest.approx(reference.statistic, rel=1e-9)
    assert test.p == pytest.approx(reference.pvalue, rel=1e-8)
    low, high = stats.ttest_rel(a, b).confidence_interval(0.9)
    assert test.interval == pytest.approx((low, high), rel=1e-8, abs=1e-12)
    assert test.wilcoxon_p == pytest.approx(stats.wilcoxon((a - b).round(6), alternative=alternative).pvalue)


def test_the_alternative_says_on_which_side_a_lies():
    above, below = (paired(LAEVO, DEXTRO, alternative=side) for side in ("greater", "less"))
    assert above.p == pytest.approx(0.002833 / 2, abs=1e-6)
    assert below.p == pytest.approx(1 - above.p)
    assert above.wilcoxon_p < 0.01 < 0.99 < below.wilcoxon_p
    assert above.interval == below.interval


def test_exchanging_a_and_b_changes_signs_only():
    one, other = paired(LAEVO, DEXTRO), paired(DEXTRO, LAEVO)
    assert (one.t, one.effect_size) == (-other.t, -other.effect_size)
    assert (one.p, one.wilcoxon_p) == (other.p, other.wilcoxon_p)


def test_equal_pairs_are_no_difference():
    assert paired([0.97, 0.98, 0.96], [0.97, 0.98, 0.96]).facts() == {
        "n": 3, "mean_a": pytest.approx(0.97), "mean_b": pytest.approx(0.97), "mean_difference": 0.0, "t": None,
        "p": 1.0, "wilcoxon_p": 1.0, "effect_size": None, "interval": [0.0, 0.0], "problem": "all pairs are equal",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("alternative", "wilcoxon"), [("two-sided", 2 / 16), ("greater", 1 / 16), ("less", 1.0)]
)
def test_one_difference_everywhere_has_no_t(alternative, wilcoxon):
    # In floating point 0.3 - 0.2, 0.2 - 0.1 and so on differ by rounding: t would be 10^15.
    test = paired([0.3, 0.2, 0.8, 1.1], [0.2, 0.1, 0.7, 1.0], alternative=alternative)
    assert (test.t, test.p, test.effect_size, test.interval) == (None, None, None, None)
    assert test.mean_difference == pytest.approx(0.1)
    assert test.wilcoxon_p == wilcoxon
    assert test.problem == "all differences are 0.1: without spread there is no t, p or interval"
    if alternative == "two-sided":
        mirrored = paired([-1, -2, -3, -4], [0, -1, -2, -3])
        assert (mirrored.wilcoxon_p, mirrored.mean_difference) == (wilcoxon, -1.0)


def test_rounding_does_not_break_ties_of_ranks():
    # |0.3 - 0.2|, |0.1 - 0.2| and |0.8 - 0.7| tie: ranks 2, 2, 2 and 4 (minus 2): 8 or more of 10 from one side.
    test = paired([0.3, 0.1, 0.8, 1.5], [0.2, 0.2, 0.7, 1.0])
    # Of 16 signs rank sums are >= 8 in: all (1), one of the three 2s negative (3); doubled.
    assert test.wilcoxon_p == pytest.approx(2 * 4 / 16)


def test_equal_pairs_among_others_count_in_t_only():
    test = paired([1, 2, 3, 4, 5], [1, 1, 1, 1, 1])  # 0 1 2 3 4
    assert test.t == pytest.approx(2 / math.sqrt(2.5 / 5))
    assert test.wilcoxon_p == 2 / 2**4


@settings(deadline=None, max_examples=100)
@given(VALUES)
def test_no_finite_numbers_give_nan(pairs):
    test = paired(*zip(*pairs, strict=True))
    json.dumps(test.facts(), allow_nan=False)
    assert 0 <= test.wilcoxon_p <= 1
    assert test.p is None or 0 <= test.p <= 1
    if test.interval:
        low, high = test.interval
        assert low <= test.mean_difference <= high
    if test.problem is None:  # An interval excludes 0 exactly where the test rejects.
        assert (low > 0 or high < 0) is (test.p < 0.05)


@pytest.mark.parametrize("scale", [1e-200, 1e-140, 1e140])
def test_tiny_and_huge_numbers_give_no_nan(scale):
    json.dumps(paired([1 * scale, 2 * scale, 4 * scale], [0, 0, 0]).facts(), allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (([1, 2], [2, 3]), {}, "3 pairs or more. Received: 2 and 2 values. Run more seeds"),
        (([1, 2, 3], [1, 2, 3, 4]), {}, "Received: 3 and 4 values"),
        (([1, 2, math.nan], [1, 2, 3]), {}, "`a` must be a list of finite numbers"),
        (([1, 2, 3], [1, 2, math.inf]), {}, "`b` must be a list of finite numbers"),
        (([1, 2, 1e200], [1, 2, 3]), {}, "below 1e"),
        (([[1, 2, 3]], [1, 2, 3]), {}, "`a` must be"),
        (([1, 2, None], [1, 2, 3]), {}, "`a` must be"),
        ((5, [1, 2, 3]), {}, "`a` must be"),
        (
            ([1, 2, 3], [1, 2, 4]),
            {"alternative": "both"},
            "one of two-sided, greater, less. Received: 'both'",
        ),
        (([1, 2, 3], [1, 2, 4]), {"confidence": 95}, r"in \(0, 1\). Received: confidence=95"),
    ],
)
def test_what_cannot_be_tested_is_refused(arguments, options, said):
    with pytest.raises(RecipeError, match=said):
        paired(*arguments, **options)


@pytest.mark.parametrize(
    ("values", "adjusted"),
    [
        ([], []),
        ([0.02], [0.02]),
        # Sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04; none below the one before: .02 .03 .06 .06.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6, 0.4], [1.0, 1.0, 1.0]),
        ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
        ([0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_holm(values, adjusted):
    assert holm(values) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=10))
def test_holm_lies_between_no_adjustment_and_bonferroni_and_keeps_the_order(values):
    adjusted = holm(values)
    for value, other in zip(values, adjusted, strict=True):
        assert value <= other <= min(1.0, value * len(values))
    steps = [other for _, other in sorted(zip(values, adjusted, strict=True))]
    assert steps == sorted(steps)


@pytest.mark.parametrize("values", [[-0.1], [1.1], [math.nan], [0.1, "x"]])
def test_holm_refuses_what_is_no_p_value(values):
    with pytest.raises(RecipeError, match="p_values"):
        holm(values)


def test_summary():
    assert summary([1, 2, 4, 5]).facts() == {
        "n": 4,
        "mean": 3.0,
        "sd": math.sqrt(10 / 3),
        "min": 1.0,
        "max": 5.0,
    }
    assert summary(iter([7])).facts() == {"n": 1, "mean": 7.0, "sd": None, "min": 7.0, "max": 7.0}
    assert summary([]).facts() == {"n": 0, "mean": None, "sd": None, "min": None, "max": None}
    with pytest.raises(RecipeError, match="`values` must be a list of finite numbers"):
        summary([1, math.nan])
