"""Transfer a ticket to another task: train the phases that a protocol plans, one after another."""

import dataclasses
import glob
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Unpack

from kerastickets import registry
from kerastickets.data.dataset import Data
from kerastickets.data.image_shape import check_fits, parse_adapt
from kerastickets.data.spec import data_files, data_name, data_spec
from kerastickets.errors import RecipeError, TicketError
from kerastickets.foundations.duration import Duration
from kerastickets.foundations.rows import Row
from kerastickets.foundations.tree import Tree
from kerastickets.models.trust import trusting
from kerastickets.registry.plugin_options import describe
from kerastickets.tickets.operation import plugin_name
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.checkpoint import Checkpoint
from kerastickets.training.model_source import ticket_recipe
from kerastickets.training.recipe import Recipe, TrainSettings
from kerastickets.training.teacher import check_taught
from kerastickets.training.train_ticket import train
from kerastickets.training.trainer_cache import TrainerCache
from kerastickets.transferring.output_layer import Ends, other_outputs
from kerastickets.transferring.protocol import Phase, Transfer


@dataclass(frozen=True)
class Transferred:
    """The result of a transfer: the ticket trained on the target, and the history of its training.

    Args:
        ticket: the ticket after the last phase. Its snapshot `init` holds the weights from which that phase
            started, `final` the trained weights; its provenance has the metrics.
        rows: one row per evaluation. `phase` counts from 0; iterations are counted on from phase to phase.
        metrics: metrics of the last phase.
        phases: for each phase `frozen` (number of frozen weight keys), `start`, `duration` and `metrics`.
        train_size: number of training examples of the target that were used.
    """

    ticket: Ticket
    rows: tuple[Row, ...]
    metrics: Mapping[str, Any]
    phases: tuple[Mapping[str, Any], ...]
    train_size: int

    def facts(self) -> dict[str, Any]:
        """The facts that `kt transfer --json` prints, except the ticket's file."""
        provenance = self.ticket.provenance
        return {
            "protocol": provenance["options"]["protocol"],
            "source": provenance["source"],
            "target": provenance["dataset"],
            "train_size": self.train_size,
            "val_accuracy": self.metrics.get("val_accuracy"),
            "test_accuracy": self.metrics.get("test_accuracy"),
            "early_stop_iteration": self.metrics.get("early_stop_iteration"),
            "curve": [[row["iteration"], row.get("val_accuracy")] for row in self.rows],
        }


