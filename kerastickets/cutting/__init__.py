"""Scores become masks here and nowhere else. NumPy alone."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.cutting.cut_scores import (
        compare as compare,
        cut as cut,
        layers as layers,
    )

__getattr__, __dir__, __all__ = offered(__name__)
