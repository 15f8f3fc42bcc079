"""Make command-line options from the fields of a dataclass, so that each setting is spelled only once.

A field's annotation gives the option's type, its entry in the docstring's `Args:` the help, its default the default.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click

from kerastickets.foundations.duration import Duration
from kerastickets.pruning.method import Method
from kerastickets.registry.plugin_options import kebab, options
from kerastickets.training.recipe import Recipe
from kerastickets_cli.options import DurationsType, DurationType, RateType, SizeType

Command = TypeVar("Command", bound=Callable[..., Any])

#: The default that the help of `kt train` and `kt transfer` shows for settings.
FROM_TICKET = "as the ticket was trained"


def pruning_options(command: Command) -> Command:
    """Add the settings of `Method` to a command, as options."""
    return _decorated(command, Method, leave_out=("name", "criterion", "options"))


def shrinking_options(command: Command) -> Command:
    """Add the settings of `Method` that a search for a smaller model leaves to its user."""
    from kerastickets.shrinking.settings import FIXED, OWN

    fixed = ("name", "criterion", "options", *FIXED)
    return _decorated(
        command, Method, leave_out=fixed, defaults={name: str(value) for name, value in OWN.items()}
    )


def training_options(
    default: str = "", leave_out: tuple[str, ...] = (), **defaults: str
) -> Callable[[Command], Command]:
    """Add the settings of `Recipe` to a command, as options.

    Args:
        leave_out: settings that the command does not offer.
        default: the text that the help shows as the default of every setting. If empty, the help shows the default
            of each field.
        **defaults: the text that the help shows as the default of a single setting, by name.
    """
    return lambda command: _decorated(
        command, Recipe, leave_out=leave_out, default=default, defaults=defaults
    )


def _decorated(
    command: Command,
    cls: type,
    *,
    leave_out: tuple[str, ...] = (),
    default: str = "",
    defaults: Mapping[str, str] = types.MappingProxyType({}),
) -> Command:
    hints, helps = get_type_hints(cls), {option.name: option.help for option in options(cls)}
    wanted = [field for field in fields(cls) if field.name not in leave_out]
    for field in reversed(wanted):
        own = field.metadata.get("default") or _shown(field.default)
        shown = defaults.get(field.name) or default or own
        kind = _kind(hints[field.name])
        if "metavar" in field.metadata:
            kind["metavar"] = field.metadata["metavar"]
        words = _sentence(helps[field.name], repeatable=bool(kind.get("multiple")))
        help_text = f"{words}  [default: {shown}]" if shown and not kind.get("is_flag") else words
        command = click.option(f"--{kebab(field.name)}", help=help_text, **kind)(command)
    return command


def _kind(annotation: Any) -> dict[str, Any]:
    """The arguments of `click.option` for a field's annotation."""
    members = [annotation]
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
    if set(members) == {int, float}:
        return {"type": SizeType(), "metavar": "N"}
    if float in members and len(members) > 1:  # one number, or numbers by pattern
        return {"type": RateType(), "multiple": True}
    first = members[0]
    if get_origin(first) is Literal:
        return {"type": click.Choice(get_args(first))}
    if get_origin(first) is tuple:
        inner = get_args(first)[0]
        return {"type": DurationsType()} if inner is Duration else {"multiple": True}
    known: Mapping[Any, dict[str, Any]] = {
        bool: {"is_flag": True},
        int: {"type": int, "metavar": "N"},
        float: {"type": float},
        Duration: {"type": DurationType()},
        str: {},
    }
    return dict(known[first])


def _shown(default: Any) -> str:
    """A default as the help shows it, or an empty text if there is nothing to show."""
    return "" if default is None or default is False or default == () else str(default)


def _sentence(words: str, repeatable: bool) -> str:
    """Turn an entry of a docstring into the help of an option."""
    text = words.replace("`", "").rstrip(".")
    return text[:1].upper() + text[1:] + (" (repeatable)." if repeatable else ".")
