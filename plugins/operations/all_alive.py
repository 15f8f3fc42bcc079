"""The weights of a ticket that can matter."""

from dataclasses import dataclass
from typing import ClassVar

from kerastickets.plugin import Takes, Ticket, alive, check_tickets, derive


@dataclass(frozen=True)
class AllAlive:
    """The ticket without its inactive weights and without its zombies, which computes the same.

    Inactive weights, from which no path leads to an output, just go. A zombie, which no path from an input
    leads to, adds a constant to what it feeds; the bias there takes it, in each snapshot its own. Zombies
    stay in layers without a bias, in convolutions, and behind layers that treat places differently.

    Args:
        allow_collapse: let a layer lose every weight, as where no path goes through the net at all.

    Raises:
        TicketError: the model has a layer that cannot be followed; names it.
        LayerCollapseError: a layer would lose every weight; names it.

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
