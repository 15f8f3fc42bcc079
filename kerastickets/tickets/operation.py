"""Helpers for operations on tickets: check the number and the fit of the tickets, and make the result.

With these helpers an operation is a few lines of arithmetic on masks and `init`. This module imports nothing
heavy.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

import numpy as np

from kerastickets.errors import AlignError, LayerCollapseError, TicketError
from kerastickets.foundations.tree import Tree
from kerastickets.registry.plugin_options import describe
from kerastickets.tickets.ticket import Ticket

_NUMBERS = {0: "no ticket", 1: "one ticket", 2: "two tickets", 3: "three tickets"}


class Operation(Protocol):
    """The Protocol of an operation: a pure function from tickets to a new ticket.

    An operation is a frozen dataclass. Its fields are its options. An optional class attribute `takes` says
    how many tickets it takes, see `Takes`.
    """

    def __call__(self, *tickets: Ticket) -> Ticket:
        """Make a new ticket. Its provenance names the operation and the digests of its parents."""
        ...


@dataclass(frozen=True)
class Takes:
    """How many tickets an operation takes. An operation declares it as its class attribute `takes`.

    Args:
        least: the smallest number of tickets.
        most: the largest number of tickets; None for no limit.

    Example:
        >>> print(Takes(1, 1), Takes(2), Takes(1, 3), sep=", ")
        one ticket, two tickets or more, one ticket to 3
        >>> 1 in Takes(2)
        False
    """

    least: int = 1
    most: int | None = None

    def __contains__(self, count: int) -> bool:
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        first = _NUMBERS.get(self.least, f"{self.least} tickets")
        if self.most is None:
            return f"{first} or more"
        return first if self.most == self.least else f"{first} to {self.most}"


def takes(operation: Any) -> Takes:
    """How many tickets an operation takes: its attribute `takes`, or else the number from its signature.

    Example:
        >>> from kerastickets import registry
        >>> print(takes(registry.create("operations", "union")))
        two tickets or more
    """
    declared = getattr(operation, "takes", None)
    if isinstance(declared, Takes):
        return declared
    parameters = [p for p in inspect.signature(operation).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(p.default is p.empty for p in named)
    return Takes(max(needed, 1), len(named) if len(named) == len(parameters) else None)


def check_count(operation: Any, count: int) -> None:
    """Refuse a number of tickets that an operation does not take.

    Raises:
        TicketError: the operation does not take `count` tickets. The message says how many it takes.

    Example:
        >>> from kerastickets import registry
        >>> check_count(registry.create("operations", "flip"), 2)
        Traceback (most recent call last):
        kerastickets.errors.TicketError: flip takes one ticket. Received: 2.
    """
    if count not in takes(operation):
        raise TicketError(f"{plugin_name(operation)} takes {takes(operation)}. Received: {count}.")


def check_tickets(operation: Any, tickets: Sequence[Ticket]) -> Ticket:
    """Refuse tickets that an operation cannot work on. Call it first in the operation's `__call__`.

    Args:
        operation: the operation. Its `takes` says how many tickets it takes.
        tickets: the tickets that the operation was called with.

    Returns:
        The first ticket.

    Raises:
        TicketError: there are too few or too many tickets, or one is not a `Ticket`.
        AlignError: two tickets differ in architecture, keys or shapes. The message names the first difference
            and the ticket.

    Example:
        >>> from kerastickets import registry
        >>> from kerastickets.testing import toy_ticket
        >>> check_tickets(registry.create("operations", "dtm"), [toy_ticket(), toy_ticket(1)]) == toy_ticket()
        True
    """
    check_count(operation, len(tickets))
    for number, ticket in enumerate(tickets, 1):
        if not isinstance(ticket, Ticket):
            raise TicketError(
                f"{plugin_name(operation)} takes tickets; `Ticket.load` reads one from its file. "
                f"Received: {type(ticket).__name__} as ticket {number}."
            )
    for number, other in enumerate(tickets[1:], 2):
        _check_alike(tickets[0], other, number)
    return tickets[0]


def derive(
    operation: Operation,
    tickets: Sequence[Ticket],
    masks: Tree | None = None,
    snapshots: Mapping[str, Tree] | None = None,
    *,
    start: str | None = None,
    allow_collapse: bool = False,
) -> Ticket:
    """Make the ticket that results from an operation, and record the operation in its provenance.

    The architecture comes from the first ticket, and so does the provenance (model, data set, recipe, level,
    seeds, versions). These entries of the provenance are new: `operation`, `options`, `parents` (the digests
    in the order of `tickets`) and `start`. `metrics` is kept if the result has the snapshot `final`, else it
    is empty.

    Args:
        operation: the operation. Its name and its options are recorded.
        tickets: the tickets that the operation was applied to, at least one.
        masks: the new masks. By default the masks of the first ticket.
        snapshots: the new weights by name, all unmasked except `final`. By default only `init` of the first
            ticket.
        start: the name of the snapshot that training starts from. By default the first ticket's `start`, or
            `"init"` if that snapshot is not in `snapshots`.
        allow_collapse: whether a layer may lose its last weight.

    Returns:
        A ticket. Arrays that are already read-only (`sealed`) are shared, other arrays are copied.

    Raises:
        LayerCollapseError: a layer in which the first ticket keeps weights would keep none. The message names
            the layer.

    Example:
        >>> from kerastickets import registry
        >>> from kerastickets.testing import toy_ticket
        >>> flip = registry.create("operations", "flip")
        >>> flipped = derive(flip, [toy_ticket()], {key: ~mask for key, mask in toy_ticket().masks.items()})
        >>> flipped.provenance["operation"], flipped.kept + toy_ticket().kept == toy_ticket().total
        ('flip', True)
    """
    first = tickets[0]
    masks = first.masks if masks is None else masks
    snapshots = {"init": first.weights()} if snapshots is None else snapshots
    if not allow_collapse:
        _check_alive(operation, first.masks, masks)
    if start is None:
        start = first.start if first.start in snapshots else "init"
    provenance = dict(first.provenance) | {
        "operation": plugin_name(operation),
        "options": describe(operation),
        "parents": [ticket.digest for ticket in tickets],
        "start": start,
        "metrics": first.provenance.get("metrics") or {} if "final" in snapshots else {},
    }
    return first.replace(masks=masks, snapshots=snapshots, provenance=provenance)


def untrained(ticket: Ticket, rewinds: bool) -> dict[str, Tree]:
    """The snapshots of a ticket that stay valid under a different mask.

    These are `init` and, if requested, the rewind points. `final` does not stay valid, because it is zero
    where the old mask pruned.

    Args:
        ticket: a ticket.
        rewinds: whether to include the rewind points.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> [*untrained(toy_ticket(), rewinds=False)], [*untrained(toy_ticket(), rewinds=True)]
        (['init'], ['init', 'rewind@3'])
    """
    return {
        name: weights
        for name, weights in ticket.snapshots.items()
        if name == "init" or (rewinds and name != "final")
    }


def plugin_name(plugin: Any) -> str:
    """The name of a plugin: its class name in kebab case. The plugin must be registered under this name.

    Example:
        >>> from kerastickets import registry
        >>> plugin_name(registry.create("operations", "reinit-sign"))
        'reinit-sign'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(plugin).__name__).lower()


