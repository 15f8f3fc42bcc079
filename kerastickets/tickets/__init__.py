"""Tickets: the frozen value, its file, and helpers for operations on tickets.

This package needs only NumPy and safetensors.
"""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.tickets.operation import (
        Operation as Operation,
        Takes as Takes,
        check_tickets as check_tickets,
        coverage as coverage,
        derive as derive,
        untrained as untrained,
    )
    from kerastickets.tickets.ticket import Ticket as Ticket
    from kerastickets.tickets.winning import is_winning as is_winning

__getattr__, __dir__, __all__ = offered(__name__)
