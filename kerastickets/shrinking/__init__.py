"""Find the smallest ticket of a trained model that keeps what its user asks for."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.shrinking.goal import Goal as Goal
    from kerastickets.shrinking.judge import Drop as Drop
    from kerastickets.shrinking.result import Shrunk as Shrunk
    from kerastickets.shrinking.search import Try as Try
    from kerastickets.shrinking.shrink_model import shrink as shrink

__getattr__, __dir__, __all__ = offered(__name__)
