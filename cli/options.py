"""Options that several commands share, and the kinds of values that they take."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from kerastickets.errors import RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets_cli.output import nearest
from kerastickets_cli.pairs import pairs

Command = TypeVar("Command", bound=Callable[..., Any])

_MOST_SEEDS = 10_000


class SuggestingGroup(click.Group):
    """A group that suggests the nearest to an unknown command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begin with."""
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            raise click.UsageError(f"No such command '{args[0]}'.{nearest(args[0], known)}", ctx)
        return super().resolve_command(ctx, args)


class DurationType(click.ParamType):
    """`500it` or `20ep`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Duration:
        """The `Duration` that the text means."""
        try:
            return Duration.parse(value)
        except RecipeError as error:
            self.fail(str(error), param, ctx)


class DurationsType(click.ParamType):
    """`0it,500it`: durations with commas between."""

    name = "durations"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Duration, ...]:
        """The durations in their order."""
        if not isinstance(value, str):
            return tuple(value)
        return tuple(DurationType().convert(part.strip(), param, ctx) for part in value.split(","))


class RateType(click.ParamType):
    """`0.2`, or `conv=0.1` for the layers that a pattern fits."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """The pattern (`*` for a plain rate) and the rate."""
        pattern, equals, text = value.rpartition("=")
        try:
            if equals and not pattern:
                raise ValueError
            return pattern or "*", float(text)
        except ValueError:
            self.fail(f"A rate must be a number or PATTERN=NUMBER. Received: {value!r}", param, ctx)


class SeedsType(click.ParamType):
    """`0-4`, `0,2,5` or both."""

    name = "seeds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The seeds in the order given, each once."""
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
    """`1000` examples, or a share of them such as `0.25`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        """A whole number as it is, anything else as a share."""
        try:
            return int(value) if _digits(str(value)) else float(value)
        except ValueError:
            self.fail(
                f"A size must be a count such as 1000, or a share such as 0.25. Received: {value!r}",
                param,
                ctx,
            )


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


DURATION = DurationType()

_TRAINING: tuple[Any, ...] = (
    click.option(
        "--train", type=DURATION, help="How long to train, in all: 20ep or 5000it.  [default: 20ep]"
    ),
    click.option(
        "--train-size",
        type=SizeType(),
        metavar="N",
        help="Use N training examples, or such a share of them as 0.25, of each class.  [default: all]",
    ),
    click.option(
        "--eval-every", type=DURATION, help="Evaluate on validation data this often.  [default: 1ep]"
    ),
    click.option("--patience", type=int, metavar="N", help="Stop after N evaluations without improvement."),
    click.option(
        "--monitor", metavar="METRIC", help="What improves: val_accuracy, val_loss, or val_ and any metric."
    ),
    click.option(
        "--keep", type=click.Choice(["best", "last"]), help="Which weights are final.  [default: best]"
    ),
    click.option("--batch-size", type=int, metavar="N", help="Examples a step, over all replicas."),
    click.option("--optimizer", metavar="NAME", help="A Keras optimizer: adam, sgd, adamw, ..."),
    click.option("--lr", type=float, help="The learning rate."),
    click.option("--epsilon", type=float, help="Adam's epsilon."),
    click.option("--momentum", type=float, help="Momentum of sgd and rmsprop."),
    click.option("--weight-decay", type=float, help="Decoupled weight decay."),
    click.option("--l1", type=float, help="Adds l1 * sum(|w|) to the loss."),
    click.option("--l2", type=float, help="Adds l2 * sum(w**2) to the loss."),
    click.option(
        "--lr-schedule",
        metavar="SCHEDULE",
        help="constant, cosine, linear, exponential:0.95 or steps:10ep=0.1,15ep=0.01.",
    ),
    click.option("--warmup", type=DURATION, help="Raise the learning rate from 0 over this long."),
    click.option(
        "--augment",
        metavar="HOW",
        help="Change training images at random: flip, crop:4 (pixels) or flip+crop:4.  [default: none]",
    ),
    click.option(
        "--jit", type=click.Choice(["auto", "on", "off"]), help="Compile with XLA.  [default: auto]"
    ),
)

_PRUNING: tuple[Any, ...] = (
    click.option(
        "--between", type=click.Choice(["train", "none"]), help="Train every level, or only the last."
    ),
    click.option("--levels", type=int, metavar="L", help="How many times to prune."),
    click.option(
        "--rate",
        type=RateType(),
        multiple=True,
        metavar="P",
        help="Share of the kept weights that a level prunes: 0.2, or conv=0.1, output=0.1, KEY=0 (repeatable).",
    ),
    click.option("--target", type=int, metavar="N", help="Weights to keep in the end."),
    click.option(
        "--sparsity", type=float, metavar="S", help="Share of all weights that is pruned in the end."
    ),
    click.option(
        "--scope", type=click.Choice(["global", "layer"]), help="Rank all weights together or layer by layer."
    ),
    click.option(
        "--spacing",
        type=click.Choice(["geometric", "linear"]),
        help="Of levels towards a target: an equal share each, or equally many weights.  [default: geometric]",
    ),
    click.option("--cuts", type=int, metavar="N", help="Prunings a level, without training between."),
    click.option(
        "--extend",
        type=int,
        metavar="N",
        help="Widen the model N times, as --rate says, and prune it back to its own size.",
    ),
    click.option(
        "--stop-when",
        multiple=True,
        metavar="RULE",
        help="Stop after the first level of which ANALYZER.FACT=VALUE holds; also !=, <, <=, >, >= (repeatable).",
    ),
    click.option(
        "--include", multiple=True, metavar="PATTERN", help="Prune these weights as well (repeatable)."
    ),
    click.option(
        "--exclude", multiple=True, metavar="PATTERN", help="Do not prune these weights (repeatable)."
    ),
    click.option(
        "--snapshot-at",
        type=DurationsType(),
        metavar="WHEN,...",
        help="Keep the weights of these moments of level 0.",
    ),
    click.option(
        "--rewind-to",
        type=DURATION,
        help="Later levels start from the weights of this moment.  [default: 0it]",
    ),
    click.option(
        "--after-cut",
        type=click.Choice(["rewind", "lr-rewind", "fine-tune"]),
        help="What starts again after a cut: weights and learning rate, the rate alone, nothing.",
    ),
    click.option("--no-train", is_flag=True, help="Leave the last level untrained."),
    click.option("--allow-collapse", is_flag=True, help="Let a cut empty a layer."),
    click.option("--all-alive", is_flag=True, help="Keep no weight that cannot matter: others instead."),
    click.option(
        "--granularity",
        type=click.Choice(["weight", "channel"]),
        help="Prune single weights, or whole output channels (output layers excepted).  [default: weight]",
    ),
)


def _all(decorators: tuple[Any, ...]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


training_options = _all(_TRAINING)
pruning_options = _all(_PRUNING)
strategy_option = click.option(
    "--strategy",
    type=click.Choice(["default", "mirrored", "multiworker"]),
    default="default",
    show_default=True,
    help="Where to train: on one device, on all of this machine, or on the machines of TF_CONFIG, each of which "
    "runs this same command.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress bar and no notes on stderr.")


def given(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that `names` lists and that were given on the command line."""
    return {name: values[name] for name in names if values.get(name) not in (None, ())}


