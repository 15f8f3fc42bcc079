"""Durations, array trees, files, processes and hardware facts: the base of every other package.

Importing it imports nothing heavy.
"""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.foundations.duration import Duration as Duration
    from kerastickets.foundations.environment import (
        cores as cores,
        machine as machine,
    )
    from kerastickets.foundations.process_pool import Pool as Pool
    from kerastickets.foundations.staging import (
        check_target as check_target,
        staged as staged,
    )
    from kerastickets.foundations.tree import (
        Tree as Tree,
        density as density,
        frozen as frozen,
        generator as generator,
        integer as integer,
        kept as kept,
        masked as masked,
        sealed as sealed,
        total as total,
    )

__getattr__, __dir__, __all__ = offered(__name__)
