"""Operation that keeps exactly the weights that a ticket pruned."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kerastickets.plugin import Takes, Ticket, check_tickets, derive, sealed, untrained


@dataclass(frozen=True)
class Flip:
    """Invert the mask: keep exactly the weights that the ticket pruned, with the same initial weights.

    Flipping twice restores the mask and the initial weights.

    Args:
        keep_snapshots: whether to also keep the rewind points and the start; `final` is always dropped.
        allow_collapse: whether a layer that was not pruned at all may lose all its weights.

    Raises:
        LayerCollapseError: a layer was not pruned, so its inverted mask is empty; the message names it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> int((Flip()(toy_ticket()).masks["dense/kernel"] & toy_ticket().masks["dense/kernel"]).sum())
        0

    Reference:
        On Multiple Winning Tickets and LTH vs SNIP: Final Report, section 4.2 (`LTH_flip`, which goes on pruning the
        flipped ticket: `kt prune --from`).
    """

    keep_snapshots: bool = False
    allow_collapse: bool = False
    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket) -> Ticket:
        ticket = check_tickets(self, tickets)
        masks = {key: sealed(np.logical_not(mask)) for key, mask in ticket.masks.items()}
        snapshots = untrained(ticket, self.keep_snapshots)
        return derive(self, tickets, masks, snapshots, allow_collapse=self.allow_collapse)