def rates(found: tuple[tuple[str, float], ...]) -> float | dict[str, float] | None:
    """What `--rate` means: one number, shares by pattern, or None."""
    by_pattern = pairs("--rate", found)
    return by_pattern.get("*") if by_pattern.keys() <= {"*"} else by_pattern


class StartType(click.ParamType):
    """A snapshot's name, or a control's.

    Args:
        controls: whether `random-reinit`, `dense` and `small-dense` are allowed.
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
        """The name as it is, if it is well formed."""
        step = value.removeprefix("rewind@")
        if value not in self._names and (step == value or not _digits(step)):
            known = ", ".join([*self._names[:2], "rewind@K", *self._names[2:]])
            self.fail(f"{value!r} is not one of {known}.{nearest(value, self._names)}", param, ctx)
        return value

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """What stands for the value in the help."""
        return "WHERE"


ticket_argument = click.argument("ticket", metavar="TICKET")
force_option = click.option("--force", is_flag=True, help="Replace --out where it exists.")
own_model_option = click.option(
    "--model", metavar="MODEL", help="What builds the model, for a ticket without an architecture."
)


def find_model(spec: str | None) -> None:
    """Refuse a model that is not there, before TensorFlow is imported; this folder's modules count too.

    Raises:
        KerasTicketsError: nothing of that name.
    """
    from kerastickets.training.model_source import find_model

    if spec is None:
        return
    # A command's first folder is that of `kt` itself. At the end of the path it shadows nothing.
    if ":" in spec and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    find_model(spec)
