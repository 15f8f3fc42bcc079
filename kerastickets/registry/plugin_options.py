"""A plugin's options: the fields of its dataclass, parsed from text or checked when given as Python values.

A field's annotation alone decides which values are allowed, see `kerastickets.registry.parsing`.
"""

import dataclasses
import difflib
import inspect
import math
import numbers
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, get_type_hints

from kerastickets.errors import PluginError
from kerastickets.registry.parsing import read, text


@dataclass(frozen=True)
class Option:
    """One option of a plugin.

    Args:
        name: the field's name, in snake case.
        type: the field's annotation as text, such as `int` or `tuple[int, ...]`.
        default: the field's default value, or `dataclasses.MISSING` if the option is required.
        help: what the option means: the field's `metadata["help"]`, or its entry in the docstring's `Args:`.
    """

    name: str
    type: str
    default: Any
    help: str

    @property
    def required(self) -> bool:
        """Whether the option has no default."""
        return self.default is MISSING


def options(cls: Any) -> tuple[Option, ...]:
    """List the options of a plugin, in the order of its fields.

    Args:
        cls: the object that an entry point names. Only a dataclass has options. A study's module has none.

    Returns:
        One `Option` per field that the constructor takes.

    Raises:
        PluginError: a field's annotation cannot be resolved.

    Example:
        >>> from dataclasses import dataclass
        >>> Pair = dataclass(type("Pair", (), {"__annotations__": {"depth": int}, "depth": 2}))
        >>> options(Pair)
        (Option(name='depth', type='int', default=2, help=''),)
    """
    hints, helps = _hints(cls), _helps(cls)
    return tuple(
        Option(field.name, text(hints[field.name]), _default(field), helps[field.name])
        for field in _fields(cls)
    )


def setting(default: Any, *, metavar: str = "", shown: str = "") -> Any:
    """A dataclass field with a default, and how the help of the command line shows it.

    Args:
        default: the field's default.
        metavar: what stands for the value, such as `N`; by default it follows from the annotation.
        shown: what the help says instead of the default, such as "all".

    Example:
        >>> setting(None, metavar="N").metadata["metavar"]
        'N'
    """
    told = {name: text for name, text in (("metavar", metavar), ("default", shown)) if text}
    return dataclasses.field(default=default, metadata=told)


def arguments(cls: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert given options to arguments for the plugin's constructor.

    Args:
        cls: a dataclass.
        given: values by option name, in snake or kebab case. Text is parsed, other values are checked.

    Returns:
        Values by field name, each of its field's type. Options that were not given are left out.

    Raises:
        PluginError: an option is unknown or given twice, a required option is missing, or a value does not
            have its option's type.

    Example:
        >>> from dataclasses import make_dataclass
        >>> arguments(make_dataclass("Mlp", [("widths", tuple[int, ...])]), {"widths": "300-100"})
        {'widths': (300, 100)}
    """
    fields = {field.name: field for field in _fields(cls)}
    hints = _hints(cls)
    values: dict[str, Any] = {}
    for spelled, value in given.items():
        name = spelled.replace("-", "_")
        if name not in fields:
            raise PluginError(unknown(f"option of {cls.__name__}", spelled, map(kebab, fields), "Options"))
        if name in values:
            raise PluginError(f"Option '{kebab(name)}' of {cls.__name__} was given twice. Give it once.")
        try:
            values[name] = read(hints[name], value)
        except ValueError:
            raise PluginError(
                f"Option '{kebab(name)}' of {cls.__name__} must be {text(hints[name])}. "
                f"Received: {kebab(name)}={value!r}"
            ) from None
    for name, field in fields.items():
        if name not in values and _default(field) is MISSING:
            raise PluginError(f"{cls.__name__} needs the option '{kebab(name)}' ({text(hints[name])}).")
    return values


def describe(instance: Any) -> dict[str, Any]:
    """The option values of a plugin's instance as JSON, for provenance.

    Args:
        instance: an instance of a dataclass.

    Returns:
        JSON-ready values by field name. Tuples become lists.

    Raises:
        PluginError: a value has no JSON form.

    Example:
        >>> from dataclasses import make_dataclass
        >>> describe(make_dataclass("Mlp", ["widths"])((300, 100)))
        {'widths': [300, 100]}
    """
    return {field.name: _json(field.name, getattr(instance, field.name)) for field in _fields(instance)}


def kebab(name: str) -> str:
    """A field's name in kebab case, as on the command line.

    Example:
        >>> kebab("max_depth")
        'max-depth'
    """
    return name.replace("_", "-")


def unknown(noun: str, name: str, known: Iterable[str], label: str = "Installed") -> str:
    """The error message for an unknown name. It suggests the nearest known name and lists all known names.

    Args:
        noun: the kind of thing that the name stands for, such as `"criterion"`.
        name: the name received.
        known: all known names.
        label: the heading of the list of known names.

    Example:
        >>> unknown("criterion", "snp", ["magnitude", "snip"])
        "No criterion named 'snp'. Did you mean 'snip'? Installed: magnitude, snip."
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    guess = f" Did you mean '{near[0]}'?" if near else ""
    return f"No {noun} named '{name}'.{guess} {label}: {', '.join(names) or 'none'}."


def _fields(cls: Any) -> tuple[Any, ...]:
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    return tuple(field for field in fields if field.init)


def _hints(cls: Any) -> dict[str, Any]:
    if not _fields(cls):
        return {}
    try:
        return get_type_hints(cls)
    except Exception as error:
        raise PluginError(
            f"The options of {cls.__name__} have annotations that cannot be resolved: {error}. "
            "Import what they name outside `if TYPE_CHECKING`."
        ) from error


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _helps(cls: Any) -> dict[str, str]:
    """The help text of each field. A parent's docstring may document the fields that a subclass inherits."""
    bases = reversed(cls.__mro__) if isinstance(cls, type) else ()
    documented = {name: words for base in bases for name, words in _documented(base.__doc__ or "").items()}
    fields = _fields(cls)
    return {field.name: field.metadata.get("help") or documented.get(field.name, "") for field in fields}


def _documented(docstring: str) -> dict[str, str]:
    """The entries of a docstring's `Args:` section, by name. Continuation lines are joined."""
    section = inspect.cleandoc(docstring).partition("\nArgs:\n")[2]
    section = re.split(r"^\S", section, maxsplit=1, flags=re.MULTILINE)[0]
    entries = re.split(r"^ {4}(\w+): ", section, flags=re.MULTILINE)[1:]
    return {name: " ".join(words.split()) for name, words in zip(entries[::2], entries[1::2], strict=True)}


def _json(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    if isinstance(value, tuple | list):
        return [_json(name, item) for item in value]
    raise PluginError(f"Option '{kebab(name)}' must have a value that JSON holds. Received: {name}={value!r}")
