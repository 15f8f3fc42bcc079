"""Carry a ticket to another task: a protocol plans phases of training, and this trains them one after another."""

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
from kerastickets.data.spec import data_files, data_name
from kerastickets.errors import RecipeError, TicketError
from kerastickets.foundations.duration import Duration
from kerastickets.foundations.tree import Tree
from kerastickets.registry.plugin_options import describe
from kerastickets.tickets.operation import plugin_name
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import ticket_recipe
from kerastickets.training.recipe import Dials, Recipe
from kerastickets.training.train_ticket import train
from kerastickets.training.trainer_cache import TrainerCache
from kerastickets.transferring.output_layer import Ends, other_outputs
from kerastickets.transferring.protocol import Phase, Transfer

Row = dict[str, Any]


@dataclass(frozen=True)
class Transferred:
    """A ticket on another task, and how it went.

    Args:
        ticket: what the last phase left: `init`, where that phase started, `final` and metrics.
        rows: one per evaluation, with its `phase` from 0; iterations go on from phase to phase.
        metrics: those of the last phase.
        phases: of each phase `frozen` (how many weights' keys), `start`, `duration` and `metrics`.
        train_size: the training examples of the target that were used.
    """

    ticket: Ticket
    rows: tuple[Row, ...]
    metrics: Mapping[str, Any]
    phases: tuple[Mapping[str, Any], ...]
    train_size: int

    def facts(self) -> dict[str, Any]:
        """What `kt transfer --json` prints, but for the ticket's file."""
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
    target: str | Data,
    *,
    seed: int | None = None,
    trainers: TrainerCache | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    watch: Collection[str] = (),
    on_row: Callable[[Row], None] | None = None,
    adapt: str | None = None,
    **dials: Unpack[Dials],
) -> Transferred:
    """Train a ticket on another task, as a protocol says.

    Whatever the protocol, iteration i sees the same batch of the target: data order depends on `seed` alone, and
    goes on from one phase to the next. So does a learning rate's schedule; the optimizer starts anew.

    Args:
        protocol: a registered name (`"ticket"`, `"new-head:density=ticket"`) or an instance.
        ticket: a ticket or its file.
        target: a data set's name, or a `Data`. Its test split selects nothing.
        seed: keys data order, and new weights; None takes the ticket's own data seed.
        trainers: what to share with other trainings of this process.
        custom_objects: your classes by name, for the training; protocols that rebuild the model (for a new output
            layer or new weights) have only Keras's and this library's.
        watch: `train` or `test`: splits measured at every evaluation besides validation, for the record only.
        on_row: called with each evaluation's row.
        adapt: how images of another size or of other channels are made to fit, see
            `kerastickets.data.image_shape.adapted`; None refuses them.
        **dials: how to train, see `Recipe`; what is left out is as in the ticket's own recipe, except that the
            target is used whole unless `train_size` says otherwise. `train` is how long in all.

    Returns:
        A `Transferred`.

    Raises:
        RecipeError: the target has other inputs and `adapt` does not help, or other outputs and the protocol keeps
            the output layer.
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
    ticket = ticket if isinstance(ticket, Ticket) else Ticket.load(ticket)
    trainers = trainers or TrainerCache()
    given = {name: value for name, value in dials.items() if value is not None}
    own = {k: v for k, v in ticket_recipe(ticket, custom_objects or ()).items() if k != "train_size"}
    recipe = Recipe.of(given, own)
    if seed is None:
        seed = int((ticket.provenance.get("seeds") or {}).get("data", 0))
    ends = Ends.of(ticket, custom_objects)
    data = _target(trainers, target, ends, adapt, recipe, seed)
    engine = _PhaseTrainer(data, recipe, seed, custom_objects, watch, trainers, on_row)
    # The data are the part that is used already, which a protocol counts on.
    planned = _with(ticket, recipe=recipe.describe() | {"train_size": None}, dataset=data_name(target))
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
    return Transferred(moved, tuple(engine.rows), metrics, tuple(engine.phases), len(data.train[0]))


def main_duration(ticket: Ticket) -> Duration:
    """How long a transfer of this ticket lasts in all, as a protocol reads it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> main_duration(toy_ticket())
        Duration(count=1, unit='ep')
    """
    return _recipe(ticket).train


def phase_durations(ticket: Ticket, target: Data, *shares: float) -> tuple[Duration, ...]:
    """The main duration in parts that sum to it, each of one iteration at least.

    Args:
        ticket: says how long in all, and the batch size.
        target: says how long an epoch is.
        *shares: of each part, of their sum.

    Raises:
        RecipeError: there are fewer iterations than parts.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> phase_durations(toy_ticket().replace(provenance={"recipe": {"train": "30it"}}), toy_data(), 1, 2)
        (Duration(count=10, unit='it'), Duration(count=20, unit='it'))
    """
    recipe = _recipe(ticket)
    iterations = recipe.train.iterations(max(1, len(target.train[0]) // recipe.batch_size))
    ends = [round(iterations * sum(shares[:n]) / sum(shares)) for n in range(len(shares) + 1)]
    counts = [end - begin for begin, end in pairwise(ends)]
    if min(counts) < 1:
        raise RecipeError(
            f"Training in {len(shares)} phases must give each an iteration. Received: train={recipe.train}, "
            f"{iterations} iterations in all. Train for longer (`--train`), or in fewer phases."
        )
    return tuple(Duration(count, "it") for count in counts)


def needed_snapshot(ticket: Ticket, snapshot: str, protocol: Transfer) -> str:
    """`snapshot`, where the ticket has it.

    Raises:
        TicketError: it has not; says what to do.
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
    """The target as it is trained on: fitting the model, and as much of it as is wanted."""
    whole = trainers.data(target)
    if adapt is None:
        check_fits(whole, ends.inputs)
    else:
        parse_adapt(adapt)
        whole = trainers.adapted(whole, ends.inputs, adapt)
    return trainers.data(whole, recipe.train_size, seed)


@dataclass
class _PhaseTrainer:
    """Trains phases, and remembers how they went."""

    data: Data
    recipe: Recipe
    seed: int
    custom_objects: Mapping[str, Any] | None
    watch: Collection[str]
    trainers: TrainerCache
    on_row: Callable[[Row], None] | None
    rows: list[Row] = dataclasses.field(default_factory=list)
    phases: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    trained: Ticket | None = None

    def run(self, plan: Iterator[Phase]) -> None:
        """Train what a protocol plans; a generator is sent what each phase led to."""
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
        # A start at a step is how `train` is told which batch comes next.
        start = f"rewind@{done}" if done else "init"
        recipe = self.recipe.describe() | {"train_size": None}
        said = dict(phase.ticket.provenance) | {"start": start, "recipe": recipe}
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
        """The iterations of the phases before."""
        return int(self.phases[-1]["metrics"]["stopped_iteration"]) if self.phases else 0

    def _until(self, duration: Duration) -> Duration:
        per_epoch = max(1, len(self.data.train[0]) // self.recipe.batch_size)
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
