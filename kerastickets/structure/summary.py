"""What a report says of the inside of each ticket of a run: structure, and where there are tasks separation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from kerastickets.errors import KerasTicketsError
from kerastickets.structure.node_link import edge_count
from kerastickets.structure.reachability import Structure
from kerastickets.structure.task_separation import Counts, Tasked, separation, separation_degree
from kerastickets.tickets.ticket import Ticket


@dataclass(frozen=True)
class StructureSummary:
    """A ticket whose network can be followed.

    Args:
        structure: the facts of the analyzer `structure`.
        edges: how many edges its network has.
        separation: the facts of `separation`; None without tasks, or with those of other inputs and outputs.
        degree: the facts of `separation-degree`; None likewise.
    """

    structure: Mapping[str, Any]
    edges: int
    separation: Mapping[str, Any] | None = None
    degree: Mapping[str, Any] | None = None


def summarise(ticket: Ticket, tasks: Tasked | None = None, counts: Counts = "both") -> StructureSummary | str:
    """What is inside a ticket, or the reason why it cannot be said.

    Args:
        ticket: of any model.
        tasks: what names the tasks of its data, if there are several.
        counts: the features that count for `separation`.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> summarise(toy_ticket()).structure["totals"]["active"] > 0
        True
        >>> summarise(toy_ticket().replace(architecture={})).partition(".")[0]
        'The structure of a ticket is read from its architecture'
    """
    try:
        structure = Structure.of(ticket)
        found = StructureSummary(structure.facts(), edge_count(structure))
    except KerasTicketsError as error:
        return str(error)
    if tasks is None:
        return found
    try:
        parts = separation(structure, tasks, counts), separation_degree(structure, tasks)
    except KerasTicketsError:
        return found
    return StructureSummary(found.structure, found.edges, *parts)


def counts_of(rules: Iterable[str]) -> Counts:
    """The features that a run's stop rules count, else both sides.

    Example:
        >>> counts_of(["separation:counts=outputs.category=degraded"]), counts_of([])
        ('outputs', 'both')
    """
    named = (counts for rule in rules for counts in get_args(Counts) if f"counts={counts}" in rule)
    return next(named, "both")
