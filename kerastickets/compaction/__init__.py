"""Build a smaller dense model that computes the same as a pruned one, without its useless units."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.compaction.compact_model import (
        Compacted as Compacted,
        compact as compact,
    )

__getattr__, __dir__, __all__ = offered(__name__)
