"""Moved to `kerastickets.plugin`."""

import sys

from kerastickets.old_paths import moved
from kerastickets.transferring import transfer_ticket

moved(__name__, "kerastickets.plugin")

# `kerastickets.transfer` is a function as well. Importing a module of that name must leave the function in its place,
# so the function itself stands for the module, with the names that the module had.
for _name, _value in {
    "main_duration": transfer_ticket.main_duration,
    "needed": transfer_ticket.needed_snapshot,
    "parts": transfer_ticket.phase_durations,
    "Transferred": transfer_ticket.Transferred,
    "transfer": transfer_ticket.transfer,
}.items():
    setattr(transfer_ticket.transfer, _name, _value)
sys.modules[__name__] = transfer_ticket.transfer  # type: ignore[assignment]
