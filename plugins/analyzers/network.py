"""Analyzer that lists the neurons of a network and the edges between them, with their categories, for drawing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from kerastickets.plugin import (
    MOST_EDGES,
    Data,
    Network as Drawn,
    Part,
    Takes,
    Ticket,
    check_tickets,
    network_figure,
    node_link,
)


@dataclass(frozen=True)
class Network:
    """List the neurons of a small ticket and the edges between them, with their categories, for drawing.

    Facts:

    - `neurons`: each with `layer`, `index`, `category` (`active`, `inactive`, `zombie` or `isolated`) and
      `group` (the subnetwork it belongs to, if there are several).
    - `edges`: each with `source` and `target` (positions in `neurons`, from 0), `category`, `key`, `weight`
      (its value in the last snapshot) and `weights` (the number of weights that the edge stands for). An edge
      between channels stands for the weights of a kernel; its `weight` is the sum of their magnitudes.
    - `subnetworks`: their number.

    Args:
        part: `unpruned` shows all neurons and all kept weights; `active` shows only those on a path from an
            input to an output.
        below: the ticket must have fewer edges than this.

    Raises:
        TicketError: the ticket has too many edges, or a layer that cannot be traced.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> facts = Network()(toy_ticket())
        >>> len(facts["neurons"]), len(facts["edges"]) == toy_ticket().kept
        (80, True)

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 3.4.2 and figure 3.1.
    """

    part: Part = "unpruned"
    below: int = MOST_EDGES
    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> dict[str, Any]:
        return node_link(check_tickets(self, tickets), self.part, below=self.below)

    def figure(self, facts: Mapping[str, Any]) -> Drawn:
        """A drawing of the network, with each active subnetwork in its own colour."""
        return network_figure(facts)
