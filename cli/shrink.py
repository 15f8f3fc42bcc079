"""`kt shrink`: find the smallest ticket of a trained model that keeps what is asked for."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kerastickets import registry
from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import (
    custom_option,
    given,
    json_option,
    own_objects,
    quiet_option,
    rates,
)
from kerastickets_cli.output import check_folder, emit, line, note, percent, say
from kerastickets_cli.setting_options import shrinking_options, training_options

# Of the columns of tries: criterion, try, weights, density, value, drop, its bound, and up to three more.
_WIDTHS = (10, 14, 11, 8, 12, 7, 7, 10, 10, 6)


@click.command(
    epilog="\b\nExample:\n  kt shrink net.keras --dataset npz:points.npz --max-drop 0.5 --export litert:sparse=true"
    "\n  kt shrink net.keras --dataset cifar10 --max-drop 1 --max-latency 2ms --export onnx"
)
@click.argument("model", metavar="MODEL")
@custom_option
@click.option(
    "--dataset",
    metavar="DATASET",
    required=True,
    help="The data set to fine-tune and judge on: NAME, npz:FILE, folder:DIR, tfds:NAME, ...",
)
@click.option(
    "--max-drop",
    type=float,
    metavar="POINTS",
    help="How much worse the monitored metric may become: points (hundredths) of accuracy, units of a loss.",
)
@click.option("--max-size", metavar="SIZE", help="The largest exported file, such as 200KiB; needs --export.")
@click.option(
    "--max-latency",
    metavar="TIME",
    help="The longest time for one example on this machine, in TensorFlow, such as 2ms. Units are pruned.",
)
@click.option(
    "--criterion",
    "criteria",
    default="magnitude",
    show_default=True,
    metavar="NAME,...",
    help="The criterion that scores the weights; of several, the one that leads furthest is taken.",
)
@click.option(
    "--export", metavar="FORMAT", help="Also export the result, and verify it: onnx, litert:sparse=true, ..."
)
@click.option(
    "--compact/--no-compact", default=None, help="Compact the export.  [default: if units are pruned]"
)
@click.option(
    "--confidence",
    type=float,
    default=0.95,
    show_default=True,
    help="The probability with which the drop must be within --max-drop, for examples like the validation examples.",
)
@shrinking_options
@training_options(leave_out=("no_test",), train="2ep", keep="last")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Random seed."
)
@click.option("--out", metavar="DIR", help="The folder to write to.  [default: runs/shrink-MODEL]")
@json_option
@quiet_option
def shrink(**chosen: Any) -> None:
    """Find the smallest ticket of a trained MODEL (file.keras, or a trained ticket) that keeps what you ask for.

    MODEL is measured and never trained again. Then level after level a part of the weights is pruned and the others are
    fine-tuned. Tickets are judged on validation data alone, by the upper bound of the drop's interval. Test data is
    measured once, at the end.

    With --max-drop the search goes on as far as the drop allows. Without it, it ends at the first ticket that is small
    or fast enough. The folder --out holds the ticket, its export, a figure, and shrink.json with everything that was
    tried. The same command continues a search that was interrupted.
    """
    from kerastickets.pruning.job import PruneSettings
    from kerastickets.shrinking.goal import Goal

    goal = Goal(chosen["max_drop"], chosen["max_size"], chosen["max_latency"])
    settings = given(chosen, PruneSettings.__annotations__)
    settings |= {"rate": rates(chosen["rate"])} if chosen["rate"] else {}
    path = Path(chosen["model"])
    out = Path(chosen["out"] or Path("runs") / f"shrink-{path.stem}")
    with interruptible("What was tried is kept: the same command continues."):
        check_folder(out)
        found = _found(goal, path, out, settings, chosen)
    facts = found.facts()
    if chosen["as_json"]:
        emit(facts)
    else:
        say(facts["summary"])
        if found.exported:
            say(found.exported.summary)
    note(f"Its ticket: {out / 'ticket.safetensors'}. What was tried: {out / 'tried.svg'}", chosen["quiet"])
    if not found.met:
        raise SystemExit(1)


def _found(goal: Any, path: Path, out: Path, settings: Mapping[str, Any], chosen: Mapping[str, Any]) -> Any:
    from kerastickets.shrinking.shrink_model import shrink as search
    from kerastickets.tickets.ticket import Ticket
    from kerastickets.training.recipe import Recipe

    model: Any = Ticket.load(path) if path.suffix == ".safetensors" else str(path)
    names = ("max_drop", "max_size", "max_latency", "export", "compact", "confidence", "seed")
    rows = Rows(goal, chosen["monitor"] or Recipe.monitor, chosen["as_json"])
    return search(
        model,
        chosen["dataset"],
        criterion=_criteria(chosen["criteria"]),
        out=out,
        custom_objects=own_objects(chosen["custom"]),
        on_try=rows.show,
        **{name: chosen[name] for name in names},
        **settings,
    )


def _criteria(text: str) -> list[str]:
    """Split at each comma that the name of a criterion follows; others belong to options."""
    known = "|".join(map(re.escape, registry.names("criteria")))
    return re.split(rf",(?=(?:{known})(?:[:,]|$))", text)


class Rows:
    """Prints a line for each try, as it happens.

    Args:
        goal: what is asked for; decides the columns.
        monitor: the metric that is judged.
        hidden: print nothing.
    """

    def __init__(self, goal: Any, monitor: str, hidden: bool) -> None:
        self._goal, self._monitor, self._hidden, self._first = goal, monitor, hidden, True

    def show(self, one: Any) -> None:
        """Print a try."""
        if self._hidden:
            return
        head = ["criterion", "try", "weights", "density", self._monitor, "drop", "at most"]
        drop = (f"{one.drop.estimate:.3g}", f"{one.drop.bound:.3g}") if one.drop else ("-", "-")
        cells = [one.criterion, one.name, f"{one.ticket.kept:,}", percent(one.ticket.density)]
        cells += [f"{one.value:.4g}", *drop]
        if self._goal.max_size:
            head, cells = [*head, "bytes"], [*cells, f"{one.size:,}"]
        if self._goal.max_latency:
            head, cells = [*head, "ms"], [*cells, f"{one.latency:.3g}"]
        head, cells = [*head, "within"], [*cells, "yes" if one.kept and one.fits else "no"]
        if self._first:
            self._first = False
            say(line(head, _WIDTHS[: len(head)], left=2))
        say(line(cells, _WIDTHS[: len(head)], left=2))
