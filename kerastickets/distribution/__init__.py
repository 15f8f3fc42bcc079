"""Choose where training runs: on one device, on several devices of one machine, or on several machines."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.distribution.devices import Layout as Layout
    from kerastickets.distribution.strategy import (
        Strategy as Strategy,
        check_strategy as check_strategy,
        is_chief as is_chief,
    )

__getattr__, __dir__, __all__ = offered(__name__)
