"""Operation that reduces initial weights to their signs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kerastickets.plugin import Takes, Ticket, check_tickets, derive, sealed


@dataclass(frozen=True)
class Constant:
    """Replace every prunable weight by its initial sign times one number per layer.

    The number is the standard deviation of all initial weights of the layer, kept or pruned. A weight of
    exactly 0 has no sign and stays 0. Weights without a mask stay unchanged.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> values = Constant()(toy_ticket()).weights()["dense/kernel"]
        >>> len(np.unique(np.abs(values)))
        1

    Reference:
        H. Zhou, J. Lan, R. Liu, J. Yosinski, Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask,
        section 4.
    """

    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket) -> Ticket:
        ticket = check_tickets(self, tickets)
        init = dict(ticket.weights())
        for key in ticket.masks:
            init[key] = sealed(
                np.sign(1 * init[key]) * init[key].std(dtype="float64").astype(init[key].dtype)
            )
        return derive(self, tickets, snapshots={"init": init})
