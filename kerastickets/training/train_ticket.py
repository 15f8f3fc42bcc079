"""Train one ticket, outside the pruning loop."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from kerastickets.data.dataset import Data
from kerastickets.data.spec import data_spec
from kerastickets.errors import RecipeError
from kerastickets.foundations.rows import Row
from kerastickets.registry.plugin_options import unknown
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import (
    Source,
    data_digest,
    data_files,
    data_name,
    find_model,
    source_of,
    ticket_recipe,
)
from kerastickets.training.recipe import Recipe, TrainSettings
from kerastickets.training.trainer_cache import TrainerCache

if TYPE_CHECKING:
    from kerastickets.training.session import Outcome, Start
    from kerastickets.training.trainer import Trainer


#: Where training can start besides a ticket's own snapshots: controls that take one thing away from it.
CONTROLS = ("random-reinit", "dense", "small-dense")


@dataclass(frozen=True)
class Trained:
    """A trained ticket and how it went.

    Args:
        ticket: the ticket with its `final` weights and metrics.
        rows: one per evaluation.
        metrics: as in the ticket's provenance.
    """

    ticket: Ticket
    rows: tuple[Row, ...]
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class PreparedTraining:
    """A training made ready: whoever has several may train them together.

    Args:
        trainer: what trains it.
        start: what it starts from.
        finish: makes the trained ticket of the training's outcome.
    """

    trainer: "Trainer"
    start: "Start"
    finish: "Callable[[Outcome], Trained]"


def train(
    ticket: Ticket | str | Path,
    data: str | Data | None = None,
    *,
    start: str | None = None,
    freeze: Collection[str] = (),
    seed: int | None = None,
    strategy: Any = "default",
    model: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    callbacks: Callable[[int], Iterable[Any]] | None = None,
    watch: Collection[str] = (),
    trainers: TrainerCache | None = None,
    on_row: Callable[[Row], None] | None = None,
    **settings: Unpack[TrainSettings],
) -> Trained:
    """Train a ticket, or one of its controls.

    Args:
        ticket: a ticket or its file.
        data: a data set's name or a `Data`; None takes the one it was found on.
        start: a snapshot (`init`, `rewind@K`, `final`; `rewind` is the latest step) or a control:
            `random-reinit` (its mask, new weights), `dense` (its weights, no mask), `small-dense` (a
            narrower dense net with about as many weights as it keeps). None takes the ticket's own.
        freeze: glob patterns of weights that do not train.
        seed: keys data order, and new weights; None takes the ticket's own data seed.
        strategy: where to train: `default`, `mirrored`, `multiworker` or a `tf.distribute.Strategy`.
        model: what builds the model, for tickets without an architecture.
        custom_objects: your classes by name.
        callbacks: given a level, fresh Keras callbacks.
        watch: `train` or `test`: splits measured at every evaluation besides validation, for the record only.
        trainers: what to share with other trainings of this process.
        on_row: called with each evaluation's row.
        **settings: how to train, see `Recipe`; what is left out is as in the ticket's own recipe.

    Returns:
        A `Trained`.

    Raises:
        KerasTicketsError: a subclass that says what was expected, what was received and what to do.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> trained = train(toy_ticket(), "digits", train="1ep", jit="off")
        >>> trained.ticket.snapshots.keys() >= {"init", "final"}
        True
    """
    asked = TrainRequest(
        ticket,
        data,
        start,
        freeze,
        seed,
        strategy,
        model,
        custom_objects,
        callbacks,
        watch,
        trainers or TrainerCache(),
        on_row,
        settings,
    )
    training = prepared(asked)
    return training.finish(training.trainer.train_many([training.start])[0])


@dataclass(frozen=True)
class TrainRequest:
    """What `train` was asked for; its arguments, by the same names.

    Args:
        ticket: a ticket or its file.
        data: a data set, or None for the one that the ticket was found on.
        start: a snapshot or a control, or None for the ticket's own.
        freeze: glob patterns of weights that do not train.
        seed: the data seed, or None for the ticket's own.
        strategy: where to train.
        model: what builds the model, for tickets without an architecture.
        custom_objects: classes by name.
        callbacks: given a level, makes fresh Keras callbacks.
        watch: splits measured at every evaluation besides validation.
        trainers: what to share with other trainings of this process.
        on_row: called with each evaluation's row.
        settings: how to train; what is left out is as in the ticket's own recipe.
    """

    ticket: Ticket | str | Path
    data: str | Data | None
    start: str | None
    freeze: Collection[str]
    seed: int | None
    strategy: Any
    model: Any
    custom_objects: Mapping[str, Any] | None
    callbacks: Callable[[int], Iterable[Any]] | None
    watch: Collection[str]
    trainers: TrainerCache
    on_row: Callable[[Row], None] | None
    settings: Mapping[str, Any]


def prepared(asked: TrainRequest) -> PreparedTraining:
    """The training that `train` does, made ready.

    Args:
        asked: what is wanted.
    """
    from kerastickets.distribution.devices import Layout
    from kerastickets.foundations.environment import versions
    from kerastickets.training.session import Start, trained_level

    # First of all: TensorFlow joins a cluster before it computes anything.
    layout = Layout.of(asked.strategy)
    ticket, custom = Ticket.of(asked.ticket), asked.custom_objects
    given = {name: value for name, value in asked.settings.items() if value is not None}
    recipe = Recipe.of(given, ticket_recipe(ticket, custom or ()))
    seeds = dict(ticket.provenance.get("seeds") or {})
    seed = int(seeds.get("data", 0)) if asked.seed is None else asked.seed
    spec = data_spec(ticket, asked.data)
    data = asked.trainers.data(asked.trainers.data(spec), recipe.train_size, seed)
    source = ticket_source(ticket, data, asked.model, custom)
    subject = _subject(ticket, source, asked.start, seed)
    step = int(subject.start.partition("@")[2] or 0) if subject.start.startswith("rewind@") else 0
    if asked.start == "small-dense":  # of the controls, the one of another architecture than the source's
        source = replace(source, build=lambda: subject.build(custom), architecture=subject.architecture)
    trainer = asked.trainers.trainer(
        source,
        data,
        recipe,
        subject.masks,
        frozen=asked.freeze,
        callbacks=asked.callbacks,
        layout=layout,
        watch=asked.watch,
    )
    layout.agree(
        {
            "ticket": subject.digest,
            "recipe": json.dumps([recipe.describe(), seed, step, sorted(asked.freeze)], sort_keys=True),
            "data set": data_digest(data),
            "version of a library": json.dumps(versions()),
        }
    )
    level = int(ticket.provenance.get("level") or 0)
    begin = Start(subject.weights(subject.start), subject.masks, seed, step, level=level, on_row=asked.on_row)

    def finish(outcome: "Outcome") -> Trained:
        said = {"start": asked.start or ticket.start, "freeze": sorted(asked.freeze)}
        provenance = _provenance(subject, ticket, spec, recipe) | {
            "options": said,
            "seeds": seeds | {"data": seed},
        }
        done = trained_level(subject.replace(provenance=provenance), outcome, trainer.environment)
        return Trained(done, outcome.rows, outcome.metrics)

    return PreparedTraining(trainer, begin, finish)


def _provenance(subject: Ticket, ticket: Ticket, spec: str | Data, recipe: Recipe) -> dict[str, Any]:
    from kerastickets.foundations.environment import versions

    return dict(subject.provenance) | {
        "operation": "train",
        "dataset": data_name(spec),
        "files": dict(subject.provenance.get("files") or {}) | data_files(spec),
        "recipe": recipe.describe(),
        "parents": [ticket.digest],
        "versions": versions(),
    }


def ticket_source(ticket: Ticket, data: Data, model: Any, custom_objects: Mapping[str, Any] | None) -> Source:
    """What builds the ticket's model: its own architecture, or `model` where one is given."""
    found = ticket if model is None else find_model(model)
    return source_of(found, data, str(ticket.provenance.get("model", "ticket")), custom_objects)


