"""What operations share: counting tickets, naming the first mismatch, and the ticket that results."""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from kerastickets import Ticket
from kerastickets.errors import AlignError, LayerCollapseError, TicketError
from kerastickets.testing import check_operation, toy_ticket
from kerastickets.tickets.operation import (
    Takes,
    check_count,
    check_tickets,
    coverage,
    derive,
    plugin_name,
    takes,
)
from tests.helpers.tickets import ticket


@dataclass(frozen=True)
class KeepBoth:
    """A third party's operation, of public names alone."""

    loud: bool = True
    takes: ClassVar[Takes] = Takes(2, 2)

    def __call__(self, *tickets):
        first = check_tickets(self, tickets)
        masks = {key: mask | tickets[1].masks[key] for key, mask in first.masks.items()}
        return derive(self, tickets, masks)


def test_an_operation_of_a_few_lines_keeps_the_contract():
    check_operation(KeepBoth())
    check_operation(KeepBoth(), toy_ticket(1), toy_ticket())
    made = KeepBoth(loud=False)(toy_ticket(), toy_ticket(1))
    assert made.provenance["operation"] == "keep-both"
    assert made.provenance["options"] == {"loud": False}
    assert made.provenance["parents"] == [toy_ticket().digest, toy_ticket(1).digest]
    assert ([*made.snapshots], made.start, made.provenance["metrics"]) == (["init"], "init", {})
    for name in ("model", "dataset", "recipe", "seeds", "level", "criterion"):
        assert made.provenance[name] == toy_ticket().provenance[name]


# How many


def test_an_operation_may_leave_its_count_to_its_signature():
    @dataclass(frozen=True)
    class Pair:
        def __call__(self, a, b):
            return a

    @dataclass(frozen=True)
    class Some:
        def __call__(self, first, *more):
            return first

    @dataclass(frozen=True)
    class Any:
        def __call__(self, *tickets):
            return tickets[0]

    assert (takes(Pair()), takes(Some()), takes(Any())) == (Takes(2, 2), Takes(1), Takes(1))
    assert takes(KeepBoth()) == Takes(2, 2)


@pytest.mark.parametrize(
    ("limits", "words", "inside", "outside"),
    [
        (Takes(1, 1), "one ticket", {1}, {0, 2}),
        (Takes(2), "two tickets or more", {2, 9}, {0, 1}),
        (Takes(5, 5), "5 tickets", {5}, {4, 6}),
        (Takes(1, 3), "one ticket to 3", {1, 3}, {0, 4}),
    ],
)
def test_limits(limits, words, inside, outside):
    assert str(limits) == words
    assert inside == {count for count in inside | outside if count in limits}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_tickets_is_refused(count):
    expected = rf"^keep-both takes two tickets\. Received: {count}\.$"
    with pytest.raises(TicketError, match=expected):
        check_count(KeepBoth(), count)
    with pytest.raises(TicketError, match=expected):
        KeepBoth()(*[toy_ticket()] * count)


def test_what_is_no_ticket_is_refused():
    with pytest.raises(TicketError, match=r"reads one from its file\. Received: str as ticket 2\."):
        KeepBoth()(toy_ticket(), "b.safetensors")


# Which do not fit together

BASE = ticket([[1, 2, 3], [4, 5]], None, bias=[0, 0])


def architecture(units, layers=2):
    return BASE.replace(architecture={"config": {"layers": [{"units": units}] * layers, "name": "net"}})


