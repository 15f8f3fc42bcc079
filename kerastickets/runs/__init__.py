"""Write and read what a pruning run produces: its folder, its levels and its history."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.runs.folder import RunFolder as RunFolder
    from kerastickets.runs.run import (
        Level as Level,
        Run as Run,
    )

__getattr__, __dir__, __all__ = offered(__name__)
