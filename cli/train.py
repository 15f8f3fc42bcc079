"""`kt train`: train a ticket, or one of its controls."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kerastickets.data.spec import find_data
from kerastickets.distribution.strategy import check_strategy, is_chief
from kerastickets.errors import RecipeError
from kerastickets_cli.interrupt import interruptible, nothing_written
from kerastickets_cli.options import (
    StartType,
    checkpoint_option,
    custom_option,
    find_model,
    force_option,
    given,
    json_option,
    own_model_option,
    own_objects,
    quiet_option,
    strategy_option,
    ticket_argument,
)
from kerastickets_cli.output import check_file, emit, note, percent, say
from kerastickets_cli.progress import Watch, wants_bar
from kerastickets_cli.setting_options import FROM_TICKET, training_options


@click.command(
    epilog="\b\nExample:\n  kt train runs/first-ticket/level-03.safetensors --train 40ep"
    "\n  kt train runs/first-ticket/level-03.safetensors --start random-reinit --out control.safetensors"
)
@ticket_argument
@click.option(
    "--dataset",
    metavar="DATASET",
    help="The data set to train on.  [default: the one the ticket was found on]",
)
@click.option(
    "--start",
    type=StartType(controls=True),
    help="The weights to start from: init, rewind (the latest step), rewind@K or final. Or a control: random-reinit "
    "(the ticket's mask, new weights), dense (the ticket's weights, no mask) or small-dense (a narrower dense net).  "
    "[default: the ticket's own]",
)
@click.option(
    "--freeze",
    multiple=True,
    metavar="PATTERN",
    help="Do not train weights whose keys match this glob pattern (repeatable).",
)
@click.option(
    "--teacher",
    metavar="FILE",
    help="A trained ticket or a .keras file to learn from. --distil says how much, 0.5 if it is not given.",
)
@own_model_option
@custom_option
@training_options(FROM_TICKET)
@strategy_option
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Random seed for data order and new weights.  [default: the ticket's own]",
)
@click.option(
    "--out",
    metavar="FILE",
    help="The file to write the trained ticket to.  [default: TICKET's name with -trained, next to TICKET]",
)
@checkpoint_option
@force_option
@json_option
@quiet_option
def train(**chosen: Any) -> None:
    """Train TICKET, or one of its controls, and measure it on validation and test data.

    Settings that are not given come from the ticket's own recipe. The result is a new ticket with final weights.
    """
    from kerastickets.tickets.ticket import Ticket
    from kerastickets.training.checkpoint import Checkpoint
    from kerastickets.training.recipe import Recipe, TrainSettings

    dials = given(chosen, TrainSettings.__annotations__)
    try:
        Recipe.of(dials)
    except RecipeError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error
    source = Path(chosen["ticket"])
    out = Path(chosen["out"] or source.parent / f"{source.stem}-trained.safetensors")
    checkpoint = Checkpoint(out.with_suffix(".checkpoint"), chosen["checkpoint_every"])
    with interruptible(lambda: nothing_written(checkpoint)):
        ticket = Ticket.load(source)
        check_strategy(chosen["strategy"])
        chief = is_chief(chosen["strategy"])
        if chief:
            check_file(out, chosen["force"])
        find_model(chosen["model"])
        if chosen["dataset"]:
            find_data(chosen["dataset"])
        trained = _train(ticket, chosen, dials, checkpoint)
        if not chief:
            note("Done, as one of several workers. The chief, worker 0, has the ticket.", chosen["quiet"])
            return
        trained.ticket.save(out)
        checkpoint.remove()
    facts = _facts(trained, out)
    if chosen["as_json"]:
        emit(facts)
    else:
        say(_summary(facts))
    note(f"Trained from {facts['start']} on {facts['dataset']}. Its facts: kt show {out}", chosen["quiet"])


def _train(ticket: Any, chosen: Mapping[str, Any], dials: Mapping[str, Any], checkpoint: Any) -> Any:
    from kerastickets.training.train_ticket import train as train_ticket

    bar = wants_bar(chosen["quiet"]) and is_chief(chosen["strategy"])
    watch = Watch(ticket, dials) if bar else None
    names = ("start", "freeze", "seed", "model", "strategy", "teacher")
    try:
        return train_ticket(
            ticket,
            chosen["dataset"],
            **{name: chosen[name] for name in names},
            on_row=watch.row if watch else None,
            custom_objects=own_objects(chosen["custom"]),
            checkpoint=checkpoint if chosen["checkpoint_every"] else None,
            **dials,
        )
    finally:
        if watch:
            watch.stop()


def _facts(trained: Any, out: Path) -> dict[str, Any]:
    ticket, metrics = trained.ticket, trained.metrics
    names = ("early_stop_iteration", "stopped_iteration", "val_accuracy", "test_accuracy")
    return {
        "ticket": str(out),
        "digest": ticket.digest,
        "start": ticket.provenance["options"]["start"],
        "dataset": ticket.provenance["dataset"],
        "kept": ticket.kept,
        "total": ticket.total,
        "density": ticket.density,
        **{name: metrics.get(name) for name in names},
        "seconds": trained.rows[-1]["seconds"],
        "metrics": dict(metrics),
    }


def _summary(facts: Mapping[str, Any]) -> str:
    kept = f"{facts['kept']} of {facts['total']} weights ({percent(facts['density'])})"
    if facts["test_accuracy"] is None:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in facts["metrics"].items())
    else:
        shown = (
            f"validation {percent(facts['val_accuracy'])}, test {percent(facts['test_accuracy'])} "
            f"at iteration {facts['early_stop_iteration']}"
        )
    return f"{facts['ticket']}: {kept}, {shown}"
