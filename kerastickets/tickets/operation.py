"""What operations on tickets share: how many they take, whether these fit together, and the ticket that results.

With these an operation is a few lines of arithmetic on masks and `init`. Imports nothing heavy.
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
    """Tickets in, ticket out; pure.

    A frozen dataclass whose fields are its options. It may have a class attribute `takes`, how many tickets it
    wants; see `Takes`.
    """

    def __call__(self, *tickets: Ticket) -> Ticket:
        """A new ticket, whose provenance names the operation and the parents' digests."""
        ...


@dataclass(frozen=True)
class Takes:
    """How many tickets an operation takes; its class attribute `takes`.

    Args:
        least: the fewest.
        most: the most; None for any number.

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
    """How many tickets an operation takes: what it declares as `takes`, else what its signature says.

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
        TicketError: saying how many it takes.

    Example:
        >>> from kerastickets import registry
        >>> check_count(registry.create("operations", "flip"), 2)
        Traceback (most recent call last):
        kerastickets.errors.TicketError: flip takes one ticket. Received: 2.
    """
    if count not in takes(operation):
        raise TicketError(f"{plugin_name(operation)} takes {takes(operation)}. Received: {count}.")


def check_tickets(operation: Any, tickets: Sequence[Ticket]) -> Ticket:
    """Refuse tickets that an operation cannot work on; the first thing that its `__call__` does.

    Args:
        operation: its `takes` says how many tickets it wants.
        tickets: what it was called with.

    Returns:
        The first ticket.

    Raises:
        TicketError: too few or too many tickets, or something that is no ticket.
        AlignError: two differ in architecture, keys or shapes: names the first mismatch and its ticket.

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
    """The ticket that an operation makes of others, with provenance that says so.

    What is not given is the first ticket's. Provenance is the first ticket's too (model, data set, recipe, level,
    seeds, versions), but for `operation`, `options`, `parents` (digests in the order of `tickets`), `start`, and
    `metrics`, which are empty unless `final` is kept.

    Args:
        operation: what is being done: its name and its options are recorded.
        tickets: what it is done to.
        masks: the new masks.
        snapshots: the new weights by name, every one unmasked but `final`. Only `init` is kept by default.
        start: where training starts; by default where the first ticket's does, or `init` where that was
            dropped.
        allow_collapse: whether a layer may lose its last weight.

    Returns:
        A ticket. Arrays that are read-only already (`tree.sealed`) are taken as they are, others copied.

    Raises:
        LayerCollapseError: a layer of which the first ticket keeps weights would keep none; names it.

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
        "metrics": first.provenance.get("metrics", {}) if "final" in snapshots else {},
    }
    return first.replace(masks=masks, snapshots=snapshots, provenance=provenance)


def untrained(ticket: Ticket, rewinds: bool) -> dict[str, Tree]:
    """The snapshots of a ticket that outlive another mask: `init`, and rewind points where asked for.

    `final` does not: it is zero where the old mask pruned.

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
    """What a plugin of these groups is called: its class in kebab case, which is also the name to register it by.

    Example:
        >>> from kerastickets import registry
        >>> plugin_name(registry.create("operations", "reinit-sign"))
        'reinit-sign'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(plugin).__name__).lower()


def coverage(*masks: Tree) -> dict[str, Any]:
    """What several masks keep between them, per key and in total.

    Args:
        *masks: booleans by key, of equal keys and shapes; one or more.

    Returns:
        JSON-ready `{"layers": [row, ...], "total": row}`. A row has `total`, `union` (kept by any) and
        `intersection` (kept by all), their densities, and for a layer its `key`.

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
    """Refuse `other`, ticket `number` of those given, where it is of another model than `first`."""
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
    """The first place at which two JSON values differ, in reading order, and what is there in each."""
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
