"""`kt eval`: measure a ticket."""

from collections.abc import Mapping
from typing import Any

import click

from kerastickets.dataspec import find_data
from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import find_model, json_option, own_model_option, ticket_argument
from kerastickets_cli.output import emit, percent, table


@click.command(
    epilog="\b\nExample:\n  kt eval runs/first-ticket/level-03.safetensors --dataset digits --split test"
)
@ticket_argument
@click.option("--dataset", metavar="DATASET", help="What to measure on.  [default: what it was found on]")
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="Which part of it.",
)
@own_model_option
@json_option
def evaluate(ticket: str, dataset: str | None, split: str, model: str | None, as_json: bool) -> None:
    """Measure TICKET: loss, accuracy of each class and task, and calibration.

    Its final weights are measured where it has them, else those that its training would start from.
    """
    from kerastickets.evaluation import evaluate as measure
    from kerastickets.ticket import Ticket

    with interruptible("Interrupted."):
        loaded = Ticket.load(ticket)
        find_model(model)
        if dataset:
            find_data(dataset)
        facts = measure(loaded, dataset, split=split, model=model)
    if as_json:
        emit({"ticket": ticket, "digest": loaded.digest, **facts})
    else:
        _show(facts)


def _show(facts: Mapping[str, Any]) -> None:
    click.echo(
        f"{facts['split']} of {facts['dataset']}, {facts['weights']} weights, {facts['examples']} examples"
    )
    for name, value in facts.items():
        if isinstance(value, float):
            click.echo(f"{name:12}  {percent(value) if 'accuracy' in name else f'{value:.4f}'}")
    if calibration := facts.get("calibration"):
        click.echo(f"{'calibration':12}  {calibration['ece']:.4f} expected error")
    if classes := facts.get("classes"):
        click.echo()
        rows = [(row.get("name", row["class"]), row["count"], percent(row["accuracy"])) for row in classes]
        click.echo(table(("class", "count", "accuracy"), rows, left=0))
    if tasks := facts.get("tasks"):
        click.echo()
        click.echo(
            table(("task", "accuracy"), [(name, percent(row["accuracy"])) for name, row in tasks.items()])
        )
