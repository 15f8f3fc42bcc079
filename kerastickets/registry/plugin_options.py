"""A plugin's options: the fields of its dataclass, read from text or checked as they come from Python.

The annotation of a field is its whole specification, see `kerastickets.registry.parsing`.
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
        type: its annotation as text, such as `int` or `tuple[int, ...]`.
        default: its default value, or `dataclasses.MISSING` where one must be given.
        help: what it means: the field's `metadata["help"]`, or its line in the docstring's `Args:`.
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
    """The options of a plugin, in the order of its fields.

    Args:
        cls: what an entry point names. Anything but a dataclass (a study's module) has no options.

    Returns:
        One `Option` per field that the constructor takes.

    Raises:
        PluginError: if a field's annotation cannot be resolved.

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


def arguments(cls: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments that `given` options mean.

    Args:
        cls: a dataclass.
        given: values by option name, in snake or kebab case. Text is parsed, other values are checked.

    Returns:
        Values by field name, each of its field's type. Options that were not given are absent.

    Raises:
        PluginError: for an option that `cls` lacks, that is given twice or not at all, or whose value
            is not of its type.

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
    """The options of a plugin's instance as JSON holds them, for provenance.

    Args:
        instance: an instance of a dataclass.

    Returns:
        JSON-ready values by field name: tuples become lists.

    Raises:
        PluginError: if a value has no JSON form.

    Example:
        >>> from dataclasses import make_dataclass
        >>> describe(make_dataclass("Mlp", ["widths"])((300, 100)))
        {'widths': [300, 100]}
    """
    return {field.name: _json(field.name, getattr(instance, field.name)) for field in _fields(instance)}


def kebab(name: str) -> str:
    """A field's name as the command line spells it.

    Example:
        >>> kebab("max_depth")
        'max-depth'
    """
    return name.replace("_", "-")


def unknown(noun: str, name: str, known: Iterable[str], label: str = "Installed") -> str:
    """The message for a name that is not among those known: the nearest one, and all of them.

    Args:
        noun: what the name names, such as `"criterion"`.
        name: the name received.
        known: the names there are.
        label: what the list of known names is called.

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
    """What each field means; a subclass may leave inherited fields to its parent's docstring."""
    bases = reversed(cls.__mro__) if isinstance(cls, type) else ()
    documented = {name: words for base in bases for name, words in _documented(base.__doc__ or "").items()}
    fields = _fields(cls)
    return {field.name: field.metadata.get("help") or documented.get(field.name, "") for field in fields}


def _documented(docstring: str) -> dict[str, str]:
    """The entries of a docstring's `Args:` section by name, continuation lines joined."""
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
