"""Masks as sets, against the laws of sets, on random tickets of one model."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from kerastickets import testing
from kerastickets.errors import LayerCollapseError
from kerastickets.testing.expect import content
from tests.helpers.tickets import bits, families, operate, ticket

relaxed = settings(deadline=None, max_examples=50)  # A busy machine's pauses are no failures.
SETS = ("union", "intersection", "difference")


def of(name, *tickets):
    """The masks of a result; layers may be emptied."""
    allowed = {} if name == "union" else {"allow_collapse": True}
    return operate(name, *tickets, **allowed)


def sets(one):
    """The kept weights as a set of (key, index)."""
    return {(key, int(index)) for key, mask in one.masks.items() for index in np.flatnonzero(mask)}


@relaxed
@given(families())
def test_operations_are_those_of_sets(tickets):
    kept = [sets(one) for one in tickets]
    assert sets(of("union", *tickets)) == set.union(*kept)
    assert sets(of("intersection", *tickets)) == set.intersection(*kept)
    assert sets(of("difference", *tickets)) == kept[0].difference(*kept[1:])


@relaxed
@given(families(most=2))
def test_counts_add_up(tickets):
    a, b = tickets
    both, either, only = (of(name, a, b) for name in ("intersection", "union", "difference"))
    assert a.kept + b.kept == either.kept + both.kept
    assert a.kept == only.kept + both.kept
    assert sets(only).isdisjoint(sets(b))


@relaxed
@given(families(most=2))
def test_a_union_is_the_complement_of_what_both_complements_share(tickets):
    a, b = tickets
    flipped = [of("flip", one) for one in tickets]
    assert bits(of("flip", of("union", a, b)).masks) == bits(of("intersection", *flipped).masks)
    assert bits(of("flip", of("intersection", a, b)).masks) == bits(of("union", *flipped).masks)
    assert bits(of("difference", a, b).masks) == bits(of("intersection", a, flipped[1]).masks)


@relaxed
@given(families(most=2))
def test_a_ticket_with_itself_is_itself_or_nothing(tickets):
    a, _ = tickets
    for name in ("union", "intersection"):
        assert bits(of(name, a, a).masks) == bits(a.masks)
    assert of("difference", a, a).kept == 0


@relaxed
@given(families(), st.randoms(use_true_random=False))
def test_the_order_of_union_and_intersection_changes_no_mask(tickets, random):
    shuffled = random.sample(tickets, len(tickets))
    for name in ("union", "intersection"):
        assert bits(of(name, *shuffled).masks) == bits(of(name, *tickets).masks)


@relaxed
@given(families(), st.sampled_from(SETS))
def test_weights_and_provenance_are_the_firsts(tickets, name):
    made = of(name, *tickets)
    assert bits(made.weights()) == bits(tickets[0].weights())
    assert made.provenance["level"] == tickets[0].provenance["level"]
    assert made.provenance["parents"] == [one.digest for one in tickets]
    assert made.provenance["operation"] == name


@relaxed
@given(families(most=2))
def test_flipping_complements_and_twice_is_the_identity(tickets):
    a, _ = tickets
    flipped = of("flip", a)
    assert sets(flipped).isdisjoint(sets(a))
    assert flipped.kept + a.kept == a.total
    again = of("flip", flipped)
    assert (bits(again.masks), bits(again.weights())) == (bits(a.masks), bits(a.weights()))


@relaxed
@given(families(alive=True), st.sampled_from([*SETS, "dtm", "atm", "flip", "shuffle", "grow", "constant"]))
def test_no_operation_changes_its_tickets(tickets, name):
    taken = tickets if name in (*SETS, "dtm", "atm") else tickets[:1]
    before = [one.digest for one in taken]
    with suppress(LayerCollapseError):
        operate(name, *taken)
    assert [content(one) for one in taken] == before


A = ticket([[1, 2, 3], [4, 5]], [[1, 1, 0], [1, 0]])
FULL = ticket([[1, 2, 3], [4, 5]], [[1, 1, 0], [1, 1]])
B = ticket([[1, 2, 3], [4, 5]], [[1, 0, 1], [0, 1]])
EMPTY = ticket([[1, 2, 3], [4, 5]], [[1, 0, 1], [0, 0]])


@pytest.mark.parametrize(
    ("name", "tickets", "message"),
    [
        (
            "flip",
            (FULL,),
            r"flip would leave none in 'b/kernel'; the first ticket keeps 2 of 2 in 'b/kernel'",
        ),
        ("intersection", (A, B), r"intersection would leave none in 'b/kernel'.* keeps 1 of 2"),
        ("difference", (A, FULL), r"difference would leave none in 'a/kernel', 'b/kernel'"),
    ],
)
def test_a_layer_that_would_be_emptied_is_named(name, tickets, message):
    with pytest.raises(LayerCollapseError, match=message):
        operate(name, *tickets)
    assert sets(operate(name, *tickets, allow_collapse=True)) < sets(operate("union", A, FULL, B))


def test_a_layer_that_was_empty_before_collapses_no_more():
    assert operate("union", EMPTY, EMPTY).kept == 2
    assert operate("difference", EMPTY, A).kept == 1


def test_rewind_points_stay_where_they_are_asked_for():
    toy, other = testing.toy_ticket(), testing.toy_ticket(1)
    toy = toy.replace(
        provenance=dict(toy.provenance) | {"start": "rewind@3", "metrics": {"val_accuracy": 0.5}}
    )
    for name, some in {"flip": (toy,), "shuffle": (toy,), "grow": (toy,), "union": (toy, other)}.items():
        plain, more = operate(name, *some), operate(name, *some, keep_snapshots=True)
        assert ([*plain.snapshots], plain.start) == (["init"], "init")
        assert ([*more.snapshots], more.start) == (["init", "rewind@3"], "rewind@3")
        assert bits(more.weights("rewind@3")) == bits(toy.weights("rewind@3"))
        assert plain.provenance["metrics"] == more.provenance["metrics"] == {}
