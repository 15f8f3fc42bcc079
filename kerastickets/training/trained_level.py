"""Make the ticket of a finished training."""

from collections.abc import Mapping
from typing import Any

from kerastickets.tickets.ticket import Ticket
from kerastickets.training.session import Outcome


def trained_level(ticket: Ticket, outcome: Outcome, environment: Mapping[str, Any]) -> Ticket:
    """Add the result of a training to a ticket: `final` weights, the snapshots taken on the way, and metrics.

    Args:
        ticket: the ticket before training.
        outcome: what the trainer returned.
        environment: the threads, oneDNN and XLA of that training.
    """
    snapshots = dict(ticket.snapshots) | {f"rewind@{step}": w for step, w in outcome.snapshots.items()}
    provenance = dict(ticket.provenance) | {
        "metrics": dict(outcome.metrics),
        "environment": dict(environment),
    }
    masks = ticket.masks if outcome.masks is None else outcome.masks
    return ticket.replace(masks=masks, snapshots=snapshots | {"final": outcome.final}, provenance=provenance)
