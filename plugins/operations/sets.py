"""Masks as sets of kept weights: union, intersection, difference."""

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np

from kerastickets.plugin import Takes, Ticket, check_tickets, derive, sealed, untrained


@dataclass(frozen=True)
class Union:
    """The weights that any of the tickets keeps; all other than the masks is the first ticket's.

    Args:
        keep_snapshots: keep the first ticket's rewind points as well, and its start; `final` goes in any case.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> Union()(toy_ticket(), toy_ticket(1)).kept >= toy_ticket().kept
        True
    """

    keep_snapshots: bool = False
    takes: ClassVar[Takes] = Takes(2)

    def __call__(self, *tickets: Ticket) -> Ticket:
        first = check_tickets(self, tickets)
        masks = {key: sealed(reduce(np.logical_or, _masks(tickets, key))) for key in first.masks}
        return derive(self, tickets, masks, untrained(first, self.keep_snapshots))


@dataclass(frozen=True)
class Intersection:
    """The weights that all of the tickets keep; all other than the masks is the first ticket's.

    Args:
        keep_snapshots: keep the first ticket's rewind points as well, and its start; `final` goes in any case.
        allow_collapse: let a layer lose every weight.

    Raises:
        LayerCollapseError: the tickets have no weight of a layer in common; names it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> Intersection()(toy_ticket(), toy_ticket(1)).kept <= toy_ticket().kept
        True
    """

    keep_snapshots: bool = False
    allow_collapse: bool = False
    takes: ClassVar[Takes] = Takes(2)

    def __call__(self, *tickets: Ticket) -> Ticket:
        first = check_tickets(self, tickets)
        masks = {key: sealed(reduce(np.logical_and, _masks(tickets, key))) for key in first.masks}
        snapshots = untrained(first, self.keep_snapshots)
        return derive(self, tickets, masks, snapshots, allow_collapse=self.allow_collapse)


@dataclass(frozen=True)
class Difference:
    """The weights that the first ticket keeps and no other does; all other than the masks is the first's.

    Args:
        keep_snapshots: keep the first ticket's rewind points as well, and its start; `final` goes in any case.
        allow_collapse: let a layer lose every weight.

    Raises:
        LayerCollapseError: the others keep all that the first keeps of a layer; names it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> a, b = toy_ticket(), toy_ticket(1)
        >>> Difference()(a, b).kept == a.kept - Intersection()(a, b).kept
        True
    """

    keep_snapshots: bool = False
    allow_collapse: bool = False
    takes: ClassVar[Takes] = Takes(2)

    def __call__(self, *tickets: Ticket) -> Ticket:
        first = check_tickets(self, tickets)
        # a > b of booleans: a and not b.
        masks = {key: sealed(reduce(np.greater, _masks(tickets, key))) for key in first.masks}
        snapshots = untrained(first, self.keep_snapshots)
        return derive(self, tickets, masks, snapshots, allow_collapse=self.allow_collapse)


def _masks(tickets: tuple[Ticket, ...], key: str) -> list[np.ndarray]:
    return [ticket.masks[key] for ticket in tickets]
