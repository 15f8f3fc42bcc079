"""Operation that removes the weights of a ticket that cannot affect its outputs."""

from dataclasses import dataclass
from typing import ClassVar

from kerastickets.plugin import Takes, Ticket, alive, check_tickets, derive


@dataclass(frozen=True)
class AllAlive:
    """Remove a ticket's inactive and zombie weights without changing what it computes.

    Inactive weights have no path to an output and are simply removed. Zombie weights have no path from an
    input, so each adds a constant to the unit it feeds. That constant is added to the unit's bias, separately
    in each snapshot. Zombies stay in layers without a bias, in convolutions, and after layers that treat
    positions differently.

    Args:
        allow_collapse: whether a layer may lose all its weights, which happens if no path goes through the
            net.

    Raises:
        TicketError: the model has a layer that cannot be traced; the message names it.
        LayerCollapseError: a layer would lose all its weights; the message names it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> AllAlive()(toy_ticket()).provenance["operation"]
        'all-alive'

    Reference:
        D. Kim, H. Shim, J. Lee, Waste Not, Want Not: All-Alive Pruning for Extremely Sparse Networks (2021).
    """

    allow_collapse: bool = False
    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket) -> Ticket:
        masks, snapshots = alive(check_tickets(self, tickets))
        return derive(self, tickets, masks, snapshots, allow_collapse=self.allow_collapse)
