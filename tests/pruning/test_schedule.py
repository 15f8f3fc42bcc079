"""Counts of weights, level by level, against the numbers the source documents print."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from kerastickets.cutting.cut_scores import cut, ones
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import kept
from kerastickets.pruning.schedule import Schedule, plan

LENET = ones({"dense/kernel": (784, 300), "dense_1/kernel": (300, 100), "dense_2/kernel": (100, 10)})
CONV2 = ones(
    {
        "conv2d/kernel": (3, 3, 3, 64),
        "conv2d_1/kernel": (3, 3, 64, 64),
        "dense/kernel": (14 * 14 * 64, 256),
        "dense_1/kernel": (256, 256),
        "dense_2/kernel": (256, 10),
    }
)
OUTPUT = {"dense_2/kernel"}


def kinds(masks):
    return {key: "conv" if key.startswith("conv") else "dense" for key in masks}


def line(count):
    return {"k": np.ones(count, bool)}


def small():
    return ones(
        {"conv/kernel": (10,), "dense/kernel": (10,), "head/kernel": (10,), "table/embeddings": (10,)}
    )


SMALL = {"conv/kernel": "conv", "dense/kernel": "dense", "head/kernel": "dense", "table/embeddings": "other"}

# --- published -------------------------------------------------------------------------------------


def test_lenet_300_100_of_document_b():
    schedule = plan(LENET, levels=10, rate={"dense": 0.2, "output": 0.1}, kinds=kinds(LENET), outputs=OUTPUT)
    assert schedule.totals == (
        266200, 213060, 170538, 136511, 109282, 87490, 70051, 56094, 44923, 35981, 28823,
    )  # fmt: skip
    assert schedule.scope == "layer"
    assert schedule.counts[1] == {"dense/kernel": 188160, "dense_1/kernel": 24000, "dense_2/kernel": 900}


def test_conv_2_of_document_b():
    rates = {"conv": 0.1, "dense": 0.2, "output": 0.1}
    schedule = plan(CONV2, levels=10, rate=rates, kinds=kinds(CONV2), outputs=OUTPUT)
    assert schedule.totals == (
        3317952, 2658477, 2130485, 1707721, 1369177, 1098041, 880863, 706877, 567470, 455748, 366193,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("start", "dials", "counts"),
    [
        (1000, {"rate": 0.2}, (1000, 800, 640, 512, 410, 328, 262)),
        (1200, {"rate": 0.2}, (1200, 960, 768, 614, 492, 393, 315)),
        (1000, {"target": 200}, (1000, 765, 585, 447, 342, 262, 200)),
        (1200, {"target": 200}, (1200, 890, 660, 490, 363, 270, 200)),
    ],
)
def test_trajectories_of_document_e(start, dials, counts):
    assert plan(line(start), levels=6, **dials) == Schedule(6, counts, "global")


def test_lenet_densities_of_document_a():
    """Ten per cent of each layer a level, 22 levels of which 0, 6, 7, 11, 15 and 21 are printed."""
    totals = plan(LENET, levels=21, rate=0.1, scope="layer").totals
    percent = [round(100 * (totals[level] + 410) / 266_610, 1) for level in (0, 6, 7, 11, 15, 21)]
    assert percent == [100.0, 53.2, 47.9, 31.5, 20.7, 11.1]


@pytest.mark.parametrize(
    ("levels", "rate"),
    list(enumerate([0.957, 0.792, 0.649, 0.544, 0.467, 0.408, 0.362, 0.325, 0.295, 0.270], 1)),
)
def test_rates_and_levels_of_document_e_agree(levels, rate):
    """Figure 4.12: 48 hidden units are 2592 weights, pruned to N = 112 = the weights of (4,8,8,2)."""
    by_target = plan(line(2592), levels=levels, target=112)
    assert by_target.counts[1] == pytest.approx(2592 * (1 - rate), abs=2)


# --- two dials fix the third -----------------------------------------------------------------------


def test_one_dial_alone_is_one_level():
    assert plan(line(10), rate=0.2).counts == (10, 8)
    assert plan(line(10), target=3).counts == (10, 3)
    assert plan(line(10), sparsity=0.9).counts == (10, 1)
    assert plan(line(10), sparsity=0).counts == (10, 10)


def test_rate_and_target_fix_the_levels():
    assert plan(line(1000), rate=0.2, target=262).counts == (1000, 800, 640, 512, 410, 328, 262)
    assert plan(line(1000), rate=0.2, target=300).counts == (1000, 800, 640, 512, 410, 328, 300)
    assert plan(line(1000), rate=0.5, sparsity=0.8).counts == (1000, 500, 250, 200)


def test_levels_are_counted_exactly_where_floats_would_add_one():
    assert 1000 * 0.8**3 > 512
    assert plan(line(1000), rate=0.2, target=512).levels == 3


def test_a_target_already_reached_still_takes_a_level():
    assert plan(line(10), rate=0.5, target=10).counts == (10, 10)


def test_targets_count_all_prunable_weights_and_rates_those_kept():
    masks = {"k": np.arange(100) < 40}
    assert plan(masks, sparsity=0.9).counts == (40, 10)
    assert plan(masks, rate=0.5, levels=2).counts == (40, 20, 10)


def test_default_sparsity_of_snip_on_lenet():
    assert plan(LENET, sparsity=0.9).counts == (266200, 26620)


def test_counts_are_plain_integers():
    schedule = plan(line(10), levels=np.int64(2), target=np.int64(5))
    assert {type(count) for count in schedule.counts} == {int}
    assert type(schedule.levels) is int
    by_layer = plan(line(10), levels=np.int64(2), rate=np.float32(0.5), scope="layer")
    assert {type(count["k"]) for count in by_layer.counts} == {int}
    assert type(by_layer.levels) is int


def test_linear_spacing_prunes_equally_many_a_level():
    def counts(start, levels, **end):
        return plan(line(start), levels=levels, spacing="linear", **end).counts

    assert counts(1000, 4, target=200) == (1000, 800, 600, 400, 200)
    assert counts(10, 4, target=1) == (10, 8, 6, 3, 1)  # 7.75 5.5 3.25, ties to even
    assert counts(11, 4, target=1) == (11, 8, 6, 4, 1)  # 8.5 6 3.5
    assert counts(266200, 5, sparsity=0.9) == (266200, 218284, 170368, 122452, 74536, 26620)
    assert counts(10, 2, target=10) == (10, 10, 10)
    by_layer = plan(line(10), levels=2, target=4, scope="layer", spacing="linear")
    assert by_layer == Schedule(2, (10, 7, 4), "layer")


def test_a_level_alone_has_no_spacing():
    for end in ({"target": 3}, {"sparsity": 0.55}):
        assert plan(line(10), spacing="linear", **end) == plan(line(10), **end)


# --- scope and rates by layer ----------------------------------------------------------------------


def test_layer_rates_round_ties_to_even():
    masks = ones({"a": (5,), "b": (15,), "c": (25,)})
    # .5, 1.5 and 2.5 weights: 0, 2 and 2 are pruned.
    assert plan(masks, rate=0.1, scope="layer").counts[1] == {"a": 5, "b": 13, "c": 23}


def test_global_rates_round_the_whole_net():
    masks = ones({"a": (5,), "b": (15,), "c": (25,)})
    assert plan(masks, rate=0.1).counts == (45, 40)  # 40.5, ties to even.


def test_a_plain_rate_in_a_mapping_is_a_plain_rate():
    assert plan(line(10), rate={"*": 0.2}) == plan(line(10), rate=0.2)
    assert plan(line(10), rate={"*": 0.2}, target=4) == plan(line(10), rate=0.2, target=4)
    assert plan(line(10), rate={"*": 0.2}, scope="layer") == plan(line(10), rate=0.2, scope="layer")


def test_layer_target_is_shared_out_by_cut():
    schedule = plan(LENET, target=26620, scope="layer")
    assert schedule == Schedule(1, (266200, 26620), "layer")
    draw = np.random.default_rng(0)
    scores = {key: draw.random(mask.shape) for key, mask in LENET.items()}
    result = cut(scores, schedule.counts[1], LENET, schedule.scope)
    assert [kept({key: result[key]}) for key in sorted(result)] == [23520, 3000, 100]


@pytest.mark.parametrize(
    ("rates", "pruned"),
    [
        ({"conv": 0.1}, (1, 0, 0, 0)),
        ({"dense": 0.2}, (0, 2, 2, 0)),
        ({"dense": 0.2, "output": 0.1}, (0, 2, 1, 0)),
        ({"output": 0.1, "*": 0.5}, (5, 5, 1, 5)),
        ({"dense/kernel": 0.4, "dense": 0.2, "*": 0.5}, (5, 4, 2, 5)),
        ({"head/kernel": 0.3, "output": 0.1, "dense": 0.2}, (0, 2, 3, 0)),
        ({"table/embeddings": 0.9}, (0, 0, 0, 9)),
    ],
)
def test_exact_key_before_output_before_kind_before_plain(rates, pruned):
    schedule = plan(small(), rate=rates, kinds=SMALL, outputs={"head/kernel"})
    assert tuple(10 - count for count in schedule.counts[1].values()) == pruned
    assert schedule.scope == "layer"


def test_a_key_that_no_rate_fits_is_not_pruned():
    schedule = plan(LENET, levels=3, rate={"output": 0.5}, outputs=OUTPUT)
    assert [counts["dense/kernel"] for counts in schedule.counts] == [235200] * 4
    assert [counts["dense_2/kernel"] for counts in schedule.counts] == [1000, 500, 250, 125]


def test_layer_schedules_start_from_a_tickets_masks():
    masks = {"a": np.arange(10) < 8, "b": np.arange(10) < 4}
    assert plan(masks, rate=0.5, scope="layer").counts == ({"a": 8, "b": 4}, {"a": 4, "b": 2})


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({}, "Give a rate, a target or a sparsity. Received: levels=None"),
        ({"levels": 3}, "Give a rate, a target or a sparsity. Received: levels=3"),
        ({"levels": 3, "rate": {}}, "Give a rate, a target or a sparsity"),
        ({"levels": 3, "rate": 0.2, "target": 5}, "Give two of levels, rate, and target or sparsity"),
        ({"levels": 3, "rate": 0.2, "sparsity": 0.5}, "Give two of levels, rate, and target or sparsity"),
        ({"target": 5, "sparsity": 0.5}, "Give target or sparsity, not both"),
        ({"sparsity": 1.5}, r"^sparsity must be in \[0, 1\)\. Received: sparsity=1\.5$"),
        ({"sparsity": 1.0}, "sparsity must be in"),
        ({"sparsity": -0.1}, "sparsity must be in"),
        ({"sparsity": float("nan")}, "sparsity must be in"),
        ({"sparsity": "0.5"}, "sparsity must be in"),
        ({"sparsity": 0.99}, r"target must be in \[1, 10\].* Received: sparsity=0\.99, a target of 0"),
        ({"rate": 0.0}, r"rate must be in \(0, 1\)\. Received: rate=0\.0"),
        ({"rate": 1}, r"rate must be in \(0, 1\)\. Received: rate=1"),
        ({"rate": float("nan")}, "rate must be in"),
        ({"rate": True}, "rate must be in"),
        ({"rate": {"k": 0}}, "rate must be in .* Received: rate of k=0"),
        ({"levels": 0, "rate": 0.2}, "levels must be an integer in .* Received: levels=0"),
        ({"levels": 2.0, "rate": 0.2}, r"levels must be an integer in .* Received: levels=2\.0"),
        ({"levels": True, "rate": 0.2}, "levels must be an integer in"),
        ({"target": 0}, r"target must be in \[1, 10\].* Received: target=0"),
        ({"target": 11}, r"target must be in \[1, 10\].* Received: target=11"),
        ({"target": 5.0}, r"target must be an integer\. Received: target=5\.0"),
        ({"rate": 0.2, "scope": "local"}, "scope must be 'global' or 'layer'. Received: scope='local'"),
        ({"rate": {"k": 0.2}, "scope": "global"}, "Rates by layer must go with scope 'layer'"),
        ({"rate": {"k": 0.2}, "target": 5}, "without target or sparsity. Received: .*target=5"),
        ({"rate": {"k": 0.2, "*": 0.1}, "sparsity": 0.5}, "without target or sparsity"),
        ({"rate": {"conv": 0.2}}, "fit a key. Received: conv=0.2. Keys: k."),
        ({"rate": {"outputt": 0.2}, "outputs": {"k"}}, "Received: outputt=0.2. Did you mean 'output'?"),
        ({"rate": {"other": 0.2}, "kinds": {"k": "other"}}, "Received: other=0.2"),
        ({"target": 5, "spacing": "log"}, "spacing must be 'geometric' or 'linear'. Received: spacing='log'"),
        ({"rate": 0.2, "spacing": "linear"}, "Give levels and a target or sparsity instead of the rate"),
        (
            {"rate": 0.2, "target": 5, "spacing": "linear"},
            "Linear spacing prunes the same number of weights at each level",
        ),
        ({"rate": 1e-17, "target": 5}, "rate must reach the target within 10000 levels"),
    ],
)
def test_contradictions_and_ranges(dials, message):
    with pytest.raises(RecipeError, match=message.replace("?", r"\?")):
        plan(line(10), **dials)


def test_nothing_to_prune():
    for masks in ({}, {"k": np.zeros(3, bool)}):
        with pytest.raises(RecipeError, match="There must be a weight left to prune"):
            plan(masks, rate=0.2)


def test_a_ticket_sparser_than_the_target_is_refused():
    with pytest.raises(
        RecipeError, match=r"target must be in \[1, 3\].* Received: sparsity=0\.5, a target of 5"
    ):
        plan({"k": np.arange(10) < 3}, sparsity=0.5)


# --- properties ------------------------------------------------------------------------------------

relaxed = settings(deadline=None)  # A busy machine's pauses are no failures.
RATE = st.floats(0.01, 0.99)
START = st.integers(1, 10**6)


def decreasing(counts):
    return all(after <= before for before, after in pairwise(counts))


def many(count):
    """A mask of many weights in one byte: all that `plan` asks of masks is to count them."""
    return {"k": np.broadcast_to(True, (count,))}


@relaxed
@given(START, RATE, st.integers(1, 40))
def test_a_rate_is_its_formula_at_every_level(start, rate, levels):
    schedule = plan(many(start), rate=rate, levels=levels)
    assert schedule.counts == tuple(round(start * (1 - rate) ** t) for t in range(levels + 1))
    assert decreasing(schedule.counts)


@relaxed
@given(START, st.data(), st.integers(1, 40))
def test_a_target_is_reached_exactly_at_the_last_level(start, data, levels):
    target = data.draw(st.integers(1, start))
    schedule = plan(many(start), target=target, levels=levels)
    assert (schedule.levels, len(schedule.counts)) == (levels, levels + 1)
    assert (schedule.counts[0], schedule.counts[-1]) == (start, target)
    assert decreasing(schedule.counts)


@relaxed
@given(START, st.data(), st.integers(1, 40))
def test_linear_levels_prune_equally_many_but_for_rounding(start, data, levels):
    target = data.draw(st.integers(1, start))
    schedule = plan(many(start), target=target, levels=levels, spacing="linear")
    assert (schedule.counts[0], schedule.counts[-1], schedule.levels) == (start, target, levels)
    steps = [before - after for before, after in pairwise(schedule.counts)]
    assert min(steps) >= 0
    assert all(abs(step - (start - target) / levels) <= 1 for step in steps)


@relaxed
@given(START, st.data(), RATE)
def test_a_rate_and_a_target_take_as_few_levels_as_reach_it(start, data, rate):
    target = data.draw(st.integers(1, start))
    schedule = plan(many(start), target=target, rate=rate)
    assert schedule.counts[-1] == target
    assert decreasing(schedule.counts)
    assert schedule.levels == 1 or schedule.counts[-2] > target
    free = plan(many(start), rate=rate, levels=schedule.levels).counts
    assert schedule.counts == tuple(max(target, count) for count in free)


@relaxed
@given(st.dictionaries(st.sampled_from("abc"), st.integers(1, 500), min_size=1), RATE, st.integers(1, 20))
def test_a_layer_rate_is_round_at_every_level_and_layer(sizes, rate, levels):
    schedule = plan(
        ones({key: (size,) for key, size in sizes.items()}), rate=rate, levels=levels, scope="layer"
    )
    for before, after in pairwise(schedule.counts):
        assert after == {key: before[key] - round(rate * before[key]) for key in before}
    assert schedule.totals == tuple(sum(counts.values()) for counts in schedule.counts)


@relaxed
@given(st.data())
def test_cut_can_follow_every_plan(data):
    sizes = data.draw(st.dictionaries(st.sampled_from("abc"), st.integers(1, 30), min_size=1))
    masks = ones({key: (size,) for key, size in sizes.items()})
    dial = data.draw(st.sampled_from(["rate", "sparsity"]))
    value, scope = data.draw(RATE), data.draw(st.sampled_from(["global", "layer"]))
    assume(dial == "rate" or round(kept(masks) * (1 - value)) >= 1)
    schedule = plan(masks, levels=data.draw(st.integers(1, 5)), scope=scope, **{dial: value})
    draw = np.random.default_rng(0)
    for level, count in enumerate(schedule.counts):
        scores = {key: draw.normal(size=size) for key, size in sizes.items()}
        masks = cut(scores, count, masks, schedule.scope, allow_collapse=True)
        assert kept(masks) == schedule.totals[level]
