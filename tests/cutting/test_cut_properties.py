"""Cutting, against its definition as a slow loop, on made-up scores in which ties abound."""

import numpy as np
from hypothesis import given, settings, strategies as st

from kerastickets.cutting.cut_scores import apportion, cut, equal_densities
from kerastickets.foundations.tree import kept

relaxed = settings(deadline=None)  # A busy machine's pauses are no failures.


def brute(scores, keep, masks):
    """The definition, weight by weight: sort by score, then key, then flat index."""
    alive = [
        (-float(scores[key].flat[index]), key, index)
        for key in masks
        for index in range(masks[key].size)
        if masks[key].flat[index]
    ]
    result = {key: np.zeros(masks[key].shape, bool) for key in masks}
    for _, key, index in sorted(alive)[:keep]:
        result[key].flat[index] = True
    return result


def same(a, b):
    assert list(a) == sorted(b)
    for key in b:
        np.testing.assert_array_equal(a[key], b[key], key)


SCORE = st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0])  # Few values, so that ties abound.
LAYER = st.lists(st.tuples(SCORE, st.booleans()), max_size=12)


@st.composite
def problems(draw):
    """Scores with many ties, masks, and a number of weights to keep."""
    drawn = draw(st.dictionaries(st.sampled_from(["a", "b", "b/c", "d"]), LAYER, max_size=4))
    scores = {key: np.array([score for score, _ in layer]) for key, layer in drawn.items()}
    masks = {key: np.array([mask for _, mask in layer], bool) for key, layer in drawn.items()}
    return scores, masks, draw(st.integers(0, kept(masks)))


@relaxed
@given(problems())
def test_a_global_cut_is_the_definition(problem):
    scores, masks, keep = problem
    same(cut(scores, keep, masks, allow_collapse=True), brute(scores, keep, masks))


@relaxed
@given(problems())
def test_a_layer_cut_is_the_definition_layer_by_layer(problem):
    scores, masks, keep = problem
    counts = equal_densities(keep, masks)
    expected = {key: brute({key: scores[key]}, counts[key], {key: masks[key]})[key] for key in masks}
    same(cut(scores, keep, masks, "layer", allow_collapse=True), expected)
    same(cut(scores, counts, masks, allow_collapse=True), expected)


@relaxed
@given(problems())
def test_a_cut_is_exact_within_the_mask_and_repeatable(problem):
    scores, masks, keep = problem
    for scope in ("global", "layer"):
        once = cut(scores, keep, masks, scope, allow_collapse=True)
        assert kept(once) == keep
        assert not any(np.any(once[key] & ~masks[key]) for key in masks)
        same(cut(scores, keep, once, scope, allow_collapse=True), once)


@relaxed
@given(problems())
def test_keeping_fewer_keeps_a_subset(problem):
    scores, masks, keep = problem
    more = cut(scores, keep, masks, allow_collapse=True)
    fewer = cut(scores, keep // 2, masks, allow_collapse=True)
    assert not any(np.any(fewer[key] & ~more[key]) for key in masks)


@relaxed
@given(problems())
def test_order_alone_counts(problem):
    scores, masks, keep = problem
    cubed = {key: 7 * value**3 + 1 for key, value in scores.items()}
    same(cut(cubed, keep, masks, allow_collapse=True), cut(scores, keep, masks, allow_collapse=True))


@relaxed
@given(problems())
def test_spread_sums_and_is_even(problem):
    _, masks, keep = problem
    shares = equal_densities(keep, masks)
    assert sum(shares.values()) == keep
    assert all(0 <= share <= np.count_nonzero(masks[key]) for key, share in shares.items())
    # Nobody that has weights to spare is more than one weight below anybody's density.
    for poor in masks:
        if shares[poor] < np.count_nonzero(masks[poor]):
            for rich in masks:
                assert (shares[rich] - 1) * masks[poor].size <= (shares[poor] + 1) * masks[rich].size


@relaxed
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=5), st.data())
def test_apportioning_is_exact_and_proportional_up_to_the_limits(pairs, data):
    shares = {f"k{n}": share for n, (share, _) in enumerate(pairs)}
    most = {f"k{n}": limit for n, (_, limit) in enumerate(pairs)}
    count = data.draw(st.integers(0, sum(most.values())))
    counts = apportion(count, shares, most)
    assert (list(counts), sum(counts.values())) == (sorted(shares), count)
    assert all(counts[key] <= most[key] for key in counts)
    # Whoever could take more has, within one, at least as much for its share as any other.
    for key in counts:
        if counts[key] < most[key]:
            assert all(
                (counts[other] - 1) * shares[key] <= (counts[key] + 1) * shares[other] for other in counts
            )
