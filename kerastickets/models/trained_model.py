"""Build the Keras model of a ticket with its trained weights, for export or use elsewhere."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerastickets.errors import TicketError
from kerastickets.tickets.ticket import Ticket

if TYPE_CHECKING:
    import keras


def trained_model(ticket: Ticket, custom_objects: Mapping[str, Any] | None = None) -> "keras.Model":
    """Build the Keras model of a ticket with its `final` weights; pruned weights are zero.

    Args:
        ticket: a trained ticket.
        custom_objects: your classes by name.

    Returns:
        A new model, not compiled.

    Raises:
        TicketError: the ticket is not trained, or its model cannot be built.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> trained_model(toy_ticket()).output_shape
        (None, 10)
    """
    if "final" not in ticket.snapshots:
        raise TicketError(
            f"A ticket must be trained to be exported. Received: one with {', '.join(ticket.snapshots)} only. "
            "Train it first: `kt train TICKET`."
        )
    final = ticket.weights("final")
    return ticket.replace(
        snapshots={"init": final}, provenance=dict(ticket.provenance) | {"start": "init"}
    ).build(custom_objects)
