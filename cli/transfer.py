"""`kt transfer`: train a ticket on another task."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kerastickets import registry
from kerastickets.data.spec import find_data
from kerastickets.errors import RecipeError
from kerastickets_cli.interrupt import interruptible, nothing_written
from kerastickets_cli.options import (
    checkpoint_option,
    custom_option,
    force_option,
    given,
    json_option,
    own_objects,
    quiet_option,
    ticket_argument,
)
from kerastickets_cli.output import check_file, emit, note, percent, say
from kerastickets_cli.pairs import pairs, plugin_option
from kerastickets_cli.progress import Watch, wants_bar
from kerastickets_cli.setting_options import FROM_TICKET, training_options


@click.command(
    epilog="\b\nExample:\n  kt transfer ticket runs/first-ticket/level-03.safetensors --dataset 'digits[5,6,7,8,9]'"
    "\n  kt transfer new-head runs/first-ticket/level-03.safetensors --dataset mnist --adapt resize --train-size 500"
)
@click.argument("protocol", metavar="PROTOCOL")
@ticket_argument
@click.option("--dataset", metavar="TARGET", required=True, help="The data set of the other task.")
@plugin_option("protocol", "PROTOCOL")
@click.option(
    "--adapt",
    metavar="HOW",
    help="Make images fit the ticket's model: resize, gray, rgb, resize+gray or resize+rgb.  "
    "[default: refuse those that do not fit]",
)
@custom_option
@training_options(FROM_TICKET, train_size="all")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Random seed for data order and new weights.  [default: the ticket's own]",
)
@click.option(
    "--out", metavar="DIR", required=True, help="The folder to write the ticket and metrics.jsonl to."
)
@checkpoint_option
@force_option
@json_option
@quiet_option
def transfer(**chosen: Any) -> None:
    """Train TICKET on another task, the target, in the way of PROTOCOL. `kt plugins transfers` lists the protocols.

    Settings that are not given come from the ticket's own recipe, except --train-size: by default all examples of
    the target are used. With the same --seed, every protocol sees the same batches of the target in the same order.
    """
    from kerastickets.data.image_shape import parse_adapt
    from kerastickets.tickets.ticket import Ticket
    from kerastickets.training.checkpoint import Checkpoint
    from kerastickets.training.recipe import Recipe, TrainSettings

    dials = given(chosen, TrainSettings.__annotations__)
    try:
        Recipe.of(dials)
        if chosen["adapt"] is not None:
            parse_adapt(chosen["adapt"])
    except RecipeError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error
    protocol = registry.create("transfers", chosen["protocol"], pairs("-o", chosen["options"]))
    out = Path(chosen["out"])
    file = out / "ticket.safetensors"
    checkpoint = Checkpoint(out / "ticket.checkpoint", chosen["checkpoint_every"])
    with interruptible(lambda: nothing_written(checkpoint)):
        ticket = Ticket.load(chosen["ticket"])
        check_file(file, chosen["force"])
        find_data(chosen["dataset"])
        moved = _transfer(protocol, ticket, chosen, dials, checkpoint)
        _write(moved, file)
        checkpoint.remove()
    facts = moved.facts() | {"ticket": str(file)}
    if chosen["as_json"]:
        emit(facts)
    else:
        say(_summary(facts, moved.metrics))
    note(
        f"Carried by {facts['protocol']} from {facts['source']} to {facts['target']}. Its facts: kt show {file}",
        chosen["quiet"],
    )


def _transfer(
    protocol: Any, ticket: Any, chosen: Mapping[str, Any], dials: Mapping[str, Any], checkpoint: Any
) -> Any:
    from kerastickets.transferring.transfer_ticket import transfer as carry

    watch = Watch(ticket, dials) if wants_bar(chosen["quiet"]) else None
    try:
        return carry(
            protocol,
            ticket,
            chosen["dataset"],
            seed=chosen["seed"],
            adapt=chosen["adapt"],
            custom_objects=own_objects(chosen["custom"]),
            on_row=watch.row if watch else None,
            checkpoint=checkpoint if chosen["checkpoint_every"] else None,
            **dials,
        )
    finally:
        if watch:
            watch.stop()


def _write(moved: Any, file: Path) -> None:
    """Write the metrics and the ticket as one whole. The ticket is what a finished transfer is known by."""
    from kerastickets.foundations.staging import published

    with published(file.parent, file.name) as folder:
        rows = "".join(f"{json.dumps(row)}\n" for row in moved.rows)
        (folder / "metrics.jsonl").write_text(rows)
        moved.ticket.save(folder / file.name)


def _summary(facts: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    if facts["test_accuracy"] is None:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    else:
        shown = (
            f"validation {percent(facts['val_accuracy'])}, test {percent(facts['test_accuracy'])} "
            f"at iteration {facts['early_stop_iteration']}"
        )
    return f"{facts['ticket']}: {facts['protocol']} on {facts['train_size']} examples of {facts['target']}, {shown}"
