"""Merging tickets: the paper's own examples, and what must hold of any."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from kerastickets.errors import AlignError, TicketError
from kerastickets.testing import toy_ticket
from tests.helpers.tickets import bits, families, operate, ticket

relaxed = settings(deadline=None, max_examples=50)  # A busy machine's pauses are no failures.

# Fig. 1 and 2 of the paper: three tickets in order of dominance, merged by dominance, merged by averaging.
ROWS = np.array(
    [
        (0, 0, 0.15, 0, 0.15),
        (0, 0.25, 0, 0, 0.25),
        (0.25, 0.5, 0, 0.75, 0.375),
        (0.5, 0, 0, 0.5, 0.5),
        (0, 0, 0, 0, 0),
        (0, 0.75, 0.25, 0, 0.5),
        (0.75, 0, 0.5, 0.75, 0.625),
        (0, 0.75, 0, 0, 0.75),
        (0, 0, 0.5, 0, 0.5),
        (0.5, 0.5, 0, 1.0, 0.5),
    ],
    "float32",
)


def published():
    return [ticket([ROWS[:, column]], None) for column in range(3)]


def test_dominant_merging_gives_the_papers_column():
    merged = operate("dtm", *published())
    np.testing.assert_array_equal(merged.weights()["a/kernel"], ROWS[:, 3])
    np.testing.assert_array_equal(merged.masks["a/kernel"], ROWS[:, 0] != 0)


def test_average_merging_gives_the_papers_column():
    merged = operate("atm", *published())
    np.testing.assert_array_equal(merged.weights()["a/kernel"], ROWS[:, 4])
    np.testing.assert_array_equal(merged.masks["a/kernel"], (ROWS[:, :3] != 0).any(1))


# Masks decide, not zeros

KEPT_ZEROS = (
    ticket([[0.0, 7.0, 0.0]], [[1, 0, 1]], bias=[1, 2]),
    ticket([[4.0, 0.0, 3.0]], [[1, 1, 0]], bias=[3, 2]),
    ticket([[2.0, 6.0, 9.0]], [[1, 1, 1]], bias=[8, 2]),
)


def test_a_kept_zero_passes_a_dominated_sum_on():
    merged = operate("dtm", *KEPT_ZEROS)
    # 0 + (4 + 2); the dominant's own 7 where it prunes; 0 + nothing, as the second prunes and drops the 9.
    assert merged.weights()["a/kernel"].tolist() == [6.0, 7.0, 0.0]
    assert merged.masks["a/kernel"].tolist() == [True, False, True]
    assert merged.weights()["a/bias"].tolist() == [1.0, 2.0]


def test_a_kept_zero_counts_in_a_mean():
    merged = operate("atm", *KEPT_ZEROS)
    assert merged.weights()["a/kernel"].tolist() == [2.0, 3.0, 4.5]
    assert merged.masks["a/kernel"].tolist() == [True, True, True]
    assert merged.weights()["a/bias"].tolist() == [4.0, 2.0]


def test_where_no_ticket_keeps_a_weight_dominance_keeps_the_first_and_averaging_the_mean():
    a, b = ticket([[1.0, 5.0]], [[1, 0]]), ticket([[1.0, 8.0]], [[1, 0]])
    assert operate("dtm", a, b).weights()["a/kernel"].tolist() == [2.0, 5.0]
    assert operate("atm", a, b).weights()["a/kernel"].tolist() == [1.0, 6.5]


def test_a_pruned_weight_that_is_not_finite_spoils_nothing():
    a, b = ticket([[1.0, 2.0]], [[1, 1]]), ticket([[np.inf, np.nan]], [[0, 0]])
    for name in ("dtm", "atm"):
        assert operate(name, a, b).weights()["a/kernel"].tolist() == [1.0, 2.0]


def test_sums_are_in_double_precision():
    tickets = [ticket([[value]], [[1]]) for value in (1.0, 1e8, -1e8)]  # float32 would lose the 1
    for order in itertools.permutations(tickets):
        assert operate("dtm", *order).weights()["a/kernel"].tolist() == [1.0]


def test_weights_past_the_first_block_are_merged_as_well():
    rng = np.random.default_rng(0)
    size = 3 * (1 << 15) + 5
    tickets = [ticket([rng.normal(size=size)], [rng.random(size) < 0.4]) for _ in range(3)]
    stack = np.stack([t.weights()["a/kernel"] for t in tickets]).astype("float64")
    kept = np.stack([t.masks["a/kernel"] for t in tickets])
    mean = (stack * kept).sum(0) / np.maximum(kept.sum(0), 1)
    mean = np.where(kept.any(0), mean, stack.mean(0))
    np.testing.assert_allclose(operate("atm", *tickets).weights()["a/kernel"], mean, rtol=1e-6)
    one, two, three = stack
    total = np.where(kept[0], one + np.where(kept[1], two + three * kept[2], 0), one)
    np.testing.assert_allclose(operate("dtm", *tickets).weights()["a/kernel"], total, rtol=1e-6)


# What must hold of any


@relaxed
@given(families())
def test_dominance_is_the_definition_weight_by_weight(tickets):
    merged = operate("dtm", *tickets)
    assert bits(merged.masks) == bits(tickets[0].masks)
    for key, mask in tickets[0].masks.items():
        for index in range(mask.size):
            total = 0.0
            for one in reversed(tickets):
                total = total + float(one.weights()[key][index]) if one.masks[key][index] else 0.0
            expected = total if mask[index] else tickets[0].weights()[key][index]
            assert merged.weights()[key][index] == np.float32(expected)
    assert bits({"bias": merged.weights()["a/bias"]}) == bits({"bias": tickets[0].weights()["a/bias"]})


@relaxed
@given(families())
def test_averaging_is_the_definition_weight_by_weight(tickets):
    merged = operate("atm", *tickets)
    for key, mask in merged.masks.items():
        for index in range(mask.size):
            keeping = [one for one in tickets if one.masks[key][index]]
            values = [float(one.weights()[key][index]) for one in keeping or tickets]
            assert mask[index] == bool(keeping)
            np.testing.assert_allclose(merged.weights()[key][index], sum(values) / len(values), 1e-6, 1e-9)


@relaxed
@given(families(), st.randoms(use_true_random=False))
def test_averaging_is_one_file_whatever_the_order(tickets, random):
    shuffled = random.sample(tickets, len(tickets))
    assert operate("atm", *shuffled).digest == operate("atm", *tickets).digest


@relaxed
@given(families(most=2), st.integers(2, 6))
def test_a_ticket_averaged_with_itself_is_itself_bit_for_bit(tickets, count):
    merged = operate("atm", *[tickets[0]] * count)
    assert bits(merged.masks) == bits(tickets[0].masks)
    assert bits(merged.weights()) == bits(tickets[0].weights())


@relaxed
@given(families(most=2))
def test_a_ticket_dominating_itself_doubles_what_it_keeps(tickets):
    own = tickets[0]
    merged = operate("dtm", own, own)
    for key, mask in own.masks.items():
        doubled = np.where(mask, 2 * own.weights()[key], own.weights()[key])
        assert bits({key: merged.weights()[key]}) == bits({key: doubled})


def test_the_order_matters_to_dominance_alone():
    a, b, c = published()
    results = {operate("dtm", *order).digest for order in itertools.permutations([a, b, c])}
    assert len(results) == 6
    assert len({operate("atm", *order).digest for order in itertools.permutations([a, b, c])}) == 1
    swapped = operate("dtm", b, a)
    assert (
        swapped.weights()["a/kernel"].tolist()
        == np.where(b.masks["a/kernel"], ROWS[:, 0] + ROWS[:, 1], 0).tolist()
    )


# What a merged ticket says of itself


def test_parents_are_in_the_order_given_or_in_the_order_of_digests():
    a, b = toy_ticket(), toy_ticket(1)
    for pair in ((a, b), (b, a)):
        digests = [one.digest for one in pair]
        dtm, atm = operate("dtm", *pair), operate("atm", *pair)
        assert (dtm.provenance["parents"], atm.provenance["parents"]) == (digests, sorted(digests))
        assert dtm.provenance["seeds"] == pair[0].provenance["seeds"]
        assert atm.provenance["seeds"] == min(pair, key=lambda one: one.digest).provenance["seeds"]
        assert [*dtm.snapshots] == [*atm.snapshots] == ["init"]
        assert (dtm.start, dtm.provenance["metrics"], dtm.provenance["options"]) == ("init", {}, {})


def test_half_precision_and_integers_keep_their_type():
    def mixed(value):
        own = ticket([[1.0]], [[1]])
        more = {"b/kernel": np.array([value], "float16"), "steps": np.array([3 * value], "int64")}
        masks = dict(own.masks) | {"b/kernel": np.array([True])}
        return own.replace(masks=masks, snapshots={"init": dict(own.weights()) | more})

    a, b = sorted((mixed(1), mixed(2)), key=lambda one: one.digest)
    for name, half in (("dtm", 3.0), ("atm", 1.5)):
        weights = operate(name, a, b).weights()
        assert (weights["b/kernel"].dtype, weights["b/kernel"].tolist()) == (np.float16, [half])
        assert weights["steps"].tolist() == a.weights()["steps"].tolist()


@pytest.mark.parametrize("name", ["dtm", "atm"])
def test_one_ticket_or_strangers_cannot_be_merged(name):
    with pytest.raises(TicketError, match=rf"{name} takes two tickets or more\. Received: 1\."):
        operate(name, toy_ticket())
    with pytest.raises(AlignError, match=r"agree in their architecture.*in ticket 3"):
        operate(name, toy_ticket(), toy_ticket(1), KEPT_ZEROS[0])


@pytest.mark.parametrize("name", ["dtm", "atm"])
def test_a_merged_ticket_trains_saves_loads_and_builds(name, tmp_path):
    from kerastickets import Ticket, train
    from kerastickets.foundations.tree import masked
    from kerastickets.models.variables import snapshot

    merged = operate(name, toy_ticket(), toy_ticket(1))
    loaded = Ticket.load(merged.save(tmp_path / "merged.safetensors"))
    assert loaded == merged
    assert bits(snapshot(loaded.build())) == bits(masked(merged.weights(), merged.masks))
    trained = train(loaded, train="2ep", jit="off")
    assert trained.ticket.provenance["parents"] == [merged.digest]
    assert bits(trained.ticket.masks) == bits(merged.masks)
    assert trained.rows[-1]["val_accuracy"] > trained.rows[0]["val_accuracy"]
