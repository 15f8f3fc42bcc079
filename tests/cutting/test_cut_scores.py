"""Cutting, spreading, comparing and counting masks, against cases worked out by hand."""

import json

import numpy as np
import pytest

from kerastickets.cutting.cut_scores import compare, cut, equal_densities, layers, ones
from kerastickets.errors import AlignError, LayerCollapseError, RecipeError
from kerastickets.foundations.tree import kept

SHAPES = {"dense/kernel": (5, 10), "conv/kernel": (1, 1, 5, 10)}


def tree(**arrays):
    return {key: np.array(value) for key, value in arrays.items()}


def same(masks, **expected):
    assert list(masks) == sorted(expected)
    for key, value in expected.items():
        assert masks[key].dtype == bool
        np.testing.assert_array_equal(masks[key], np.array(value, bool))


# --- how many, and which ---------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1, 2, 37, 50, 99, 100])
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
def test_all_equal_scores_keep_exactly_the_asked_number(keep, scope, value):
    scores = {key: np.full(shape, value) for key, shape in SHAPES.items()}
    assert kept(cut(scores, keep, ones(SHAPES), scope, allow_collapse=True)) == keep


def test_ties_go_to_the_earlier_key_then_the_earlier_flat_index():
    scores = tree(b=np.zeros((2, 2)), a=np.zeros(3))
    masks = ones({"b": (2, 2), "a": (3,)})
    same(cut(scores, 5, masks), a=[1, 1, 1], b=[[1, 1], [0, 0]])
    same(cut(scores, 4, masks), a=[1, 1, 1], b=[[1, 0], [0, 0]])


def test_half_the_weights_zero_and_a_fifth_asked_prunes_a_fifth():
    weights = np.concatenate([np.zeros(50), np.arange(1.0, 51)])
    result = cut({"k": weights}, 80, ones({"k": (100,)}))
    same(result, k=[1] * 30 + [0] * 20 + [1] * 50)


@pytest.mark.parametrize("keep", range(1, 11))
def test_never_one_too_many_or_too_few(keep):
    scores = {"k": np.arange(10.0)}
    same(cut(scores, keep, ones({"k": (10,)})), k=[0] * (10 - keep) + [1] * keep)


def test_dead_weights_never_return_whatever_they_score():
    scores = tree(k=[9.0, np.inf, np.nan, 2.0, 1.0])
    masks = tree(k=[False, False, False, True, True])
    same(cut(scores, 2, masks), k=[0, 0, 0, 1, 1])
    same(cut(scores, 1, masks), k=[0, 0, 0, 1, 0])


def test_repeated_cuts_only_shrink():
    draw = np.random.default_rng(0)
    masks = ones(SHAPES)
    for keep in (80, 64, 51, 51, 10):
        smaller = cut({key: draw.normal(size=shape) for key, shape in SHAPES.items()}, keep, masks)
        assert kept(smaller) == keep
        assert all(not np.any(smaller[key] & ~masks[key]) for key in masks)
        masks = smaller


def test_arguments_are_not_written_to_nor_aliased():
    scores = {"a": np.array([3.0, 1.0, 2.0]), "b": np.array([0.0])}
    masks = ones({"a": (3,), "b": (1,)})
    for array in [*scores.values(), *masks.values()]:
        array.flags.writeable = False
    whole = cut(scores, 4, masks)
    assert not any(np.shares_memory(whole[key], masks[key]) for key in masks)
    cut(scores, {"a": 2, "b": 1}, masks)
    same(masks, a=[1, 1, 1], b=[1])


def test_minus_zero_is_zero():
    scores = tree(k=[-0.0, 0.0, -0.0, 0.0])
    same(cut(scores, 2, ones({"k": (4,)})), k=[1, 1, 0, 0])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_scores_of_any_real_type(dtype):
    scores = {"k": np.array([0, 1, 0, 1], dtype)}
    same(cut(scores, 2, ones({"k": (4,)})), k=[0, 1, 0, 1])
    same(cut(scores, 3, ones({"k": (4,)})), k=[1, 1, 0, 1])


def test_bfloat16_scores():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    scores = {"k": np.array([0.5, 2.0, 0.5, 1.0], ml_dtypes.bfloat16)}
    same(cut(scores, 3, ones({"k": (4,)})), k=[1, 1, 0, 1])


def test_types_may_differ_between_layers():
    scores = {"a": np.array([1, 3], np.int32), "b": np.array([2.5, 0.5], np.float32)}
    same(cut(scores, 2, ones({"a": (2,), "b": (2,)})), a=[0, 1], b=[1, 0])


def test_flat_index_is_c_order_whatever_the_memory():
    scores = {"k": np.asfortranarray(np.zeros((2, 3)))}
    masks = {"k": np.asfortranarray(np.ones((2, 3), bool))}
    same(cut(scores, 4, masks), k=[[1, 1, 1], [1, 0, 0]])


