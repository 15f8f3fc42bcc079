"""Transfer a ticket to another task: a protocol plans phases of training, and this package carries them out."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.transferring.protocol import (
        Phase as Phase,
        Transfer as Transfer,
    )
    from kerastickets.transferring.transfer_ticket import (
        Transferred as Transferred,
        transfer as transfer,
    )

__getattr__, __dir__, __all__ = offered(__name__)
