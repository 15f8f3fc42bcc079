"""`kt doctor`: check that the installation works."""

import importlib.metadata
import platform
import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import click

from kerastickets import registry
from kerastickets.errors import DataError, KerasTicketsError, PluginError
from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import json_option
from kerastickets_cli.output import emit, say, table

Facts = dict[str, Any]
# Data sets have no contract test here: they are read instead.
_CONTRACTS = {
    "criteria": "check_criterion",
    "operations": "check_operation",
    "analyzers": "check_analyzer",
    "transfers": "check_transfer",
    "models": "check_model",
    "exporters": "check_exporter",
    "studies": "check_study",
}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@click.command(epilog="\b\nExample:\n  kt doctor --bench")
@click.option(
    "--bench",
    is_flag=True,
    help="Also measure the speed of training, compared with PyTorch and JAX if they are installed. Takes minutes.",
)
@click.option(
    "--group",
    "groups",
    type=click.Choice(registry.GROUPS),
    multiple=True,
    help="Check only the plugins of this group (repeatable).  [default: all groups]",
)
@json_option
@click.pass_context
def doctor(ctx: click.Context, bench: bool, groups: tuple[str, ...], as_json: bool) -> None:
    """Check that the installation works: versions, the contract of every plugin, and every data set.

    The exit code is 1 if something is broken. A data set that is not prepared on this machine is reported, but
    does not count as broken.
    """
    with interruptible(""):
        facts: Facts = {"versions": versions(), "tensorflow": tensorflow()}
        facts["plugins"] = [
            plugin(entry) for group in groups or registry.GROUPS for entry in registry.entries(group)
        ]
        if not as_json:
            _show(facts)
        reads = not groups or "datasets" in groups
        facts["datasets"] = [_told(data, as_json) for data in datasets()] if reads else []
        if bench:
            from kerastickets_cli.bench import contests

            facts["bench"] = [_timed(contest, as_json) for contest in contests()]
    checks = [facts["tensorflow"], *facts["plugins"], *facts["datasets"]]
    facts["ok"] = all(check["ok"] for check in checks) and None not in facts["versions"].values()
    if as_json:
        emit(facts)
    else:
        say("\nEverything works." if facts["ok"] else "\nSomething is broken: see the errors above.")
    ctx.exit(0 if facts["ok"] else 1)


def versions() -> dict[str, str | None]:
    """The versions of Python, this library and its dependencies by name; None if one is missing."""
    needed = [text for text in importlib.metadata.requires("kerastickets") or () if "extra ==" not in text]
    names = [match[0] for text in needed if (match := _NAME.match(text))]
    return {"python": platform.python_version()} | {name: _version(name) for name in ["kerastickets", *names]}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def tensorflow() -> Facts:
    """Check that TensorFlow and Keras import, and list the devices that they compute on."""
    try:
        import keras
        import tensorflow as tf

        devices = [device.name for device in tf.config.list_logical_devices()]
        return {"ok": True, "backend": keras.backend.backend(), "devices": devices, "error": None}
    except Exception as error:  # whatever is wrong with an installation
        return {"ok": False, "backend": None, "devices": [], "error": f"{type(error).__name__}: {error}"}


def plugin(entry: registry.Entry) -> Facts:
    """Check that a plugin imports, that its options can be read, and that it keeps its group's contract.

    The contract is checked on a tiny net.
    """
    facts = {name: getattr(entry, name) for name in ("group", "name", "distribution", "version")}
    try:
        cls = registry.load(entry.group, entry.name)
        needs = any(option.required for option in registry.options(cls))
        if missing := [name for name in getattr(cls, "needs", ()) if find_spec(name) is None]:
            return facts | {"ok": True, "error": f"needs {', '.join(missing)}, which an extra brings"}
        if entry.group in _CONTRACTS and not needs:
            from kerastickets import testing

            study = entry.group == "studies"  # a module; other plugins are made from their options
            made = cls if study else registry.create(entry.group, entry.name)
            getattr(testing, _CONTRACTS[entry.group])(made)
        return facts | {"ok": True, "error": None}
    except (KerasTicketsError, AssertionError) as error:
        return facts | {"ok": False, "error": str(error)}
    except Exception as error:  # whatever a stranger's plugin raises
        return facts | {"ok": False, "error": f"{type(error).__name__}: {error}"}


def datasets() -> Iterator[Facts]:
    """Check that each data set that needs no options can be read."""
    for name in registry.names("datasets"):
        try:
            if any(option.required for option in registry.options(registry.load("datasets", name))):
                continue
            data = registry.create("datasets", name)()
        except DataError as error:
            yield {"name": name, "ok": True, "found": False, "examples": None, "error": str(error)}
        except PluginError:  # reported among the plugins
            continue
        except Exception as error:
            yield {
                "name": name,
                "ok": False,
                "found": False,
                "examples": None,
                "error": f"{type(error).__name__}: {error}",
            }
        else:
            sizes = {split: len(getattr(data, split)[1]) for split in ("train", "validation", "test")}
            yield {"name": name, "ok": True, "found": True, "examples": sizes, "error": None}


def _show(facts: Facts) -> None:
    say(table(("package", "version"), [(n, v or "missing") for n, v in facts["versions"].items()], left=2))
    tf = facts["tensorflow"]
    say(f"\nTensorFlow: {' '.join(tf['devices']) if tf['ok'] else 'Error: ' + tf['error']}\n")
    rows = [(p["group"], p["name"], p["distribution"], _status(p)) for p in facts["plugins"]]
    say(table(("group", "plugin", "distribution", "status"), rows, left=4))
    say("\ndata set")


def _status(plugin: Facts) -> str:
    return plugin["error"] or "ok" if plugin["ok"] else f"Error: {plugin['error']}"


def _told(data: Facts, as_json: bool) -> Facts:
    """Print each data set as soon as it is read, since reading all of them takes a while."""
    if not as_json:
        say(f"{data['name']:14}  {_found(data)}")
    return data


def _timed(contest: Facts, as_json: bool) -> Facts:
    from kerastickets_cli.bench import told

    if not as_json:
        say(told(contest))
    return contest


def _found(data: Facts) -> str:
    if data["found"]:
        return " / ".join(str(count) for count in data["examples"].values()) + " examples"
    return ("not found: " if data["ok"] else "Error: ") + data["error"]
