"""`kt eval`: measure a ticket on data."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from kerastickets.data.spec import find_data
from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import (
    custom_option,
    find_model,
    json_option,
    own_model_option,
    own_objects,
    ticket_argument,
)
from kerastickets_cli.output import emit, percent, say, table


@click.command(
    epilog="\b\nExample:\n  kt eval runs/first-ticket/level-03.safetensors --dataset digits --split test"
)
@ticket_argument
@click.option(
    "--dataset",
    metavar="DATASET",
    help="The data set to measure on.  [default: the one the ticket was found on]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="The part of the data set to measure on.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Examples per step. A smaller number needs less memory.",
)
@own_model_option
@custom_option
@json_option
def evaluate(
    ticket: str,
    dataset: str | None,
    split: str,
    batch_size: int,
    model: str | None,
    custom: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure TICKET on data: loss, accuracy per class and task (squared error for targets), and calibration.

    If the ticket was trained, its final weights are measured. Otherwise the weights are measured that its training
    would start from.
    """
    from kerastickets.tickets.ticket import Ticket
    from kerastickets.training.evaluate_ticket import evaluate as measure

    with interruptible(""):
        loaded = Ticket.load(ticket)
        find_model(model)
        if dataset:
            find_data(dataset)
        own = own_objects(custom)
        facts = measure(loaded, dataset, split=split, batch_size=batch_size, model=model, custom_objects=own)
    if as_json:
        emit({"ticket": ticket, "digest": loaded.digest, **facts})
    else:
        _show(facts)


def _show(facts: Mapping[str, Any]) -> None:
    say(f"{facts['split']} of {facts['dataset']}, {facts['weights']} weights, {facts['examples']} examples")
    numbers = {name: _number(name, value) for name, value in facts.items() if isinstance(value, float)}
    if calibration := facts.get("calibration"):
        numbers["calibration"] = f"{calibration['ece']:.4f} expected error"
    width = max(12, *map(len, numbers))
    for name, number in numbers.items():
        say(f"{name:{width}}  {number}")
    _show_classes(facts.get("classes"), "class")
    for name, output in (facts.get("outputs") or {}).items():
        _show_classes(output["classes"], f"class of {name}")
    if tasks := facts.get("tasks"):
        say()
        kinds = [name for name, value in next(iter(tasks.values())).items() if isinstance(value, float)]
        rows = [(name, *(_number(kind, row[kind]) for kind in kinds)) for name, row in tasks.items()]
        say(table(("task", *(kind.replace("_", " ") for kind in kinds)), rows))


def _show_classes(classes: Sequence[Mapping[str, Any]] | None, heading: str) -> None:
    if classes:
        say()
        rows = [(row.get("name", row["class"]), row["count"], percent(row["accuracy"])) for row in classes]
        say(table((heading, "count", "accuracy"), rows, left=0))


def _number(name: str, value: float) -> str:
    return percent(value) if "accuracy" in name else f"{value:.4f}"
