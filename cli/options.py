"""Options that several commands share, and the types of their values."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from kerastickets.errors import RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets_cli.output import nearest
from kerastickets_cli.pairs import pairs

Command = TypeVar("Command", bound=Callable[..., Any])

_MOST_SEEDS = 10_000


def checkpoint_option(command: Command) -> Command:
    """Add `--checkpoint-every` to a command that trains."""
    return click.option(
        "--checkpoint-every",
        type=click.FloatRange(min=0),
        default=10.0,
        show_default=True,
        metavar="MINUTES",
        help="How often to write the state of a training to disk, so that the same command continues there after a "
        "kill; 0 never. SIGTERM writes it, too.",
    )(command)


class SuggestingGroup(click.Group):
    """A group that answers an unknown command with the nearest known one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` start with, or suggest the nearest."""
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            raise click.UsageError(f"No such command '{args[0]}'.{nearest(args[0], known)}", ctx)
        return super().resolve_command(ctx, args)


class DurationType(click.ParamType):
    """A duration in iterations or epochs: `500it` or `20ep`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Duration:
        """Parse the text to a `Duration`."""
        try:
            return Duration.parse(value)
        except RecipeError as error:
            self.fail(str(error), param, ctx)


class DurationsType(click.ParamType):
    """Durations separated by commas: `0it,500it`."""

    name = "durations"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Duration, ...]:
        """Parse the durations, in the order given."""
        if not isinstance(value, str):
            return tuple(value)
        return tuple(DurationType().convert(part.strip(), param, ctx) for part in value.split(","))


class RateType(click.ParamType):
    """A pruning rate: `0.2`, or `conv=0.1` for the layers that match a pattern."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Parse to (pattern, rate). A plain rate has the pattern `*`."""
        pattern, equals, text = value.rpartition("=")
        try:
            if equals and not pattern:
                raise ValueError
            return pattern or "*", float(text)
        except ValueError:
            self.fail(f"A rate must be a number or PATTERN=NUMBER. Received: {value!r}", param, ctx)


class SeedsType(click.ParamType):
    """Several seeds: a range `0-4`, a list `0,2,5`, or both."""

    name = "seeds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse the seeds, in the order given. Each may be given only once."""
        if not isinstance(value, str):
            return tuple(value)
        seeds: list[int] = []
        for part in value.split(","):
            first, dash, last = part.strip().partition("-")
            if not (_digits(first) and (_digits(last) if dash else True)):
                self.fail(f"Seeds must be written 0-4 or 0,2,5. Received: {value!r}", param, ctx)
            begin, end = int(first), int(last or first)
            if not begin <= end < begin + _MOST_SEEDS:
                self.fail(
                    f"A range of seeds must ascend, by less than {_MOST_SEEDS}. Received: {part}", param, ctx
                )
            seeds += range(begin, end + 1)
        if len(set(seeds)) < len(seeds):
            self.fail(f"Each seed must be given once. Received: {value}", param, ctx)
        return tuple(seeds)


class SizeType(click.ParamType):
    """A number of examples such as `1000`, or a fraction of them such as `0.25`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        """Parse a whole number to a count, and any other number to a fraction."""
        try:
            return int(value) if _digits(str(value)) else float(value)
        except ValueError:
            self.fail(
                f"A size must be a count such as 1000, or a fraction such as 0.25. Received: {value!r}",
                param,
                ctx,
            )


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


strategy_option = click.option(
    "--strategy",
    type=click.Choice(["default", "mirrored", "multiworker"]),
    default="default",
    show_default=True,
    help="Where to train: on one device (default), on all devices of this machine (mirrored), or on the machines in "
    "TF_CONFIG (multiworker), each of which runs this same command.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, help="Print no progress bar and no notes on stderr."
)


def given(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The `values` that were given on the command line and whose names are in `names`."""
    return {name: values[name] for name in names if values.get(name) not in (None, ())}


def rates(found: tuple[tuple[str, float], ...]) -> float | dict[str, float] | None:
    """Turn the values of `--rate` into one number, rates by pattern, or None."""
    by_pattern = pairs("--rate", found)
    return by_pattern.get("*") if by_pattern.keys() <= {"*"} else by_pattern


class StartType(click.ParamType):
    """Where training starts: the name of a snapshot or of a control.

    Args:
        controls: whether the controls `random-reinit`, `dense` and `small-dense` are allowed.
    """

    name = "start"

    def __init__(self, controls: bool) -> None:
        self._names = [
            "init",
            "rewind",
            "final",
            *(["random-reinit", "dense", "small-dense"] if controls else []),
        ]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name unchanged, or fail if it is not one of the allowed names."""
        step = value.removeprefix("rewind@")
        if value not in self._names and (step == value or not _digits(step)):
            known = ", ".join([*self._names[:2], "rewind@K", *self._names[2:]])
            self.fail(f"{value!r} is not one of {known}.{nearest(value, self._names)}", param, ctx)
        return value

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The placeholder for the value in the help."""
        return "WHERE"


ticket_argument = click.argument("ticket", metavar="TICKET")
force_option = click.option("--force", is_flag=True, help="Replace --out if it exists.")
own_model_option = click.option(
    "--model",
    metavar="MODEL",
    help="The model of a ticket that holds no architecture: NAME, file.keras or pkg.module:function.",
)
custom_option = click.option(
    "--custom",
    multiple=True,
    metavar="MODULE[:NAME]",
    help="Your own class, loss or metric that the model is made of: pkg.module:Name, or pkg.module for all that it "
    "registers or defines (repeatable). The module is imported.",
)


def search_here(spec: str | None) -> None:
    """Let a model's spec name a module in the current folder.

    Python searches the folder of `kt` itself first, and not the current one. The current folder is added at the end
    of the path, where it shadows nothing.
    """
    if spec is not None and ":" in spec:
        _search_here()


def _search_here() -> None:
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def own_objects(specs: Sequence[str]) -> dict[str, Any]:
    """Import the classes and functions of `--custom`, by name. Modules in the current folder count too.

    Raises:
        KerasTicketsError: a module does not import or has no such name.
    """
    if not specs:
        return {}
    from kerastickets.models.own_objects import own_objects

    _search_here()
    return own_objects(specs)


def find_model(spec: str | None) -> None:
    """Refuse a model that does not exist, before TensorFlow is imported. Modules in the current folder count too.

    Raises:
        KerasTicketsError: there is no model of that name.
    """
    from kerastickets.training.model_source import find_model

    if spec is not None:
        search_here(spec)
        find_model(spec)
