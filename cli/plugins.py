"""`kt plugins`: list the installed plugins, or show one. `kt models` and `kt datasets` are shortcuts to two groups."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from kerastickets import registry
from kerastickets.errors import PluginError
from kerastickets_cli.options import SuggestingGroup, json_option
from kerastickets_cli.output import emit, nearest, note, say, table

_SECTION = re.compile(r"^(Args|Returns|Raises|Example|Reference):\n", re.MULTILINE)


@click.group(
    cls=SuggestingGroup,
    invoke_without_command=True,
    epilog="\b\nExample:\n  kt plugins criteria\n  kt plugins show snip",
)
@json_option
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List the installed plugins: all of them, or those of one group.

    Listing only reads metadata. A plugin is imported when it is shown or used.
    """
    if ctx.invoked_subcommand is None:
        list_groups(registry.GROUPS, as_json)


def list_groups(groups: Sequence[str], as_json: bool) -> None:
    """Print the plugins of the given groups."""
    found = [entry for group in groups for entry in registry.entries(group)]
    if as_json:
        emit([asdict(entry) for entry in found])
    elif found:
        rows = [(entry.group, entry.name, entry.distribution, entry.version) for entry in found]
        say(table(("group", "name", "distribution", "version"), rows, left=4))
    else:
        note(f"No {' or '.join(groups)} are installed.")


def _lister(group: str, words: str) -> click.Command:
    @click.command(
        words.rpartition(" ")[2],
        help=f"List the installed {group}.",
        epilog=f"\b\nExample:\n  kt {words} --json",
    )
    @json_option
    @click.pass_context
    def lister(ctx: click.Context, as_json: bool) -> None:
        before = ctx.parent.params.get("as_json", False) if ctx.parent else False
        list_groups([group], as_json or before)

    return lister


for _group in registry.GROUPS:
    plugins.add_command(_lister(_group, f"plugins {_group}"))
models = _lister("models", "models")
datasets = _lister("datasets", "datasets")


@plugins.command(epilog="\b\nExample:\n  kt plugins show snip\n  kt plugins show mlp models --json")
@click.argument("name", metavar="NAME")
@click.argument("group", metavar="[GROUP]", type=click.Choice(registry.GROUPS), required=False)
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, group: str | None, as_json: bool) -> None:
    """Show what the plugin NAME does, its options, defaults and reference.

    GROUP is needed only if several groups have a plugin of that name.
    """
    facts = facts_of(_find(name, group))
    if as_json or (ctx.parent and ctx.parent.params["as_json"]):
        emit(facts)
    else:
        _show(facts)


def _find(name: str, group: str | None) -> registry.Entry:
    entries = [entry for one in registry.GROUPS for entry in registry.entries(one)]
    found = [entry for entry in entries if entry.name == name and group in (None, entry.group)]
    groups = sorted({entry.group for entry in found})
    if not found:
        where = f"plugin in {group}" if group else "plugin"
        guess = nearest(name, {entry.name for entry in entries if group in (None, entry.group)})
        raise PluginError(f"No {where} named '{name}'.{guess} `kt plugins` lists what is installed.")
    if len(groups) > 1:
        raise PluginError(
            f"'{name}' must be in one group. Received: {', '.join(groups)}. "
            f"Say which: kt plugins show {name} {groups[0]}"
        )
    return found[0]


def facts_of(entry: registry.Entry) -> dict[str, Any]:
    """Import a plugin, and collect its documentation, options, defaults and budgets."""
    plugin = registry.load(entry.group, entry.name)
    # A study is a module. Its settings are the fields of its budgets.
    budgets = dict(getattr(plugin, "BUDGETS", {}))
    options = [
        {
            "name": option.name.replace("_", "-"),
            "type": option.type,
            "required": option.required,
            "default": None if option.required else option.default,
            "help": option.help,
        }
        for option in registry.options(type(next(iter(budgets.values()))) if budgets else plugin)
    ]
    attributes = {name: dict(getattr(plugin, name, {})) for name in ("defaults", "recipe")}
    attributes["budgets"] = {name: registry.describe(budget) for name, budget in budgets.items()}
    return {**asdict(entry), "doc": inspect.getdoc(plugin) or "", "options": options, **attributes}


def _show(facts: dict[str, Any]) -> None:
    parts = _SECTION.split(facts["doc"])
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    say(f"{facts['name']} ({facts['group']}, {facts['distribution']} {facts['version']})")
    say(f"\n{parts[0].strip()}" if parts[0].strip() else "")
    if facts["options"]:
        rows = [
            (
                option["name"],
                option["type"],
                "required" if option["required"] else _value(option["default"]),
                option["help"],
            )
            for option in facts["options"]
        ]
        say("\n" + table(("option", "type", "default", "help"), rows, left=4))
    for name in ("defaults", "recipe"):
        if facts[name]:
            say(f"\n{name}: " + ", ".join(f"{key} {_value(value)}" for key, value in facts[name].items()))
    for name, dials in facts["budgets"].items():
        say(f"\nbudget {name}: " + ", ".join(f"{key} {_value(value)}" for key, value in dials.items()))
    if "Reference" in sections:
        say(f"\nReference: {' '.join(sections['Reference'].split())}")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_value(part)}" for key, part in value.items())
    if not isinstance(value, tuple | list):
        return str(value)
    # In the form that `-o` takes: separated by commas if a part contains a hyphen, else by hyphens.
    parts = list(map(str, value))
    return ("," if any("-" in part for part in parts) else "-").join(parts)