MISMATCHES = {
    "a value of the architecture": (
        architecture(6),
        architecture(7),
        "agree in their architecture. Expected 'config.layers.0.units' 6, as in ticket 1. Received: 7 in ticket 3.",
    ),
    "its length": (
        architecture(6),
        architecture(6, 3),
        "Expected 'config.layers' of 2 entries, as in ticket 1. Received: of 3 entries in ticket 3.",
    ),
    "its absence": (
        architecture(6),
        BASE,
        "Expected 'config' with 2 entries, as in ticket 1. Received: nothing in ticket 3.",
    ),
    "a shape": (
        BASE,
        ticket([[1, 2, 3], [4]], None, bias=[0, 0]),
        "agree in their weights. Expected 'b/kernel' (2,), as in ticket 1. Received: (1,) in ticket 3.",
    ),
    "a key": (
        BASE,
        ticket([[1, 2, 3], [4, 5]], None),
        "agree in their weights. Expected 'a/bias' (2,), as in ticket 1. Received: nothing in ticket 3.",
    ),
    "a mask": (
        BASE.replace(masks={"a/kernel": BASE.masks["a/kernel"]}),
        BASE,
        "agree in their masks. Expected 'b/kernel' nothing, as in ticket 1. Received: (2,) in ticket 3.",
    ),
}


@pytest.mark.parametrize(("first", "last", "message"), MISMATCHES.values(), ids=MISMATCHES)
def test_the_first_mismatch_is_named(first, last, message):
    from kerastickets_plugins.operations.sets import Union

    with pytest.raises(AlignError, match=re.escape(message)):
        check_tickets(Union(), [first, first, last])


# What results


def test_without_changes_the_first_ticket_results_with_its_init_alone():
    made = derive(KeepBoth(), [toy_ticket(), toy_ticket(1)])
    for key, mask in toy_ticket().masks.items():
        np.testing.assert_array_equal(made.masks[key], mask)
    for key, value in toy_ticket().weights().items():
        assert made.weights()[key] is value  # shared, not copied


def test_metrics_stay_with_the_final_weights_they_were_measured_on():
    toy = toy_ticket()
    toy = toy.replace(provenance=dict(toy.provenance) | {"metrics": {"val_accuracy": 0.5}, "start": "final"})
    assert derive(KeepBoth(), [toy], snapshots=toy.snapshots).provenance["metrics"] == {"val_accuracy": 0.5}
    dropped = derive(KeepBoth(), [toy])
    assert (dropped.provenance["metrics"], dropped.start) == ({}, "init")


def test_a_ticket_without_provenance_gets_one():
    made = derive(KeepBoth(), [BASE])
    assert dict(made.provenance) == {
        "operation": "keep-both",
        "options": {"loud": True},
        "parents": [BASE.digest],
        "start": "init",
        "metrics": {},
    }


def test_an_emptied_layer_is_named_and_allowed_only_where_asked_for():
    masks = {"a/kernel": np.ones(3, bool), "b/kernel": np.zeros(2, bool)}
    with pytest.raises(
        LayerCollapseError, match=r"keep-both would leave none in 'b/kernel'; .* keeps 2 of 2"
    ):
        derive(KeepBoth(), [BASE], masks)
    assert derive(KeepBoth(), [BASE], masks, allow_collapse=True).kept == 3


def test_names_are_kebab_case():
    class ReinitSign2D:
        pass

    assert [plugin_name(value) for value in (KeepBoth(), ReinitSign2D())] == ["keep-both", "reinit-sign2-d"]


def test_coverage_counts_what_any_and_what_all_keep():
    a, b, c = (
        {"k": np.array(row, bool), "e": np.zeros((0,), bool)}
        for row in ([1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0])
    )
    row = {"total": 4, "union": 3, "union_density": 0.75, "intersection": 1, "intersection_density": 0.25}
    empty = {"total": 0, "union": 0, "union_density": 1.0, "intersection": 0, "intersection_density": 1.0}
    assert coverage(a, b, c) == {"layers": [{"key": "e", **empty}, {"key": "k", **row}], "total": row}
    assert coverage({})["total"] == empty


def test_arrays_of_a_result_are_as_frozen_as_any():
    masks = {key: np.ones(mask.shape, bool) for key, mask in BASE.masks.items()}
    made = derive(KeepBoth(), [BASE], masks)
    masks["a/kernel"][0] = False
    assert made.masks["a/kernel"].all()
    assert isinstance(made, Ticket)
    with pytest.raises(ValueError, match="read-only"):
        made.masks["a/kernel"][0] = False
