"""Operation that chooses the snapshot from which a ticket's training starts."""

from dataclasses import dataclass, replace
from typing import ClassVar

from kerastickets.plugin import Takes, Ticket, check_tickets, derive


@dataclass(frozen=True)
class Rewind:
    """Let a ticket's training start from one of its snapshots; later snapshots are dropped.

    Args:
        to: the snapshot: `init`, `rewind` (the latest stored step, or `init` if there is none),
            `rewind@<step>` or `final`.

    Raises:
        TicketError: the ticket has no such snapshot (the message lists the snapshots it has), or there is not
            exactly one ticket.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> Rewind(to="init")(toy_ticket()).start
        'init'

    Reference:
        J. Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis, section 4.
        A. Renda, J. Frankle, M. Carbin, Comparing Rewinding and Fine-tuning, section 3.
    """

    to: str = "rewind"
    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket) -> Ticket:
        ticket = check_tickets(self, tickets)
        name = self.to
        if name == "rewind":
            name = f"rewind@{max(ticket.rewinds)}" if ticket.rewinds else "init"
        name = "init" if name == "rewind@0" else name
        ticket.weights(name)
        order = list(ticket.snapshots)
        kept = {key: ticket.snapshots[key] for key in order[: order.index(name) + 1]}
        return derive(replace(self, to=name), tickets, snapshots=kept, start=name)
