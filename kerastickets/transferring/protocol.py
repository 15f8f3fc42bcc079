"""The interface of transfer protocols, which plan phases of training on a target task."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kerastickets.foundations.duration import Duration
from kerastickets.tickets.ticket import Ticket

if TYPE_CHECKING:
    from kerastickets.data.dataset import Data


@dataclass(frozen=True)
class Phase:
    """One phase of a transfer: a ticket to train on the target.

    Args:
        ticket: the ticket to train.
        frozen: keys of the weights that are not trained.
        duration: how long to train, in epochs or iterations.
        start: name of the snapshot to start from.
        loss: loss to use instead of the target's own loss; None uses the target's.
    """

    ticket: Ticket
    frozen: tuple[str, ...]
    duration: Duration
    start: str
    loss: Any = None


class Transfer(Protocol):
    """Plans how to train a ticket on a target task, as a sequence of phases."""

    def __call__(self, ticket: Ticket, target: "Data", seed: int) -> Iterator[Phase]:
        """Yield the phases in order. If this is a generator, it is sent the trained ticket of each phase."""
        ...