def transfer(
    protocol: str | Transfer,
    ticket: Ticket | str | Path,
    target: Any,
    *,
    seed: int | None = None,
    trainers: TrainerCache | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    watch: Collection[str] = (),
    on_row: Callable[[Row], None] | None = None,
    adapt: str | None = None,
    checkpoint: Checkpoint | None = None,
    **dials: Unpack[TrainSettings],
) -> Transferred:
    """Train a ticket on another task, according to a protocol.

    Iteration i sees the same batch of the target under every protocol: the data order depends only on `seed`,
    and continues from one phase to the next. The learning-rate schedule also continues. The optimizer's state
    is reset at each phase.

    Args:
        protocol: a registered name (`"ticket"`, `"new-head:density=ticket"`) or an instance.
        ticket: a ticket or its file.
        target: a data set's name, a `Data` or arrays (see `data_from`). Its test split never selects anything.
        seed: random seed of the data order and of new weights; None takes the ticket's own data seed.
        trainers: trainers to share with other trainings of this process.
        custom_objects: your classes by name, for the training and for protocols that rebuild the model.
        watch: splits to measure at every evaluation in addition to validation, for the record only: `train`,
            `test`.
        on_row: called with the row of each evaluation.
        adapt: how to fit images with another size or other channels, see
            `kerastickets.data.image_shape.adapted`; None refuses such images.
        checkpoint: the file that keeps the state of the training while it lasts; the file of phase n gets the name
            `NAME-n`.
        **dials: training settings, see `Recipe`. A setting that is left out is taken from the ticket's own
            recipe, except `train_size`: without it, the whole training split of the target is used. `train`
            is the total duration over all phases.

    Returns:
        A `Transferred`.

    Raises:
        RecipeError: the target has another input shape and `adapt` does not fix that, or it has another
            number of outputs and the protocol keeps the output layer.
        KerasTicketsError: a subclass that says what was expected, what was received and what to do.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> moved = transfer("new-head", toy_ticket(), "digits[0,1,2]", train="1ep", jit="off")
        >>> [layer["shape"] for layer in moved.ticket.layers]
        [[64, 6], [6, 3]]

    Reference:
        R. Van Soelen, J. W. Sheppard, Using Winning Lottery Tickets in Transfer Learning for Convolutional Neural
        Networks, section III.
    """
    made = registry.create("transfers", protocol) if isinstance(protocol, str) else protocol
    ticket = Ticket.of(ticket)
    target = data_spec(ticket, target)
    trainers = trainers or TrainerCache()
    given = {name: value for name, value in dials.items() if value is not None}
    own = {k: v for k, v in ticket_recipe(ticket, custom_objects or ()).items() if k != "train_size"}
    recipe = Recipe.of(given, own)
    check_taught(recipe)
    if seed is None:
        seed = int((ticket.provenance.get("seeds") or {}).get("data", 0))
    ends = Ends.of(ticket, custom_objects)
    data = _target(trainers, target, ends, adapt, recipe, seed)
    engine = _PhaseTrainer(data, recipe, seed, custom_objects, watch, trainers, on_row, checkpoint)
    # `data` is already cut to `train_size`. Protocols rely on that when they compute durations.
    planned = _with(ticket, recipe=recipe.describe() | {"train_size": None}, dataset=data_name(target))
    with trusting(custom_objects):
        engine.run(made(planned, data, seed))
    said = {
        "operation": "transfer",
        "options": {"protocol": _protocol_name(protocol, made), **describe(made), "adapt": adapt},
        "source": ticket.provenance.get("dataset"),
        "dataset": data_name(target),
        "files": dict(ticket.provenance.get("files") or {}) | data_files(target),
        "recipe": recipe.describe(),
        "parents": [ticket.digest],
        "start": "init",
        "phases": [{k: v for k, v in phase.items() if k != "metrics"} for phase in engine.phases],
    }
    assert engine.trained is not None
    moved = _with(engine.trained, **said)
    metrics = engine.phases[-1]["metrics"]
    return Transferred(moved, tuple(engine.rows), metrics, tuple(engine.phases), data.count("train"))


def main_duration(ticket: Ticket) -> Duration:
    """The total training duration of a transfer of this ticket; protocols call this.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> main_duration(toy_ticket())
        Duration(count=1, unit='ep')
    """
    return _recipe(ticket).train


def phase_durations(ticket: Ticket, target: Data, *shares: float) -> tuple[Duration, ...]:
    """Split the main duration into parts that sum to it; each part has at least one iteration.

    Args:
        ticket: gives the total duration and the batch size.
        target: gives the number of examples per epoch.
        *shares: relative length of each part; only their ratios count.

    Raises:
        RecipeError: there are fewer iterations than parts.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> phase_durations(toy_ticket().replace(provenance={"recipe": {"train": "30it"}}), toy_data(), 1, 2)
        (Duration(count=10, unit='it'), Duration(count=20, unit='it'))
    """
    recipe = _recipe(ticket)
    iterations = recipe.train.iterations(recipe.per_epoch(target))
    ends = [round(iterations * sum(shares[:n]) / sum(shares)) for n in range(len(shares) + 1)]
    counts = [end - begin for begin, end in pairwise(ends)]
    if min(counts) < 1:
        raise RecipeError(
            f"Training in {len(shares)} phases must give each an iteration. Received: train={recipe.train}, "
            f"{iterations} iterations in all. Train for longer (`--train`), or in fewer phases."
        )
    return tuple(Duration(count, "it") for count in counts)


def needed_snapshot(ticket: Ticket, snapshot: str, protocol: Transfer) -> str:
    """Return the name `snapshot` if the ticket has that snapshot.

    Raises:
        TicketError: the ticket lacks the snapshot; the message says what to do.
    """
    if snapshot not in ticket.snapshots:
        advice = {
            "final": "Train it first (`kt train`).",
            "rewind": "Find a ticket with rewind points (`kt prune --snapshot-at 500it`).",
        }[snapshot.partition("@")[0]]
        raise TicketError(
            f"{plugin_name(protocol)} starts from the weights {snapshot}. Received: a ticket with the snapshots "
            f"{', '.join(ticket.snapshots)}. {advice}"
        )
    return snapshot


