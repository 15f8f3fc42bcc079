"""What figures share: their fields as JSON, and back, and the check that what they draw are numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.figures.table import plain_value


def check_numbers(name: str, *many: Sequence[Any] | None) -> None:
    """Refuse what is neither a number nor None.

    Raises:
        RecipeError: naming the figure `name` and the value.
    """
    for value in (value for values in many for value in values or ()):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RecipeError(f"What is drawn must be numbers. Received: {value!r} in {name!r}.")


def facts_of(value: Any, *without: str) -> dict[str, Any]:
    """The fields of a dataclass as JSON, but for some."""
    names = [field.name for field in fields(value) if field.name not in without]
    return {name: plain_value(getattr(value, name)) for name in names}


def made_of(cls: type, facts: Mapping[str, Any], **readers: Any) -> Any:
    """An instance of a dataclass of its fields as JSON; `readers` make those that are no plain values.

    Raises:
        RecipeError: they describe none; names the fields.
    """
    try:
        parts = {name: part for name, part in facts.items() if name != "kind"}
        return cls(**parts | {name: read(parts[name]) for name, read in readers.items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecipeError(
            f"A {cls.__name__.lower()} has {', '.join(field.name for field in fields(cls))}. "
            f"Received: {repr(facts)[:120]} ({error!r})."
        ) from error
