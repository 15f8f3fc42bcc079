"""Summarise a ticket's structure for a report, and its task separation if its data have several tasks."""

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
    """The facts about a ticket whose network can be followed.

    Args:
        structure: the facts of the analyzer `structure`.
        edges: how many edges the network has.
        separation: the facts of `separation`. None without tasks, or if the tasks have other inputs or
            outputs than the network.
        degree: the facts of `separation-degree`. None in the same cases.
    """

    structure: Mapping[str, Any]
    edges: int
    separation: Mapping[str, Any] | None = None
    degree: Mapping[str, Any] | None = None


def summarise(ticket: Ticket, tasks: Tasked | None = None, counts: Counts = "both") -> StructureSummary | str:
    """Summarise a ticket's structure. If its network cannot be followed, return the reason as text.

    Args:
        ticket: a ticket of any model.
        tasks: a data set that names its tasks; None if there is only one task.
        counts: the features that count for `separation`: `both`, `inputs` or `outputs`.

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
    """The features that count in a run's stop rules (`counts=...`); `both` if no rule says so.

    Example:
        >>> counts_of(["separation:counts=outputs.category=degraded"]), counts_of([])
        ('outputs', 'both')
    """
    named = (counts for rule in rules for counts in get_args(Counts) if f"counts={counts}" in rule)
    return next(named, "both")
