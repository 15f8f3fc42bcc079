"""Write JSON in one form only, and parse it strictly."""

import json
import math
from typing import Any

from kerastickets.errors import TicketError


def canonical(value: Any) -> str:
    """JSON text with sorted keys and without spaces. Equal values give equal text.

    Args:
        value: nested dicts with text keys, lists, text, finite numbers, booleans and None.

    Raises:
        TicketError: `value` is not JSON, contains NaN or infinity, or is nested too deep.

    Example:
        >>> canonical({"b": [1, 2.5], "a": None})
        '{"a":null,"b":[1,2.5]}'
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TicketError(f"Expected plain JSON with finite numbers. Received: {error}") from None


def parse(text: bytes | str, what: str) -> dict[str, Any]:
    """Parse a JSON object without duplicate keys and with finite numbers.

    Args:
        text: JSON text, or its bytes in UTF-8.
        what: what the text is, for error messages.

    Raises:
        TicketError: `text` is not such an object.
    """
    try:
        found = json.loads(
            text.decode() if isinstance(text, bytes) else text,
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise TicketError(
            f"is not a ticket, or was altered: its {what} is not valid JSON ({error})."
        ) from None
    if not isinstance(found, dict):
        raise TicketError(f"is not a ticket: its {what} is not a JSON object.")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found
