"""Plugins: found by entry points, listed from metadata alone, imported on use; and their options."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.registry.entry_points import (
        GROUPS as GROUPS,
        Entry as Entry,
        create as create,
        entries as entries,
        load as load,
        names as names,
        spec as spec,
    )

__getattr__, __dir__, __all__ = offered(__name__)
