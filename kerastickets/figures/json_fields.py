"""Helpers for all figures: convert fields to JSON and back, and check that drawn values are numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.figures.table import plain_value


def check_numbers(name: str, *many: Sequence[Any] | None) -> None:
    """Refuse values that are neither a number nor None.

    Raises:
        RecipeError: a value is something else. The message names the value and the figure `name`.
    """
    for value in (value for values in many for value in values or ()):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RecipeError(f"Drawn values must be numbers. Received: {value!r} in {name!r}.")


def facts_of(value: Any, *without: str) -> dict[str, Any]:
    """The fields of a dataclass as JSON, except those named in `without`."""
    names = [field.name for field in fields(value) if field.name not in without]
    return {name: plain_value(getattr(value, name)) for name in names}


def made_of(cls: type, facts: Mapping[str, Any], **readers: Any) -> Any:
    """Make an instance of a dataclass from its fields as JSON.

    `readers` convert the fields that are not plain values.

    Raises:
        RecipeError: `facts` do not describe an instance. The message names the fields.
    """
    try:
        parts = {name: part for name, part in facts.items() if name != "kind"}
        return cls(**parts | {name: read(parts[name]) for name, read in readers.items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecipeError(
            f"The {cls.__name__.lower()} must have {', '.join(field.name for field in fields(cls))}. "
            f"Received: {repr(facts)[:120]} ({error!r})."
        ) from error
