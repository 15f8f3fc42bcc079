"""Helpers of the contract checks: raise an AssertionError that says what was expected and what was received."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerastickets.errors import KerasTicketsError
from kerastickets.foundations.tree import Tree
from kerastickets.registry.plugin_options import describe
from kerastickets.tickets.ticket import Ticket


def expect(condition: bool, expected: str, received: Any) -> None:
    """Raise an AssertionError unless `condition`.

    Example:
        >>> expect(1 > 2, "One must be above two", 1)
        Traceback (most recent call last):
        AssertionError: One must be above two. Received: 1
    """
    if not condition:
        raise AssertionError(f"{expected}. Received: {received}")


def called(expected: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function` and return its result; any exception becomes an AssertionError.

    Example:
        >>> called("It must divide", lambda x: 1 / x, 0)
        Traceback (most recent call last):
        AssertionError: It must divide. Received: ZeroDivisionError: division by zero
    """
    try:
        return function(*arguments)
    except Exception as error:
        raise AssertionError(f"{expected}. Received: {type(error).__name__}: {error}") from error


def class_name(plugin: Any) -> str:
    """The name of a plugin in messages: its class name.

    Example:
        >>> class_name(1)
        'int'
    """
    return type(plugin).__name__


def check_form(plugin: Any) -> None:
    """Check that a plugin is an instance of a frozen dataclass with JSON-ready options.

    Example:
        >>> check_form(print)
        Traceback (most recent call last):
        AssertionError: A plugin must be an instance of a frozen dataclass. Received: <built-in function print>
    """
    cls = type(plugin)
    is_frozen = dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    expect(is_frozen, "A plugin must be an instance of a frozen dataclass", repr(plugin))
    options = called(f"The options of {cls.__name__} must be JSON-ready", describe, plugin)
    check_json(f"The options of {cls.__name__}", options)


def check_json(what: str, facts: Any) -> None:
    """Check that `facts` is a mapping that stays equal in a round trip through JSON.

    Example:
        >>> check_json("Facts", {"pair": (1, 2)})
        Traceback (most recent call last):
        AssertionError: Facts must be equal after JSON. Received: {'pair': (1, 2)}
    """
    expect(isinstance(facts, Mapping), f"{what} must be a mapping", type(facts).__name__)
    # Python would write NaN, but NaN is not valid JSON.
    text = called(f"{what} must be JSON-ready", lambda: json.dumps(dict(facts), allow_nan=False))
    expect(json.loads(text) == dict(facts), f"{what} must be equal after JSON", facts)


def difference(before: Tree, after: Tree) -> str | None:
    """The first key at which two Trees differ in any bit, or None.

    Example:
        >>> difference({"a": np.zeros(2), "b": np.ones(2)}, {"a": np.zeros(2), "b": np.zeros(2)})
        'b'
    """
    for key in [*before, *after]:
        one, two = (np.asarray(tree[key]) if key in tree else None for tree in (before, after))
        if one is None or two is None or _bits(one) != _bits(two):
            return key
    return None


def _bits(array: np.ndarray) -> tuple[Any, ...]:
    return array.dtype, array.shape, array.tobytes()


def content(ticket: Ticket) -> str:
    """A ticket's digest, computed again: the cached digest would hide a change of the ticket."""
    return ticket.replace().digest


def accepted(
    name: str, call: Callable[..., Any], offers: list[tuple[Ticket, ...]]
) -> list[tuple[Ticket, ...]]:
    """The offers that a plugin accepts; there is at least one.

    Args:
        name: the plugin's name, for the message.
        call: called with the tickets of each offer. To refuse an offer, it raises a KerasTicketsError,
            ValueError or TypeError.
        offers: tuples of tickets to call it with.

    Raises:
        AssertionError: the plugin refuses all offers, or fails in another way.
    """
    taken, refusals = [], []
    for offer in offers:
        try:
            call(*offer)
        except (KerasTicketsError, ValueError, TypeError) as error:
            refusals.append(error)
        except Exception as error:
            raise AssertionError(
                f"{name} must take or refuse {len(offer)} tickets. Received: {error!r}"
            ) from error
        else:
            taken.append(offer)
    counts = " or ".join(str(len(offer)) for offer in offers)
    expect(bool(taken), f"{name} must take tickets ({counts})", "; ".join(map(str, refusals)))
    return taken
