"""Training durations: a number of iterations or of epochs, and one parser for their text form."""

import re
from dataclasses import dataclass
from typing import Literal

from kerastickets.errors import RecipeError

# At most eighteen digits: a longer number is a typo, and Python refuses to parse thousands of digits.
_TEXT = re.compile(r"([0-9]{1,18})(it|ep)")


@dataclass(frozen=True)
class Duration:
    """A number of iterations (`it`, optimizer steps) or of epochs (`ep`, passes over the training data).

    Durations cannot be compared directly: whether `20ep` is longer than `500it` depends on the data.
    Compare `iterations(per_epoch)` instead.

    Args:
        count: the number of iterations or epochs, 0 or more.
        unit: `"it"` for iterations or `"ep"` for epochs.

    Raises:
        RecipeError: `count` or `unit` is anything else.

    Example:
        >>> Duration(20, "ep").iterations(per_epoch=916)
        18320
        >>> str(Duration.parse("500it"))
        '500it'
    """

    count: int
    unit: Literal["it", "ep"]

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 0:
            raise RecipeError(f"count must be an integer of at least 0. Received: count={self.count!r}")
        if self.unit not in ("it", "ep"):
            raise RecipeError(
                f"unit must be 'it' (iterations) or 'ep' (epochs). Received: unit={self.unit!r}"
            )

    @classmethod
    def parse(cls, value: "str | int | Duration") -> "Duration":
        """Read a duration from text or from a number.

        Args:
            value: text like `"500it"` or `"20ep"`, an integer number of iterations, or a `Duration`.

        Returns:
            A `Duration`.

        Raises:
            RecipeError: `value` is anything else. In text, the number must have its unit.

        Example:
            >>> Duration.parse("20ep"), Duration.parse(500)
            (Duration(count=20, unit='ep'), Duration(count=500, unit='it'))
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(value, "it")
        match = _TEXT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise RecipeError(
                f"A duration must be a number and its unit, like '500it' or '20ep'. Received: {value!r}"
            )
        return cls(int(match[1]), "it" if match[2] == "it" else "ep")

    def iterations(self, per_epoch: int) -> int:
        """Convert this duration to iterations.

        Args:
            per_epoch: the number of iterations per epoch, at least 1.

        Returns:
            The number of iterations, 0 or more.

        Example:
            >>> Duration(500, "it").iterations(per_epoch=916)
            500
        """
        return self.count if self.unit == "it" else self.count * per_epoch

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"