def test_keep_all_and_keep_none():
    scores, masks = tree(a=[1.0, 2.0], b=[3.0]), ones({"a": (2,), "b": (1,)})
    same(cut(scores, 3, masks), a=[1, 1], b=[1])
    same(cut(scores, 0, masks, allow_collapse=True), a=[0, 0], b=[0])
    assert cut({}, 0, {}) == {}


# --- scope -----------------------------------------------------------------------------------------


def test_global_ranks_all_layers_together():
    scores, masks = tree(a=[1.0, 2.0, 3.0], b=[10.0, 20.0, 30.0]), ones({"a": (3,), "b": (3,)})
    same(cut(scores, 4, masks), a=[0, 0, 1], b=[1, 1, 1])


def test_layer_keeps_one_density():
    scores, masks = tree(a=[1.0, 2.0, 3.0, 4.0], b=[10.0, 20.0]), ones({"a": (4,), "b": (2,)})
    same(cut(scores, 3, masks, "layer"), a=[0, 0, 1, 1], b=[0, 1])


def test_counts_by_key_imply_layer():
    scores, masks = tree(a=[1.0, 2.0, 3.0], b=[10.0, 20.0, 30.0]), ones({"a": (3,), "b": (3,)})
    for scope in ("global", "layer"):
        same(cut(scores, {"a": 2, "b": np.int64(1)}, masks, scope), a=[0, 1, 1], b=[0, 0, 1])


@pytest.mark.parametrize(
    ("keep", "shares"),
    [
        (10, {"a": 3, "b": 7, "c": 0}),  # Shares 3.23, 6.45, .32: the largest remainder is b's.
        (11, {"a": 4, "b": 7, "c": 0}),  # Shares 3.55, 7.10, .35: a's.
        (30, {"a": 10, "b": 19, "c": 1}),  # Shares 9.68, 19.35, .97.
        (31, {"a": 10, "b": 20, "c": 1}),
        (0, {"a": 0, "b": 0, "c": 0}),
    ],
)
def test_spread_by_largest_remainder(keep, shares):
    assert equal_densities(keep, ones({"c": (1,), "b": (20,), "a": (10,)})) == shares


def test_spread_settles_equal_remainders_by_key():
    assert equal_densities(2, ones({"c": (3,), "a": (3,), "b": (3,)})) == {"a": 1, "b": 1, "c": 0}


def test_spread_never_asks_more_than_is_left():
    masks = {"a": np.arange(10) < 2, "b": np.ones(10, bool), "c": np.zeros(5, bool)}
    # 8 at equal density would be 3.2, 3.2, 1.6; c has none, a has two, so b gives the other six.
    assert equal_densities(8, masks) == {"a": 2, "b": 6, "c": 0}
    assert equal_densities(12, masks) == {"a": 2, "b": 10, "c": 0}


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_layer_collapse_is_named(scope):
    scores, masks = (
        tree(a=[5.0, 6.0, 7.0], tiny=[0.0], other=[-1.0]),
        ones({"a": (3,), "tiny": (1,), "other": (1,)}),
    )
    with pytest.raises(LayerCollapseError, match=r"2 of 5 weights .* 'other', 'tiny'.*allow_collapse=True"):
        cut(scores, 2 if scope == "global" else {"a": 2, "tiny": 0, "other": 0}, masks, scope)
    same(cut(scores, 2, masks, allow_collapse=True), a=[0, 1, 1], tiny=[0], other=[0])


def test_a_layer_that_was_empty_already_does_not_collapse():
    scores, masks = tree(a=[5.0, 6.0], gone=[9.0]), tree(a=[True, True], gone=[False])
    same(cut(scores, 1, masks), a=[0, 1], gone=[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(value):
    scores = tree(a=[1.0, 2.0], b=[1.0, value, value])
    with pytest.raises(
        RecipeError, match=f"must be finite. Received: 2 of 3 in 'b' are not, the first is {value}"
    ):
        cut(scores, 3, ones({"a": (2,), "b": (3,)}))


@pytest.mark.parametrize("keep", [-1, 5, 2.0, True, "3", None])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_keep_out_of_range(keep, scope):
    masks = tree(k=[True, True, True, True, False])
    with pytest.raises(RecipeError, match=r"`keep` must be an integer in \[0, 4\].* Received: keep="):
        cut({"k": np.arange(5.0)}, keep, masks, scope)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"a": 1}, "Received: 'b' without a count"),
        ({"a": 1, "b": 1, "c": 1}, "Received: 'c' without a mask"),
        ({"a": 3, "b": 1}, r"`keep\['a'\]` must be an integer in \[0, 2\].* Received: keep\['a'\]=3"),
        ({"a": 1, "b": -1}, r"Received: keep\['b'\]=-1"),
    ],
)
def test_counts_must_fit_the_masks(keep, message):
    with pytest.raises(RecipeError, match=message):
        cut(tree(a=[1.0, 2.0], b=[1.0]), keep, ones({"a": (2,), "b": (1,)}))


