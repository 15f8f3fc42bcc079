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
from kerastickets.training.checkpoint import Checkpoint
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
from kerastickets.training.teacher import find_teacher
from kerastickets.training.trainer_cache import TrainerCache

if TYPE_CHECKING:
    from kerastickets.training.session import Outcome, Start
    from kerastickets.training.trainer import Trainer


#: Controls: variants of a ticket that lack one thing, from which training can start instead of from a snapshot.
CONTROLS = ("random-reinit", "dense", "small-dense")


@dataclass(frozen=True)
class Trained:
    """A trained ticket and how it went.

    Args:
        ticket: the ticket with its `final` weights and metrics.
        rows: one row per evaluation.
        metrics: the metrics, as in the ticket's provenance.
    """

    ticket: Ticket
    rows: tuple[Row, ...]
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class PreparedTraining:
    """A training that is ready to run. Several of them can run together.

    Args:
        trainer: the trainer to use.
        start: the state to start from.
        finish: turns the outcome of the training into the trained ticket.
    """

    trainer: "Trainer"
    start: "Start"
    finish: "Callable[[Outcome], Trained]"


def train(
    ticket: Ticket | str | Path,
    data: Any = None,
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
    checkpoint: Checkpoint | None = None,
    teacher: Any = None,
    **settings: Unpack[TrainSettings],
) -> Trained:
    """Train a ticket, or one of its controls.

    Args:
        ticket: a ticket or its file.
        data: a data set's name, a `Data` or arrays (see `data_from`); None takes the one that the ticket was found on.
        start: where to start. A snapshot: `init`, `rewind@K`, `rewind` (the latest step) or `final`. Or a control:
            `random-reinit` (the ticket's mask, new weights), `dense` (the ticket's weights, no mask) or
            `small-dense` (a narrower dense net with about as many weights as the ticket keeps). None takes the
            ticket's own start.
        freeze: glob patterns of the keys of weights that do not train.
        seed: random seed for data order and new weights; None takes the ticket's own data seed.
        strategy: where to train: `default`, `mirrored`, `multiworker` or a `tf.distribute.Strategy`.
        model: the model's name, file, function or object, for tickets without an architecture.
        custom_objects: your classes by name.
        callbacks: a function that takes the level and returns fresh Keras callbacks.
        watch: further splits to measure at every evaluation, `train` or `test`. They are only recorded.
        trainers: the cache that trainings of this process share.
        on_row: called with the row of each evaluation.
        checkpoint: the file that keeps the state of the training while it lasts. If the file holds the state of this
            training, it continues from there. The state is not kept with callbacks or several workers.
        teacher: a trained ticket or its file, a `.keras` file or a `keras.Model` to learn from. `distil` says how much
            (0.5 if it is left out).
        **settings: how to train, see `Recipe`. Settings that are left out come from the ticket's own recipe.

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
        checkpoint,
        teacher,
    )
    training = prepared(asked)
    return training.finish(training.trainer.train_many([training.start])[0])


@dataclass(frozen=True)
class TrainRequest:
    """The arguments of `train`, by the same names.

    Args:
        ticket: a ticket or its file.
        data: a data set, or None for the one that the ticket was found on.
        start: a snapshot or a control, or None for the ticket's own start.
        freeze: glob patterns of the keys of weights that do not train.
        seed: the data seed, or None for the ticket's own.
        strategy: where to train.
        model: the model, for tickets without an architecture.
        custom_objects: classes by name.
        callbacks: a function that takes the level and returns fresh Keras callbacks.
        watch: further splits to measure at every evaluation.
        trainers: the cache that trainings of this process share.
        on_row: called with the row of each evaluation.
        settings: how to train. Settings that are left out come from the ticket's own recipe.
        checkpoint: the file that keeps the state of the training, if any.
        teacher: what to learn from, if anything.
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
    checkpoint: Checkpoint | None = None
    teacher: Any = None


