"""Trust some classes of the caller for a while, wherever an architecture is rebuilt meanwhile."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_trusted: ContextVar[Mapping[str, Any]] = ContextVar("trusted", default=MappingProxyType({}))


@contextmanager
def trusting(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Let `Ticket.build` use `custom_objects` inside the block, also where nobody passes them on.

    Plugins, such as an operation that draws new weights, build a ticket's model without knowing whose classes it
    is made of.

    Args:
        custom_objects: the caller's own classes and functions by name; None for none.

    Example:
        >>> with trusting({"Own": int}):
        ...     sorted(trusted({"Other": int}))
        ['Other', 'Own']
    """
    token = _trusted.set({**_trusted.get(), **(custom_objects or {})})
    try:
        yield
    finally:
        _trusted.reset(token)


def trusted(custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The objects that are trusted here: those of every surrounding `trusting`, and `custom_objects`.

    Args:
        custom_objects: objects by name; they come before those of `trusting` that have the same name.

    Example:
        >>> trusted({"Own": int})
        {'Own': <class 'int'>}
    """
    return {**_trusted.get(), **(custom_objects or {})}
