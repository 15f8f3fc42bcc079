"""Find plugins by their entry points, list them from metadata alone, and import each on first use.

This library's own plugins register in pyproject.toml in the same way as third-party plugins. A plugin is
imported only when it is requested, so a plugin that is broken or lacks a dependency does not affect others.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from functools import lru_cache
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
"""The groups of plugins. Group `g` is the entry point group `kerastickets.g`."""


@dataclass(frozen=True, order=True)
class Entry:
    """One registered plugin, read from the metadata of its distribution.

    Args:
        group: one of `GROUPS`.
        name: the plugin's name, in kebab case.
        value: the object that the entry point names, as `module:attribute`.
        distribution: the name of the distribution that registers the plugin.
        version: the version of that distribution.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str


def entries(group: str) -> tuple[Entry, ...]:
    """List the plugins registered in `group`, sorted by name. No plugin is imported.

    Args:
        group: one of `GROUPS`.

    Returns:
        One `Entry` per registration. If two distributions register the same name, both are listed.

    Raises:
        PluginError: `group` is not one of `GROUPS`.

    Example:
        >>> [entry.distribution for entry in entries("criteria") if entry.name == "snip"]
        ['kerastickets']
    """
    if group not in GROUPS:
        raise PluginError(unknown("group of plugins", group, GROUPS, "Groups"))
    return _entries(group, _installation())


def names(group: str) -> tuple[str, ...]:
    """List the names of the plugins in `group`, sorted and each once. No plugin is imported.

    Args:
        group: one of `GROUPS`.

    Returns:
        The names, in kebab case.

    Raises:
        PluginError: `group` is not one of `GROUPS`.

    Example:
        >>> "magnitude" in names("criteria")
        True
    """
    return tuple(sorted({entry.name for entry in entries(group)}))


def load(group: str, name: str) -> Any:
    """Import a plugin and return its class. For a study, return its module.

    Args:
        group: one of `GROUPS`.
        name: a plugin's name.

    Returns:
        The object that the plugin's entry point names.

    Raises:
        PluginError: no plugin has the name, two distributions register it, or its import fails.

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
    """Create an instance of a plugin from its name and its options.

    Args:
        group: one of `GROUPS`.
        spec: `NAME`, or `NAME:ARG,key=value,...` where ARG is the value of the first option. Examples:
            `npz:points.npz`, `mlp:300-100`, `conv-2:padding=valid`. Pass a value that contains a comma in
            `options` instead.
        options: values by option name, in snake or kebab case. Text is parsed to the option's type.

    Returns:
        An instance of the class that `load(group, name)` returns.

    Raises:
        PluginError: the plugin cannot be loaded, or an option is unknown, missing, given twice or invalid.

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
    """The spec from which `create` makes an equal instance.

    It lists only the options that differ from their default.

    Args:
        name: the plugin's name.
        made: an instance of the plugin.

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


def _installation() -> tuple[tuple[str, int], ...]:
    """Where distributions are looked for, and when each place last changed: installing one changes its folder."""
    return tuple((path, _changed(path)) for path in sys.path)


def _changed(path: str) -> int:
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=32)
def _entries(group: str, installation: tuple[tuple[str, int], ...]) -> tuple[Entry, ...]:
    # Reading the metadata of all distributions takes milliseconds, and a study asks thousands of times.
    return tuple(sorted(_entry(group, point) for point in entry_points(group=f"kerastickets.{group}")))


def _entry(group: str, point: EntryPoint) -> Entry:
    # `dist` is missing only if a test makes an EntryPoint by hand.
    owner, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")
    return Entry(group, point.name, point.value, owner, version)


def _import(entry: Entry) -> Any:
    try:
        return EntryPoint(entry.name, entry.value, f"kerastickets.{entry.group}").load()
    except (Exception, SystemExit) as error:  # a module can raise anything while it is imported
        raise PluginError(
            f"The {_NOUNS[entry.group]} '{entry.name}' of '{entry.distribution}' {entry.version} must import "
            f"as {entry.value}. Received: {type(error).__name__}: {error}. "
            f"Repair or uninstall '{entry.distribution}'."
        ) from error


def _inline(cls: type, spec: str, rest: str) -> dict[str, str]:
    """Parse the options of `NAME:ARG,key=value` as text by name. ARG is the value of the first field."""
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
