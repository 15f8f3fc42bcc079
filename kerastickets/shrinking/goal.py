"""What a smaller model must keep: how much worse it may be, how large, how slow."""

import math
import re
from dataclasses import dataclass
from typing import Any

from kerastickets.errors import RecipeError

_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_TIMES = {"": 1.0, "MS": 1.0, "S": 1000.0, "US": 0.001}
_QUANTITY = re.compile(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*")


@dataclass(frozen=True)
class Goal:
    """What a smaller model must keep.

    Args:
        max_drop: how much worse the monitored metric may become: points (hundredths) of a metric that grows with
            quality, such as accuracy, and units of a loss or an error. At least 0.
        max_size: the largest size of the exported file, in bytes or as text such as `200KiB`.
        max_latency: the longest time for one example on this machine, in milliseconds or as text such as `2ms`.

    Raises:
        RecipeError: nothing is asked for, or a value is no positive amount.

    Example:
        >>> Goal(max_drop=0.5, max_size="200KiB").max_size
        204800
    """

    max_drop: float | None = None
    max_size: Any = None
    max_latency: Any = None

    def __post_init__(self) -> None:
        if self.max_drop is None and self.max_size is None and self.max_latency is None:
            raise RecipeError(
                "Say what the smaller model must keep: `max_drop` (such as 0.5 points), `max_size` (200KiB) or "
                "`max_latency` (2ms). Received: none of them."
            )
        drop = self.max_drop
        if drop is not None and (isinstance(drop, bool) or not isinstance(drop, int | float)):
            raise RecipeError(f"`max_drop` must be a number of at least 0. Received: max_drop={drop!r}")
        if drop is not None and not (math.isfinite(drop) and drop >= 0):
            raise RecipeError(f"`max_drop` must be a number of at least 0. Received: max_drop={drop!r}")
        size, time = self.max_size, self.max_latency
        object.__setattr__(self, "max_size", None if size is None else int(_amount("max_size", size, _SIZES)))
        object.__setattr__(
            self, "max_latency", None if time is None else _amount("max_latency", time, _TIMES)
        )

    def facts(self) -> dict[str, Any]:
        """The goal as JSON: the drop as given, bytes, and milliseconds."""
        return {"max_drop": self.max_drop, "max_size": self.max_size, "max_latency_ms": self.max_latency}


def _amount(name: str, given: Any, units: dict[str, Any]) -> float:
    found = None if isinstance(given, bool) else _QUANTITY.fullmatch(str(given))
    unit = None if found is None else units.get(found[2].upper())
    try:
        value = float(found[1]) * unit if found and unit is not None else math.nan
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        known = ", ".join(("bytes", "KiB", "MiB", "KB", "MB") if units is _SIZES else ("ms", "s", "us"))
        raise RecipeError(f"`{name}` must be an amount above 0, in {known}. Received: {name}={given!r}")
    return value
