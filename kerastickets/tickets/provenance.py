"""Check the entries of a provenance that commands read, so that no command has to doubt them again."""

from collections.abc import Callable, Mapping
from typing import Any

from kerastickets.errors import TicketError
from kerastickets.foundations.strangers import DEEPEST, deeper, is_count, is_finite

_Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _objects_of(check: _Check) -> _Check:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _lists_of(check: _Check) -> _Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


#: What commands read from a provenance: entry -> what it is, and how to check it. Each may be absent, or None.
_ENTRIES: Mapping[str, tuple[str, _Check]] = {
    "operation": ("text", _text),
    "criterion": ("text", _text),
    "options": ("an object", _object),
    "level": ("a whole number of at least 0", is_count),
    "model": ("text", _text),
    "dataset": ("text", _text),
    "source": ("text", _text),
    "stopped_by": ("text", _text),
    "start": ("text", _text),
    "files": ("an object of texts", _objects_of(_text)),
    "method": ("an object", _object),
    "recipe": ("an object", _object),
    "seeds": ("an object of whole numbers of at least 0", _objects_of(is_count)),
    "parents": ("a list of texts", _lists_of(_text)),
    "metrics": ("an object of finite numbers", _objects_of(lambda value: value is None or is_finite(value))),
    "versions": ("an object of texts", _objects_of(_text)),
    "environment": ("an object", _object),
    "compiled": ("an object", _object),
}


def check_provenance(provenance: Mapping[str, Any]) -> None:
    """Refuse a provenance in which an entry that commands read has another type than they expect.

    Entries of other names may be any JSON.

    Args:
        provenance: the provenance as JSON.

    Raises:
        TicketError: an entry has another type, or the provenance is nested too deep. The message names the entry.

    Example:
        >>> check_provenance({"level": 3, "mine": [1, 2]})
        >>> check_provenance({"parents": "b5d4"})
        Traceback (most recent call last):
        ...
        kerastickets.errors.TicketError: `parents` in a provenance must be a list of texts. Received: 'b5d4'.
    """
    if deeper(dict(provenance), DEEPEST):
        raise TicketError(f"A provenance is nested at most {DEEPEST} levels deep. Received: more.")
    for name, (what, check) in _ENTRIES.items():
        value = provenance.get(name)
        if value is not None and not check(value):
            raise TicketError(f"`{name}` in a provenance must be {what}. Received: {_short(value)}.")


def _short(value: Any, most: int = 80) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of too many digits
        return "a number that is too large"
    return text if len(text) <= most else text[:most] + "..."
