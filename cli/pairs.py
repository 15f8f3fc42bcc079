"""Options written key=value: the type, what several of them mean, and the `-o` of commands that use a plugin."""

from collections.abc import Callable
from typing import Any

import click


class PairType(click.ParamType):
    """`key=value`."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The key and the value, both text."""
        key, equals, text = value.partition("=")
        if not (key and equals):
            self.fail(f"An option must be written key=value. Received: {value!r}", param, ctx)
        return key, text


def pairs(name: str, found: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The keys and values of a repeated option; a usage error where a key is given twice."""
    keys = [key for key, _ in found]
    for key in keys:
        if keys.count(key) > 1:
            raise click.BadParameter(f"{key} must be given once.", param_hint=f"'{name}'")
    return dict(found)


def plugin_option(kind: str, where: str = "") -> Callable[[Any], Any]:
    """`-o key=value`, an option of the plugin that a command uses; its parameter is `options`.

    Args:
        kind: what the plugin is, as in "An option of the criterion".
        where: the argument that names it, for where they are listed.
    """
    listed = f"; `kt plugins show {where}` lists them" if where else ""
    said = f"An option of the {kind} (repeatable){listed}."
    return click.option("-o", "--option", "options", type=PairType(), multiple=True, help=said)
