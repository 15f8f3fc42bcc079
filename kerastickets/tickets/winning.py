"""What a winning ticket is: as accurate as the dense net, and no slower to learn."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.tickets.ticket import Ticket

#: Half a point of accuracy: about three standard deviations of what chance does to 10,000 test examples at 97 %.
TOLERANCE = 0.005

_NEEDED = ("test_accuracy", "early_stop_iteration")


def is_winning(
    ticket: Ticket | Mapping[str, Any], dense: Ticket | Mapping[str, Any], *, tolerance: float = TOLERANCE
) -> bool | None:
    """Whether a trained ticket wins: accurate enough, and early enough, beside the dense net.

    Args:
        ticket: a trained ticket, or its metrics.
        dense: the dense net from the same initial weights, or its metrics.
        tolerance: how much less accurate it may be, as a share in [0, 1].

    Returns:
        True if its test accuracy is at least the dense net's less `tolerance`, and its early-stop iteration (the
        first with the best validation result) is no later. None where either was not trained or not measured so.

    Raises:
        RecipeError: a tolerance that is no share.

    Example:
        >>> dense = {"test_accuracy": 0.974, "early_stop_iteration": 4000}
        >>> is_winning({"test_accuracy": 0.971, "early_stop_iteration": 3000}, dense)
        True
        >>> is_winning({"test_accuracy": 0.981, "early_stop_iteration": 4500}, dense)
        False

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, section 1.
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance <= 1:
        raise RecipeError(f"`tolerance` must be in [0, 1]. Received: tolerance={tolerance!r}")
    own, other = (_metrics(one) for one in (ticket, dense))
    if own is None or other is None:
        return None
    # In float32 0.974 - 0.005 can be above 0.969: what is equal to six digits is equal.
    accurate = own[0] >= other[0] - tolerance - 1e-6
    return accurate and own[1] <= other[1]


def _metrics(of: Ticket | Mapping[str, Any]) -> tuple[float, float] | None:
    metrics = of.provenance.get("metrics") or {} if isinstance(of, Ticket) else of
    values: list[Any] = [metrics.get(name) for name in _NEEDED]
    if any(isinstance(v, bool) or not isinstance(v, int | float) or not math.isfinite(v) for v in values):
        return None
    return float(values[0]), float(values[1])


def stopped_by(tickets: Sequence[Ticket]) -> str | None:
    """The rule that the last of a run's tickets fulfils, or None."""
    return tickets[-1].provenance.get("stopped_by") if tickets else None
