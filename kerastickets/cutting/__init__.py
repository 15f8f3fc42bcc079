"""Turn scores into masks: this is the only place that does. It needs only NumPy."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.cutting.cut_scores import (
        compare as compare,
        cut as cut,
        layers as layers,
    )

__getattr__, __dir__, __all__ = offered(__name__)