def _subject(ticket: Ticket, source: Source, start: str | None, seed: int) -> Ticket:
    """The ticket that is really trained: `ticket`, started elsewhere, or a control made of it."""
    if start in CONTROLS:
        return control(ticket, start, seed, source.build)
    if start == "rewind":
        start = f"rewind@{max(ticket.rewinds)}" if ticket.rewinds else "init"
    start = start or ticket.start
    start = "init" if start == "rewind@0" else start
    ticket.weights(start)
    trees = {name: tree for name, tree in ticket.snapshots.items() if name != "final" or start == "final"}
    return ticket.replace(snapshots=trees, provenance=dict(ticket.provenance) | {"start": start})


def control(ticket: Ticket, kind: str, seed: int, build: Callable[[], Any] | None = None) -> Ticket:
    """A ticket's control: like it but for one thing.

    Args:
        ticket: the ticket.
        kind: `random-reinit` (its mask, new weights), `dense` (its weights, no mask) or `small-dense` (a
            narrower dense net with about as many weights as it keeps).
        seed: keys new weights.
        build: makes its model; its own architecture's by default.

    Returns:
        A ticket that starts from its `init`.

    Raises:
        RecipeError: there is no such control, or the model cannot be narrowed.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> [control(toy_ticket(), kind, seed=0).kept for kind in CONTROLS]
        [222, 444, 222]
    """
    makers = dict(zip(CONTROLS, (_reinit, _dense, _small_dense), strict=True))
    if kind not in makers:
        raise RecipeError(unknown("control", kind, CONTROLS, "Controls"))
    return makers[kind](ticket, build or ticket.build, seed)


def _reinit(ticket: Ticket, build: Callable[[], Any], seed: int) -> Ticket:
    from kerastickets.models.initial_weights import draw_weights

    # Another key than the one the ticket's own weights came from.
    fresh = dict(ticket.weights("init")) | draw_weights(build(), seed, "reinit")
    return ticket.replace(snapshots={"init": fresh}, provenance=dict(ticket.provenance) | {"start": "init"})


def _dense(ticket: Ticket, build: Callable[[], Any], seed: int) -> Ticket:
    trees = {name: tree for name, tree in ticket.snapshots.items() if name != "final"}
    provenance = dict(ticket.provenance) | {"start": "init"}
    masks = {key: np.ones_like(mask) for key, mask in ticket.masks.items()}
    return ticket.replace(masks=masks, snapshots=trees, provenance=provenance)


def _small_dense(ticket: Ticket, build: Callable[[], Any], seed: int) -> Ticket:
    from kerastickets.models.architecture import faithful_architecture
    from kerastickets.models.initial_weights import fresh
    from kerastickets.models.masking import weight_reports
    from kerastickets.models.narrower import narrowed
    from kerastickets.models.variables import snapshot

    model = fresh(lambda: narrowed(build(), ticket.kept), seed)
    masks = {entry.key: np.ones(entry.shape, bool) for entry in weight_reports(model) if entry.masked}
    provenance = dict(ticket.provenance) | {"start": "init"}
    return Ticket(faithful_architecture(model), masks, {"init": snapshot(model)}, provenance)