def prepared(asked: TrainRequest) -> PreparedTraining:
    """Prepare the training that `train` does.

    Args:
        asked: the arguments of `train`.
    """
    from kerastickets.distribution.devices import Layout
    from kerastickets.foundations.environment import versions
    from kerastickets.training.session import Start
    from kerastickets.training.trained_level import trained_level

    # This comes first, since TensorFlow must join a cluster before it computes anything.
    layout = Layout.of(asked.strategy)
    ticket, custom = Ticket.of(asked.ticket), asked.custom_objects
    own = ticket_recipe(ticket, custom or ()) | ({"distil": 0.5} if asked.teacher is not None else {})
    recipe = Recipe.of({k: v for k, v in asked.settings.items() if v is not None}, own)
    seeds = dict(ticket.provenance.get("seeds") or {})
    seed = int(seeds.get("data", 0)) if asked.seed is None else asked.seed
    spec = data_spec(ticket, asked.data)
    data = asked.trainers.data(asked.trainers.data(spec), recipe.train_size, seed)
    source = ticket_source(ticket, data, asked.model, custom)
    subject = _subject(ticket, source, asked.start, seed)
    teacher = None if asked.teacher is None else find_teacher(asked.teacher, data, custom)
    known = {"teacher": teacher.digest} if teacher else {}
    step = int(subject.start.partition("@")[2] or 0) if subject.start.startswith("rewind@") else 0
    if asked.start == "small-dense":  # the only control whose architecture is not the source's
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
        teacher=teacher and teacher.source,
    )
    decides = {
        "ticket": subject.digest,
        "recipe": json.dumps([recipe.describe(), seed, step, sorted(asked.freeze)], sort_keys=True),
        "data set": data_digest(data),
        "version of a library": json.dumps(versions()),
    } | known
    layout.agree(decides)
    begin = Start(
        subject.weights(subject.start),
        subject.masks,
        seed,
        step,
        level=int(ticket.provenance.get("level") or 0),
        on_row=asked.on_row,
        checkpoint=asked.checkpoint,
        identity=json.dumps(decides),
        teacher=teacher and teacher.weights,
    )

    def finish(outcome: "Outcome") -> Trained:
        said = {"start": asked.start or ticket.start, "freeze": sorted(asked.freeze)}
        own = {"options": said, "seeds": seeds | {"data": seed}} | data.provenance() | source.compiled()
        provenance = _provenance(subject, ticket, spec, recipe) | own | known
        done = trained_level(subject.replace(provenance=provenance), outcome, trainer.environment)
        return Trained(done, outcome.rows, outcome.metrics)

    return PreparedTraining(trainer, begin, finish)


def _provenance(subject: Ticket, ticket: Ticket, spec: str | Data, recipe: Recipe) -> dict[str, Any]:
    from kerastickets.foundations.environment import versions

    # What this training may have otherwise.
    left_out = ("standardised", "compiled", "teacher")
    return {name: value for name, value in subject.provenance.items() if name not in left_out} | {
        "operation": "train",
        "dataset": data_name(spec),
        "files": dict(subject.provenance.get("files") or {}) | data_files(spec),
        "recipe": recipe.describe(),
        "parents": [ticket.digest],
        "versions": versions(),
    }


def ticket_source(ticket: Ticket, data: Data, model: Any, custom_objects: Mapping[str, Any] | None) -> Source:
    """The source of the ticket's model: its own architecture, or `model` if one is given."""
    found = ticket if model is None else find_model(model)
    return source_of(found, data, str(ticket.provenance.get("model") or "ticket"), custom_objects)


def _subject(ticket: Ticket, source: Source, start: str | None, seed: int) -> Ticket:
    """The ticket that is actually trained: `ticket` with another start, or a control made from it."""
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
    """Make a control of a ticket: a ticket that differs from it in one thing.

    Args:
        ticket: the ticket.
        kind: `random-reinit` (the ticket's mask, new weights), `dense` (the ticket's weights, no mask) or
            `small-dense` (a narrower dense net with about as many weights as the ticket keeps).
        seed: random seed for new weights.
        build: makes the ticket's model; by default from the ticket's own architecture.

    Returns:
        A ticket whose training starts from its `init`.

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

    # The key differs from the one that the ticket's own weights were drawn with.
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
    from kerastickets.models.narrower import narrowed
    from kerastickets.models.prunable_weights import weight_reports
    from kerastickets.models.variables import snapshot

    model = fresh(lambda: narrowed(build(), ticket.kept), seed)
    masks = {entry.key: np.ones(entry.shape, bool) for entry in weight_reports(model) if entry.masked}
    provenance = dict(ticket.provenance) | {"start": "init"}
    return Ticket(faithful_architecture(model), masks, {"init": snapshot(model)}, provenance)
