"""The network itself: neurons, the weights between them, and the category of each."""

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
    """The neurons of a small ticket and the edges between them, with their categories, to be drawn.

    Facts: `neurons`, each with `layer`, `index`, `category` (`active`, `inactive`, `zombie`, `isolated`) and `group`,
    the subnetwork it belongs to where there are several; `edges`, each with `source` and `target` (positions in
    `neurons`, from 0), `category`, `key`, `weight` (its value in the last snapshot, of several weights the sum of
    their magnitudes) and `weights` (how many it stands for: channels have kernels between them); `subnetworks`.

    Args:
        part: `unpruned`, all neurons and all kept weights; `active`, those on a path from an input to an output.
        below: a ticket must have fewer edges.

    Raises:
        TicketError: it has more, or a layer that cannot be followed.

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
        """The network, active subnetworks in colours of their own."""
        return network_figure(facts)
