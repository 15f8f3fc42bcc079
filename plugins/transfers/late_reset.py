"""Transfer protocol that starts a ticket from the weights of an early training step on its source."""

from collections.abc import Iterator
from dataclasses import dataclass

from kerastickets.plugin import Data, Head, Phase, Ticket, carried, main_duration, needed_snapshot


@dataclass(frozen=True)
class LateReset:
    """Train the ticket's mask from its weights at step k on the source.

    On the target, training starts at step 0.

    Args:
        step: the step k; the ticket must have this rewind point. None takes its latest rewind point.
        head: the output layer: `same` keeps it; `new` replaces it by a new, dense one; `auto` replaces it
            only if the target has another number of outputs.

    Raises:
        TicketError: the ticket has no such rewind point.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> [phase.start for phase in LateReset()(toy_ticket(), toy_data(), seed=0)]
        ['rewind@3']

    Reference:
        J. Frankle, G. K. Dziugaite, D. M. Roy, M. Carbin, Stabilizing the Lottery Ticket Hypothesis, section 3.
    """

    step: int | None = None
    head: Head = "auto"

    def __call__(self, ticket: Ticket, target: Data, seed: int) -> Iterator[Phase]:
        step = max(ticket.rewinds, default="K") if self.step is None else self.step
        start = needed_snapshot(ticket, f"rewind@{step}" if step else "init", self)
        yield Phase(carried(ticket, target, seed, self.head), (), main_duration(ticket), start)
