"""What a transfer protocol is: it plans phases of training."""

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
        ticket: what to train.
        frozen: keys that do not train.
        duration: how long.
        start: the snapshot to start from.
        loss: instead of the target's own, or None.
    """

    ticket: Ticket
    frozen: tuple[str, ...]
    duration: Duration
    start: str
    loss: Any = None


class Transfer(Protocol):
    """A ticket and a target task in, phases of training out."""

    def __call__(self, ticket: Ticket, target: "Data", seed: int) -> Iterator[Phase]:
        """Phases, in order; a generator is sent each phase's trained ticket."""
        ...