def _recipe(ticket: Ticket) -> Recipe:
    return Recipe.of(ticket_recipe(ticket))


def _target(
    trainers: TrainerCache, target: str | Data, ends: Ends, adapt: str | None, recipe: Recipe, seed: int
) -> Data:
    """The target data for training: fitted to the model's inputs, and cut to `train_size`."""
    whole = trainers.data(target)
    if adapt is None:
        check_fits(whole, ends.inputs)
    else:
        parse_adapt(adapt)
        whole = trainers.adapted(whole, ends.inputs, adapt)
    return trainers.data(whole, recipe.train_size, seed)


@dataclass
class _PhaseTrainer:
    """Trains phases, and records their rows and metrics."""

    data: Data
    recipe: Recipe
    seed: int
    custom_objects: Mapping[str, Any] | None
    watch: Collection[str]
    trainers: TrainerCache
    on_row: Callable[[Row], None] | None
    checkpoint: Checkpoint | None = None
    rows: list[Row] = dataclasses.field(default_factory=list)
    phases: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    trained: Ticket | None = None

    def run(self, plan: Iterator[Phase]) -> None:
        """Train all phases of a plan. A generator is sent the trained ticket of each phase."""
        answers = isinstance(plan, Generator)
        while True:
            try:
                phase = plan.send(self.trained) if answers else next(plan)  # type: ignore[attr-defined]
            except StopIteration:
                break
            self.trained = self._train(phase)
        if not self.phases:
            raise RecipeError("A protocol must have at least one phase. Received: none.")

    def _train(self, phase: Phase) -> Ticket:
        number, done = len(self.phases), self._done
        self._check(phase)
        begin = phase.ticket.weights(phase.start)
        # The step in the snapshot's name tells `train` which batch comes next.
        start = f"rewind@{done}" if done else "init"
        recipe = self.recipe.describe() | {"train_size": None}
        said = dict(phase.ticket.provenance) | {"start": start, "recipe": recipe}
        if self.data.declared:
            said.pop("compiled", None)  # the loss is that of the target, not the one of the source
        subject = phase.ticket.replace(snapshots={"init": begin, start: begin}, provenance=said)
        loss = phase.loss
        outcome = train(
            subject,
            self.data if loss is None else dataclasses.replace(self.data, loss=loss),
            start=start,
            freeze=[glob.escape(key) for key in phase.frozen],
            seed=self.seed,
            custom_objects=self.custom_objects,
            watch=self.watch,
            trainers=self.trainers,
            on_row=lambda row: self._keep(number, row),
            checkpoint=self.checkpoint.phase(number) if self.checkpoint else None,
            train=self._until(phase.duration),
        )
        self.phases.append(
            {
                "frozen": len(phase.frozen),
                "start": phase.start,
                "duration": str(phase.duration),
                "metrics": dict(outcome.metrics),
            }
        )
        snapshots: dict[str, Tree] = {"init": begin, "final": outcome.ticket.weights("final")}
        return outcome.ticket.replace(
            snapshots=snapshots, provenance=dict(outcome.ticket.provenance) | {"start": "init"}
        )

    def _check(self, phase: Phase) -> None:
        ends = Ends.of(phase.ticket, self.custom_objects)
        check_fits(self.data, ends.inputs)
        if ends.outputs != self.data.outputs:
            raise other_outputs(ends.outputs, self.data)

    @property
    def _done(self) -> int:
        """The number of iterations in all earlier phases."""
        return int(self.phases[-1]["metrics"]["stopped_iteration"]) if self.phases else 0

    def _until(self, duration: Duration) -> Duration:
        per_epoch = self.recipe.per_epoch(self.data)
        return Duration(self._done + duration.iterations(per_epoch), "it") if self._done else duration

    def _keep(self, number: int, row: Row) -> None:
        row = row | {"phase": number}
        self.rows.append(row)
        if self.on_row:
            self.on_row(row)


def _with(ticket: Ticket, **provenance: Any) -> Ticket:
    return ticket.replace(provenance=dict(ticket.provenance) | provenance)


def _protocol_name(protocol: str | Transfer, made: Transfer) -> str:
    return protocol.partition(":")[0] if isinstance(protocol, str) else plugin_name(made)
