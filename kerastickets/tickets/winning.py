"""Decide whether a ticket wins: it must be as accurate as the dense network and learn no slower."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.tickets.ticket import Ticket

#: Half a percentage point of accuracy. This is about three standard deviations of an accuracy of 97 % that is
#: measured on 10,000 test examples.
TOLERANCE = 0.005

_NEEDED = ("test_accuracy", "early_stop_iteration")


def is_winning(
    ticket: Ticket | Mapping[str, Any], dense: Ticket | Mapping[str, Any], *, tolerance: float = TOLERANCE
) -> bool | None:
    """Whether a trained ticket wins: it is as accurate as the dense network and learns no slower.

    Args:
        ticket: a trained ticket, or its metrics.
        dense: the dense network trained from the same initial weights, or its metrics.
        tolerance: how far the ticket's test accuracy may be below the dense network's, as a fraction in
            [0, 1]. The default 0.005 is half a percentage point.

    Returns:
        True if the ticket's test accuracy is at least that of the dense network minus `tolerance`, and its
        early-stop iteration is no later. The early-stop iteration is the first one with the best validation
        result. False otherwise. None if `test_accuracy` or `early_stop_iteration` is missing or not finite in
        either one, for example because it was not trained.

    Raises:
        RecipeError: `tolerance` is not in [0, 1].

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
    # In float32, 0.974 - 0.005 can be above 0.969. Values that agree to six digits count as equal.
    accurate = own[0] >= other[0] - tolerance - 1e-6
    return accurate and own[1] <= other[1]


def _metrics(of: Ticket | Mapping[str, Any]) -> tuple[float, float] | None:
    metrics = of.provenance.get("metrics") or {} if isinstance(of, Ticket) else of
    values: list[Any] = [metrics.get(name) for name in _NEEDED]
    if any(isinstance(v, bool) or not isinstance(v, int | float) or not math.isfinite(v) for v in values):
        return None
    return float(values[0]), float(values[1])


def stopped_by(tickets: Sequence[Ticket]) -> str | None:
    """The stopping rule recorded in the last of a run's tickets, or None."""
    return tickets[-1].provenance.get("stopped_by") if tickets else None
