"""Cutting whole units: worked out by hand, and compared with a cut of one kernel's last axis."""

import numpy as np
import pytest

from kerastickets.cutting.cut_scores import cut, ones
from kerastickets.cutting.groups import (
    UnitAxis,
    best_units,
    families,
    last_axes,
    spread_over_units,
    unit_sums,
)
from kerastickets.errors import AlignError


def axis(number, *units):
    return UnitAxis(number, np.array(units))


def test_units_of_two_keys_go_together():
    groups = {"a": (axis(1, 0, 1),), "b": (axis(0, 0, 1),)}
    scores = {"a": np.array([[5.0, 1.0]]), "b": np.array([[1.0], [6.0]])}
    # By hand: unit 0 has 5 + 1, unit 1 has 1 + 6. Each has one weight in a and one in b.
    found = cut(scores, 3, ones({"a": (1, 2), "b": (2, 1)}), granularity="channel", groups=groups)
    assert found["a"].tolist() == [[False, True]]
    assert found["b"].tolist() == [[False], [True]]


def test_with_scope_layer_keys_that_share_units_have_one_count():
    groups = {"a": (axis(1, 0, 1),), "b": (axis(1, 0, 1),), "c": (axis(0, 7, 8),)}
    scores = {"a": np.array([[9.0, 1.0]]), "b": np.array([[0.0, 1.0]]), "c": np.array([2.0, 3.0])}
    masks = ones({"a": (1, 2), "b": (1, 2), "c": (2,)})
    found = cut(scores, {"a": 1, "b": 1, "c": 1}, masks, granularity="channel", groups=groups)
    assert {key: mask.ravel().tolist() for key, mask in found.items()} == {
        "a": [True, False],
        "b": [True, False],
        "c": [False, True],
    }


def test_what_belongs_to_no_unit_stays_and_counts():
    groups = {"a": (axis(0, -1, 4, 2),)}
    scores = {"a": np.array([0.0, 1.0, 2.0])}
    assert best_units(scores, 2, ones({"a": (3,)}), groups)["a"].tolist() == [True, False, True]
    assert best_units(scores, 0, ones({"a": (3,)}), groups)["a"].tolist() == [True, False, False]


def test_a_weight_on_two_axes_is_kept_if_both_of_its_units_are():
    groups = {"r": (axis(0, 0, 1, 2), axis(1, 0, 1, 2))}
    scores = {"r": np.diag([3.0, 1.0, 2.0])}
    # By hand: the best two of three units keep 2 x 2 weights, the best alone 1.
    assert best_units(scores, 4, ones({"r": (3, 3)}), groups)["r"].sum(0).tolist() == [2, 0, 2]
    assert best_units(scores, 3, ones({"r": (3, 3)}), groups)["r"].sum(0).tolist() == [1, 0, 0]


def test_equal_units_are_ordered_by_key_and_index():
    groups = {"b": (axis(0, 0, 1),), "a": (axis(0, 3, 2),)}
    found = best_units({"a": np.ones(2), "b": np.ones(2)}, 3, ones({"a": (2,), "b": (2,)}), groups)
    assert [found[key].tolist() for key in "ab"] == [[True, True], [True, False]]


def test_a_unit_that_is_gone_does_not_come_back():
    masks = {"a": np.array([[True, False], [True, False]])}
    found = best_units({"a": np.array([[1.0, 0.0], [1.0, 0.0]])}, 4, masks, last_axes(masks))
    assert found["a"].tolist() == masks["a"].tolist()


def test_families_are_joined_by_a_later_key():
    groups = {"a": (axis(0, 0),), "b": (axis(0, 1),), "c": (axis(0, 0, 1),), "d": (axis(0, -1),)}
    assert families(groups) == [["a", "b", "c"], ["d"]]


def test_groups_of_other_keys_are_refused():
    with pytest.raises(AlignError, match="'a' in one of them"):
        cut({"a": np.ones(2)}, 1, ones({"a": (2,)}), granularity="channel", groups={"b": ()})


@pytest.mark.parametrize("seed", range(20))
def test_sums_have_the_bits_of_a_sum_over_the_rows(seed):
    """The order of summation decides ties and near ties: it is that of a plain sum over the other axes."""
    rng = np.random.default_rng(seed)
    scores = {"a": rng.lognormal(size=(3, 5, 7)), "b": rng.lognormal(size=(11, 4))}
    sums = np.concatenate([scores["a"].reshape(-1, 7).sum(0), scores["b"].sum(0)])
    sizes = np.array([15] * 7 + [11] * 4)
    keep = int(rng.integers(15, 149))
    order = np.argsort(-sums, kind="stable")
    best = set(order[np.cumsum(sizes[order]) <= keep].tolist())
    found = cut(
        scores, keep, ones({"a": (3, 5, 7), "b": (11, 4)}), granularity="channel", allow_collapse=True
    )
    assert set(np.flatnonzero(np.concatenate([found["a"][0, 0], found["b"][0]])).tolist()) == best


def test_a_units_sum_counts_each_of_its_weights_once():
    groups = {"r": (axis(0, 0, 1), axis(1, 0, 1)), "k": (axis(1, 0, 1),)}
    values = {"r": np.array([[1.0, 2.0], [3.0, 4.0]]), "k": np.array([[10.0, 20.0]])}
    # By hand: unit 0 has its row 1, 2, its column 3 beyond, and 10; unit 1 has 3, 4, 2 and 20.
    assert unit_sums(values, groups) == {0: 16.0, 1: 29.0}


def test_scores_spread_over_units_sum_to_the_scores():
    groups = {"r": (axis(0, 0, 1), axis(1, 0, 1)), "k": (axis(1, 0, 1),)}
    masks = {"r": np.ones((2, 2), bool), "k": np.array([[True, True], [True, False]])}
    made = spread_over_units({0: 6.0, 1: -4.0}, masks, groups)
    # By hand: unit 0 has three weights of its own, unit 1 two, and the other two weights have two units.
    assert made["k"].tolist() == [[2, -2], [2, 0]]
    assert made["r"].tolist() == [[2, 0], [0, -2]]
    assert unit_sums(made, groups) == {0: 6.0, 1: -4.0}
