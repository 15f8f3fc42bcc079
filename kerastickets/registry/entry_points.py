"""Plugins: found by entry points, listed from metadata alone, imported on use.

Our own plugins register in pyproject.toml exactly as a third party's do. Nothing here imports a plugin
before it is asked for, so one that is broken or missing a dependency harms nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from kerastickets.errors import PluginError
from kerastickets.registry.parsing import written
from kerastickets.registry.plugin_options import Option, arguments, describe, kebab, options, unknown

__all__ = ["GROUPS", "Entry", "Option", "create", "describe", "entries", "load", "names", "options", "spec"]

_NOUNS: Mapping[str, str] = {
    "criteria": "criterion",
    "operations": "operation",
    "transfers": "transfer",
    "analyzers": "analyzer",
    "datasets": "dataset",
    "models": "model",
    "exporters": "exporter",
    "studies": "study",
}
GROUPS: tuple[str, ...] = tuple(_NOUNS)
"""The kinds of plugins; group `g` is the entry point group `kerastickets.g`."""


@dataclass(frozen=True, order=True)
class Entry:
    """One registered plugin, as its distribution's metadata tells it.

    Args:
        group: one of `GROUPS`.
        name: the plugin's name, kebab-case.
        value: what it names, as `module:attribute`.
        distribution: the distribution that registers it.
        version: that distribution's version.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str


def entries(group: str) -> tuple[Entry, ...]:
    """The plugins registered in `group`, by name; nothing is imported.

    Args:
        group: one of `GROUPS`.

    Returns:
        One `Entry` per registration: two distributions with one name give two.

    Raises:
        PluginError: if there is no such group.

    Example:
        >>> [entry.distribution for entry in entries("criteria") if entry.name == "snip"]
        ['kerastickets']
    """
    if group not in GROUPS:
        raise PluginError(unknown("group of plugins", group, GROUPS, "Groups"))
    return tuple(sorted(_entry(group, point) for point in entry_points(group=f"kerastickets.{group}")))


def names(group: str) -> tuple[str, ...]:
    """The names of the plugins in `group`, sorted, each once; nothing is imported.

    Args:
        group: one of `GROUPS`.

    Returns:
        Names, kebab-case.

    Raises:
        PluginError: if there is no such group.

    Example:
        >>> "magnitude" in names("criteria")
        True
    """
    return tuple(sorted({entry.name for entry in entries(group)}))


def load(group: str, name: str) -> Any:
    """The class (of a study: the module) that `name` stands for, imported now.

    Args:
        group: one of `GROUPS`.
        name: a plugin's name.

    Returns:
        What the entry point names.

    Raises:
        PluginError: if no plugin has the name, two distributions share it, or its import fails.

    Example:
        >>> load("criteria", "snp")
        Traceback (most recent call last):
        kerastickets.errors.PluginError: No criterion named 'snp'. Did you mean 'snip'? Installed: ...
    """
    found = [entry for entry in entries(group) if entry.name == name]
    if not found:
        raise PluginError(unknown(_NOUNS[group], name, names(group)))
    if len(found) > 1:
        owners = " and ".join(f"'{entry.distribution}'" for entry in found)
        raise PluginError(
            f"The {_NOUNS[group]} '{name}' must come from one distribution. Received: {owners}. "
            "Uninstall all but one of them."
        )
    return _import(found[0])


def create(group: str, spec: str, options: Mapping[str, Any] = {}) -> Any:
    """An instance of a plugin with its options.

    Args:
        group: one of `GROUPS`.
        spec: `NAME`, or `NAME:ARG,key=value,...` where ARG is the value of the first option:
            `npz:points.npz`, `mlp:300-100`, `conv-2:padding=valid`. A value with a comma goes into `options`.
        options: values by option name, in snake or kebab case; text is parsed to the option's type.

    Returns:
        An instance of the class that `load` gives.

    Raises:
        PluginError: if the plugin cannot be loaded, or an option is unknown, missing, given twice or wrong.

    Example:
        >>> create("models", "mlp:300-100").widths
        (300, 100)
    """
    name, _, rest = spec.partition(":")
    cls = load(group, name)
    if not (isinstance(cls, type) and is_dataclass(cls)):
        raise PluginError(
            f"The {_NOUNS[group]} '{name}' must be a dataclass to be created. Received: {cls!r}"
        )
    inline = _inline(cls, spec, rest)
    if twice := sorted({kebab(key) for key in inline} & {kebab(key) for key in options}):
        raise PluginError(f"Option '{twice[0]}' was given twice, also in '{spec}'. Give it once.")
    values = arguments(cls, {**inline, **options})
    try:
        return cls(**values)
    except ValueError as error:
        raise PluginError(f"The {_NOUNS[group]} '{name}' refuses its options: {error}") from error


def spec(name: str, made: Any) -> str:
    """The text that `create` would make an instance of: what is not as by default is said.

    Args:
        name: the plugin's name.
        made: an instance.

    Example:
        >>> spec("mlp", create("models", "mlp:8-8"))
        'mlp:widths=8-8'
    """
    said = [
        f"{kebab(option.name)}={written(getattr(made, option.name))}"
        for option in options(made)
        if getattr(made, option.name) != option.default
    ]
    return f"{name}:{','.join(said)}" if said else name


def _entry(group: str, point: EntryPoint) -> Entry:
    # `dist` is absent only where a test makes an EntryPoint by hand.
    owner, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")
    return Entry(group, point.name, point.value, owner, version)


def _import(entry: Entry) -> Any:
    try:
        return EntryPoint(entry.name, entry.value, f"kerastickets.{entry.group}").load()
    except (Exception, SystemExit) as error:  # A module may do anything while it is imported.
        raise PluginError(
            f"The {_NOUNS[entry.group]} '{entry.name}' of '{entry.distribution}' {entry.version} must import "
            f"as {entry.value}. Received: {type(error).__name__}: {error}. "
            f"Repair or uninstall '{entry.distribution}'."
        ) from error


def _inline(cls: type, spec: str, rest: str) -> dict[str, str]:
    """The options inside `NAME:ARG,key=value`; ARG goes to the first field."""
    given: dict[str, str] = {}
    for position, item in enumerate(rest.split(",") if rest else ()):
        key, equals, value = item.partition("=")
        if position == 0 and not (equals and key.replace("-", "_").isidentifier()):
            key, value = _first(cls, spec), item
        elif not equals:
            raise PluginError(
                f"Options must be written NAME:ARG,key=value,... Received: '{item}' in '{spec}'"
            )
        if key in given:
            raise PluginError(f"Option '{key}' was given twice in '{spec}'. Give it once.")
        given[key] = value
    return given


def _first(cls: type, spec: str) -> str:
    fields = options(cls)
    if not fields:
        raise PluginError(f"{cls.__name__} has no options. Received: '{spec}'")
    return fields[0].name
