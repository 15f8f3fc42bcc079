"""Options written key=value: their type, how to collect several, and the option `-o` for a plugin's options."""

from collections.abc import Callable
from typing import Any

import click


class PairType(click.ParamType):
    """A key and a value, written `key=value`."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Parse to (key, value), both as text."""
        key, equals, text = value.partition("=")
        if not (key and equals):
            self.fail(f"An option must be written key=value. Received: {value!r}", param, ctx)
        return key, text


def pairs(name: str, found: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """Collect the values of a repeated option by key. A key that is given twice is a usage error."""
    keys = [key for key, _ in found]
    for key in keys:
        if keys.count(key) > 1:
            raise click.BadParameter(f"{key} must be given once.", param_hint=f"'{name}'")
    return dict(found)


def plugin_option(kind: str, where: str = "") -> Callable[[Any], Any]:
    """The option `-o key=value`, which sets an option of the plugin that the command uses.

    The command's function receives it as the parameter `options`.

    Args:
        kind: the kind of plugin, for the help, such as "criterion".
        where: the placeholder of the plugin's name in the help, such as "OPERATION"; empty if there is none.
    """
    listed = f" `kt plugins show {where}` lists its options." if where else ""
    said = f"Set an option of the {kind} (repeatable).{listed}"
    return click.option("-o", "--option", "options", type=PairType(), multiple=True, help=said)
