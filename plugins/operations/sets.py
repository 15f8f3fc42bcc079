"""Operations that treat masks as sets of kept weights: union, intersection and difference."""

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np

from kerastickets.plugin import Takes, Ticket, check_tickets, derive, sealed, untrained


@dataclass(frozen=True)
class Union:
    """Keep the weights that any of the tickets keeps.

    Everything except the masks comes from the first ticket.

    Args:
        keep_snapshots: whether to also keep the first ticket's rewind points and start; `final` is always
            dropped.

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
    """Keep the weights that all of the tickets keep; everything except the masks comes from the first ticket.

    Args:
        keep_snapshots: whether to also keep the first ticket's rewind points and start; `final` is always
            dropped.
        allow_collapse: whether a layer may lose all its weights.

    Raises:
        LayerCollapseError: the tickets have no weight of a layer in common; the message names it.

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
    """Keep the weights that only the first ticket keeps.

    Everything except the masks comes from the first ticket.

    Args:
        keep_snapshots: whether to also keep the first ticket's rewind points and start; `final` is always
            dropped.
        allow_collapse: whether a layer may lose all its weights.

    Raises:
        LayerCollapseError: in one layer, the other tickets keep all weights that the first keeps; the message
            names it.

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
        # For booleans, a > b means "a and not b".
        masks = {key: sealed(reduce(np.greater, _masks(tickets, key))) for key in first.masks}
        snapshots = untrained(first, self.keep_snapshots)
        return derive(self, tickets, masks, snapshots, allow_collapse=self.allow_collapse)


def _masks(tickets: tuple[Ticket, ...], key: str) -> list[np.ndarray]:
    return [ticket.masks[key] for ticket in tickets]