def test_scope_is_one_of_two():
    with pytest.raises(RecipeError, match=r"'global' or 'layer'\. Received: scope='channel'"):
        cut({}, 0, {}, "channel")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"a": (2,)}, "'b' in the masks but not in scores"),
        ({"a": (2,), "b": (1,), "c": (1,)}, "'c' in scores but not in the masks"),
        ({"a": (1, 2), "b": (1,)}, r"'a' \(1, 2\) in scores, \(2,\) in the masks"),
    ],
)
def test_scores_must_match_the_masks(shapes, message):
    with pytest.raises(AlignError, match=message):
        cut({key: np.zeros(shape) for key, shape in shapes.items()}, 1, ones({"a": (2,), "b": (1,)}))


# --- facts -----------------------------------------------------------------------------------------


def test_ones():
    same(ones({"a": (1, 3), "b": (2,)}), a=[[1, 1, 1]], b=[1, 1])
    assert list(ones({"b": (2,), "a": (1, 3)})) == ["b", "a"]


def test_compare_by_hand():
    a = tree(x=[True, True, True, False], y=[[True], [False]])
    b = tree(x=[True, False, False, True], y=[[True], [True]])
    facts = compare(a, b)
    assert facts == {
        "layers": [
            {"key": "x", "kept_a": 3, "kept_b": 2, "overlap": 1, "only_a": 2, "only_b": 1, "iou": 0.25},
            {"key": "y", "kept_a": 1, "kept_b": 2, "overlap": 1, "only_a": 0, "only_b": 1, "iou": 0.5},
        ],
        "total": {"kept_a": 4, "kept_b": 4, "overlap": 2, "only_a": 2, "only_b": 2, "iou": 2 / 6},
    }
    assert json.loads(json.dumps(facts)) == facts


def test_difference_is_one_sided_as_published():
    """Document B, mask table, FC1: difference = kept - overlap, here of counts that fit in a small mask."""
    a, b = {"k": np.arange(20) < 12}, {"k": np.arange(20) >= 8}
    row = compare(a, b)["total"]
    assert (row["only_a"], row["overlap"], row["kept_a"]) == (8, 4, 12)


def test_empty_masks_agree():
    nothing = {"k": np.zeros(3, bool)}
    assert compare(nothing, nothing)["total"]["iou"] == 1.0
    assert compare({}, {}) == {
        "layers": [],
        "total": {"kept_a": 0, "kept_b": 0, "overlap": 0, "only_a": 0, "only_b": 0, "iou": 1.0},
    }


def test_compare_refuses_other_keys_and_shapes():
    with pytest.raises(AlignError, match="'b' in the first masks but not in the second"):
        compare(ones({"a": (1,), "b": (1,)}), ones({"a": (1,)}))
    with pytest.raises(AlignError, match=r"'a' \(1,\) in the first masks, \(2,\) in the second"):
        compare(ones({"a": (1,)}), ones({"a": (2,)}))


def test_layers_by_hand():
    facts = layers({"b": np.array([[True, False], [False, False]]), "a": np.ones((0,), bool)})
    assert facts == [
        {"key": "a", "shape": [0], "kept": 0, "total": 0, "density": 1.0},
        {"key": "b", "shape": [2, 2], "kept": 1, "total": 4, "density": 0.25},
    ]
    assert json.loads(json.dumps(facts)) == facts


CHANNELS = {
    "a": np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]),
    "b": np.array([[5.0, 0.5], [5.0, 0.5], [1.0, 1.0]]),
}


def test_whole_channels_are_kept_by_their_sums():
    # Sums: a 6 2 4 (of 2 weights each), b 11 2 (of 3): b0 and a0 and a2 make 7 of 8 weights; a1 would make 9.
    masks = cut(CHANNELS, 8, ones({"a": (2, 3), "b": (3, 2)}), granularity="channel")
    assert masks["a"].tolist() == [[True, False, True]] * 2
    assert masks["b"].tolist() == [[True, False]] * 3


def test_channels_by_layer_and_after_single_weights_went():
    masks = ones({"a": (2, 3), "b": (3, 2)})
    masks["a"][0, 0] = False  # channel 0 of a now sums 3, of one weight
    kept = cut(CHANNELS, {"a": 3, "b": 3}, masks, granularity="channel")
    assert kept["a"].tolist() == [[False, False, True], [True, False, True]]
    assert kept["b"].tolist() == [[True, False]] * 3


def test_equal_channels_keep_the_earlier_and_an_emptied_layer_is_named():
    equal = {"a": np.ones((2, 4))}
    assert (
        cut(equal, 4, ones({"a": (2, 4)}), granularity="channel")["a"].tolist()
        == [[True, True, False, False]] * 2
    )
    with pytest.raises(LayerCollapseError, match="'a'"):
        cut(equal, 1, ones({"a": (2, 4)}), granularity="channel")
    with pytest.raises(RecipeError, match="Received: granularity='row'"):
        cut(equal, 1, ones({"a": (2, 4)}), granularity="row")
