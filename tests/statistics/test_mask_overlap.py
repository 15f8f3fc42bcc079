"""Overlap by chance: by counting all masks, against SciPy, and against a published experiment."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy.stats import hypergeom

from kerastickets import statistics
from kerastickets.errors import RecipeError
from kerastickets.statistics.mask_overlap import random_intersection, random_overlap


def counted(layers):
    """Overlap and IoU over all pairs of masks: the first may stay fixed in each layer, as all are alike."""
    overlaps, union = [], sum(a + b for _, a, b in layers)
    for masks in itertools.product(*(itertools.combinations(range(n), b) for n, _, b in layers)):
        overlaps.append(
            sum(len(set(mask) & set(range(a))) for mask, (_, a, _) in zip(masks, layers, strict=True))
        )
    overlaps = np.array(overlaps)
    return overlaps.mean(), overlaps.std(), (overlaps / (union - overlaps)).mean()


@pytest.mark.parametrize(
    "layers",
    [
        [(4, 2, 2)],
        [(6, 1, 5)],
        [(7, 3, 0)],
        [(5, 5, 2)],
        [(5, 2, 3), (4, 3, 3)],
        [(3, 1, 1), (4, 2, 1), (2, 1, 2)],
    ],
    ids=str,
)
def test_it_is_the_average_over_all_masks(layers):
    chance = random_overlap(*(list(column) for column in zip(*layers, strict=True)))
    assert (chance.mean, chance.sd, chance.iou) == pytest.approx(counted(layers))
    assert chance.exact


def test_two_of_four_by_hand():
    # Six masks: overlaps 2, 1 (four times) and 0, hence IoU 1, 1/3 and 0.
    chance = random_overlap(4, 2, 2, overlap=2)
    assert chance.facts() == {
        "total": 4, "kept_a": 2, "kept_b": 2, "mean": 1.0, "sd": pytest.approx(math.sqrt(1 / 3)),
        "iou": pytest.approx((1 + 4 / 3) / 6), "exact": True, "overlap": 2, "z": pytest.approx(math.sqrt(3)),
    }  # fmt: skip


def test_large_layers_agree_with_scipy():
    chance = random_overlap(235_200, 25_736, 25_736)
    mean, variance = hypergeom.stats(235_200, 25_736, 25_736)
    assert (chance.mean, chance.sd) == pytest.approx((mean, math.sqrt(variance)))
    assert not chance.exact
    assert chance.iou == pytest.approx(mean / (2 * 25_736 - mean))


@pytest.mark.parametrize(
    "layers", [[(20_000, 9_999, 9_999)], [(2, 1, 1)] * 9_000, [(30_000, 20_000, 20_000)]]
)
def test_the_ratio_at_the_mean_is_close_to_the_expectation(layers):
    chance = random_overlap(*(list(column) for column in zip(*layers, strict=True)))
    assert 0 <= chance.iou - chance.mean / (chance.kept_a + chance.kept_b - chance.mean) < 1e-4


def test_masks_that_two_papers_methods_found_share_more_than_chance():
    # LeNet-300-100, ten prunings: LTH and SNIP keep 28 823 of 266 200 each and share 6 808 (REPRODUCTION B).
    chance = random_overlap(266_200, 28_823, 28_823, overlap=6808)
    assert chance.mean == pytest.approx(28_823**2 / 266_200)  # 3 120.8
    assert chance.z == pytest.approx((6808 - 3120.84) / 49.81, rel=1e-3)


def test_layers_add_up():
    one, other = random_overlap(100, 20, 30), random_overlap(50, 25, 10)
    both = random_overlap([100, 50], [20, 25], [30, 10], overlap=20)
    assert both.mean == one.mean + other.mean == 11
    assert both.sd == pytest.approx(math.hypot(one.sd, other.sd))
    assert both.z == pytest.approx(9 / both.sd)
    assert (both.total, both.kept_a, both.kept_b) == (150, 45, 40)


@pytest.mark.parametrize(
    ("counts", "iou"),
    [((5, 5, 5), 1.0), ((5, 0, 0), 1.0), ((5, 0, 3), 0.0), ((1, 1, 0), 0.0), ((1, 1, 1), 1.0)],
)
def test_where_chance_cannot_vary_there_is_no_z(counts, iou):
    chance = random_overlap(*counts)
    assert (chance.sd, chance.iou) == (0.0, iou)
    chance = random_overlap(*counts, overlap=int(chance.mean))
    assert chance.z is None
    json.dumps(chance.facts(), allow_nan=False)


def test_numpys_integers_are_counts():
    assert random_overlap(np.array([4, 4]), np.array([2, 2]), np.array([2, 2])).facts() == (
        random_overlap([4, 4], [2, 2], [2, 2]).facts()
    )
    json.dumps(random_overlap(np.int64(4), np.int64(2), np.int64(2), overlap=np.int64(1)).facts())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((4, 5, 2), "keep between none and all. Received: total=4, kept_a=5"),
        ((4, -1, 2), "kept_a=-1"),
        ((0, 0, 0), "must have at least one weight"),
        (([4, 4], [2], [2]), "must list the same layers"),
        (([], [], []), "must list the same layers"),
        ((4, 2.5, 2), "whole numbers. Received: 2.5"),
        ((4, 2, 2, 0.5), "whole numbers. Received: 0.5"),
        ((4, 2, 2, 3), r"`overlap` must be in \[0, 2\]. Received: overlap=3"),
        ((4, 3, 3, 1), r"`overlap` must be in \[2, 3\]. Received: overlap=1"),
    ],
)
def test_counts_that_cannot_be_are_refused(arguments, said):
    with pytest.raises(RecipeError, match=said):
        random_overlap(*arguments)


def test_statistics_has_the_name_too():
    assert statistics.random_overlap is random_overlap


@pytest.mark.parametrize(
    "layers", [[(4, 2, 2, 2)], [(5, 3, 4, 2)], [(3, 2, 1, 3), (4, 1, 3, 2)], [(1, 1, 1, 0)], [(3, 3, 3, 3)]]
)
def test_what_several_random_masks_all_keep_is_what_counting_finds(layers):
    means, variances = [], []
    for n, *kept in layers:
        masks = itertools.product(*(itertools.combinations(range(n), k) for k in kept))
        shared = np.array([len(set.intersection(*map(set, chosen))) for chosen in masks])
        means.append(shared.mean())
        variances.append(shared.var())
    total, *kept = (list(column) for column in zip(*layers, strict=True))
    assert random_intersection(total, *kept) == pytest.approx((sum(means), math.sqrt(sum(variances))))


def test_what_two_random_masks_both_keep_is_their_overlap():
    # The LeNet's first layer at 2 %: products of counts beyond 64 bits.
    for n, a, b in ((235_200, 4704, 4704), (10, 5, 4), (10**9, 10**8, 3)):
        both = random_overlap(n, a, b)
        assert random_intersection(n, a, b) == pytest.approx((both.mean, both.sd))
    assert random_intersection(10, 7) == (7.0, 0.0)  # one mask has no chance


def test_impossible_masks_are_refused():
    for counts in ((4, 5), (4,), ([4, 4], [2, 2], [1]), (4, 2.5)):
        with pytest.raises(RecipeError, match="Received"):
            random_intersection(*counts)
    assert statistics.random_intersection is random_intersection
