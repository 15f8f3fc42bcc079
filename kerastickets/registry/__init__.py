"""Find plugins by their entry points, list them without importing them, and create them with options."""

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
    from kerastickets.registry.plugin_options import (
        Option as Option,
        describe as describe,
        options as options,
    )

__getattr__, __dir__, __all__ = offered(__name__)