def coverage(*masks: Tree) -> dict[str, Any]:
    """Count the union and the intersection of several masks, per key and in total.

    Args:
        *masks: booleans by key, with equal keys and shapes. At least one.

    Returns:
        JSON-ready `{"layers": [row, ...], "total": row}`. A row has `total`, `union` (weights kept by any
        mask), `union_density`, `intersection` (weights kept by all masks) and `intersection_density`. A row
        of a layer also has its `key`.

    Example:
        >>> coverage({"k": np.array([True, False, False])}, {"k": np.array([True, True, False])})["layers"]
        [{'key': 'k', 'total': 3, 'union': 2, 'union_density': 0.66..., 'intersection': 1, ...}]
    """
    counts = []
    for key in sorted(masks[0]):
        layer = [one[key] for one in masks]
        either, all_of_them = reduce(np.logical_or, layer), reduce(np.logical_and, layer)
        counts.append((layer[0].size, int(np.count_nonzero(either)), int(np.count_nonzero(all_of_them))))
    rows = [{"key": key, **_covered(*row)} for key, row in zip(sorted(masks[0]), counts, strict=True)]
    return {"layers": rows, "total": _covered(*map(sum, zip(*counts, strict=True)) if counts else (0, 0, 0))}


def _covered(total: int, union: int, intersection: int) -> dict[str, Any]:
    return {
        "total": total,
        "union": union,
        "union_density": union / total if total else 1.0,
        "intersection": intersection,
        "intersection_density": intersection / total if total else 1.0,
    }


def _check_alike(first: Ticket, other: Ticket, number: int) -> None:
    """Refuse `other`, the ticket at position `number`, if its model differs from that of `first`."""
    parts: tuple[tuple[str, Any, Any], ...] = (
        ("architecture", dict(first.architecture), dict(other.architecture)),
        ("weights", _shapes(first.weights()), _shapes(other.weights())),
        ("masks", _shapes(first.masks), _shapes(other.masks)),
    )
    for what, expected, received in parts:
        if found := _mismatch(expected, received):
            place, one, two = found
            raise AlignError(
                f"Tickets must agree in their {what}. Expected {place} {one}, as in ticket 1. "
                f"Received: {two} in ticket {number}. Use tickets of one model."
            )


def _shapes(tree: Tree) -> dict[str, Any]:
    return {key: tuple(value.shape) for key, value in tree.items()}


def _mismatch(a: Any, b: Any, place: str = "") -> tuple[str, str, str] | None:
    """The first place where two JSON values differ, in reading order, and both values; None if equal."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = sorted(a.keys() | b.keys())
        pairs = [(key, a.get(key, _NOTHING), b.get(key, _NOTHING)) for key in keys]
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(a, b, strict=True))]
    else:
        return None if a == b else (repr(place or "the whole"), _brief(a), _brief(b))
    below = f"{place}." if place else ""
    return next((found for key, x, y in pairs if (found := _mismatch(x, y, below + key))), None)


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def _brief(value: Any) -> str:
    if isinstance(value, list):
        return f"of {len(value)} entries"
    return f"with {len(value)} entries" if isinstance(value, dict) else repr(value)


def _check_alive(operation: Operation, before: Tree, after: Tree) -> None:
    emptied = [key for key in sorted(after) if not after[key].any() and key in before and before[key].any()]
    if emptied:
        kept, size = np.count_nonzero(before[emptied[0]]), before[emptied[0]].size
        raise LayerCollapseError(
            f"Every layer must keep a weight. Received: {plugin_name(operation)} would leave none in "
            f"{', '.join(map(repr, emptied))}; the first ticket keeps {kept} of {size} in {emptied[0]!r}. "
            "Use other tickets, or the option allow_collapse where the operation has it."
        )
