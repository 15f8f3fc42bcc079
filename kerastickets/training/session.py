"""One training, step by step: when it evaluates, when it stops, and what it remembers.

`Training.wishes` is a generator that yields what is to be done next: steps or an evaluation. Its driver does that,
and sends back the metrics. So the same code trains a single net and many nets that take turns.
"""

import math
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from kerastickets.errors import RecipeError
from kerastickets.foundations.rows import Row
from kerastickets.foundations.tree import Tree, kept
from kerastickets.models.pruned_weights import held_masks
from kerastickets.training.checkpoint import Checkpoint, Keeper, TrainingState
from kerastickets.training.interval_callbacks import Intervals
from kerastickets.training.recipe import Recipe

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Start:
    """The state that a training starts from.

    Args:
        weights: values for all variables.
        masks: booleans by key, True where a weight is kept.
        seed: random seed, together with the step, for data order, augmentation and random layers.
        first: the step to start at. It decides the data, and the learning rate too unless `rate_at` is given.
        rate_at: the position in the learning-rate schedule to start at.
        level: the level, for callbacks and rows. It changes no number.
        snapshot_at: steps after which to keep a copy of the weights.
        on_row: called with the row of each evaluation.
        checkpoint: the file that keeps the state of the training, if any.
        identity: what the file must belong to besides the trainer and this start: the ticket, and the data.
        measured: only measure the net. It is not trained, and its weights are the result.
        remask_at: steps after which the masks change. Only evaluations from the last of them on can be the best.
        remask: gives the new masks, from the step and the masks so far. Meanwhile the trainer's model is the net.
        teacher: the weights of the trainer's teacher, if it has one.
    """

    weights: Tree
    masks: Tree
    seed: int
    first: int = 0
    rate_at: int | None = None
    level: int = 0
    snapshot_at: Collection[int] = ()
    on_row: Callable[[Row], None] | None = None
    checkpoint: Checkpoint | None = None
    identity: str = ""
    measured: bool = False
    remask_at: Collection[int] = ()
    remask: Callable[[int, Tree], Tree] | None = None
    teacher: Tree | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of one training.

    Args:
        final: the weights that a ticket keeps: the best or the last, as the recipe says. They are averages if the
            optimizer averages, and zero where pruned.
        metrics: `early_stop_iteration`, `stopped_iteration`, `val_*` of the best evaluation, and `test_*` measured
            with the best weights. With `keep="last"` also `last_val_*` and `last_test_*`.
        rows: one row per evaluation.
        snapshots: copies of the weights, by the step after which they were taken.
        seconds: wall time in seconds.
        masks: the masks at the end, if they changed while it trained.
    """

    final: Tree
    metrics: Mapping[str, Any]
    rows: tuple[Row, ...]
    snapshots: Mapping[int, Tree] = field(default_factory=dict)
    seconds: float = 0.0
    masks: Tree | None = None


class Steps(NamedTuple):
    """A wish: run the steps from `first` to `until`. With `resume` the metrics also cover the steps before."""

    first: int
    until: int
    resume: bool


#: What a training wants to be done next: steps, or the evaluation of a split, given by its name.
Wish = Steps | str


class Net(Protocol):
    """The net that is trained, as the training sees it between its wishes."""

    def weights(self) -> Tree:
        """The current weights."""

    def averaged(self, masks: Tree) -> Tree:
        """The weights in the form that a ticket keeps: averaged if the optimizer averages, zero where pruned."""

    def remask(self, make: Callable[[], Tree]) -> Tree:
        """Put the net into the trainer's model, give it the masks that `make` then makes, and return them."""


class NetTrainer(Protocol):
    """The parts of a trainer that the training of one net needs."""

    model: Any
    recipe: Recipe
    callbacks: Callable[[int], Iterable[Any]] | None
    watch: tuple[str, ...]
    per_epoch: int
    total: int

    @property
    def scheduled(self) -> bool:
        """Whether a schedule sets the learning rate."""

    @property
    def averages(self) -> bool:
        """Whether the optimizer keeps averages of the weights."""

    def begin(self, start: Start) -> None:
        """Put the model into the state that a training starts from."""

    def averaged(self, masks: Tree) -> Tree:
        """The model's weights in the form that a ticket keeps."""

    def remask(self, make: Callable[[], Tree]) -> Tree:
        """Give the model new masks."""

    def test(self, weights: Tree) -> Metrics:
        """The loss and metrics of `weights` on the test set."""


@dataclass
class _Best:
    """The best evaluation so far, and how long ago it was."""

    minimise: bool
    value: float = math.nan
    row: Row = field(default_factory=dict)
    weights: Tree | None = None
    waited: int = 0

    def beats(self, value: float) -> bool:
        # Only a strictly better value counts, and any value is better than none.
        return math.isnan(self.value) or (value < self.value if self.minimise else value > self.value)


class Training:
    """One training of a net by a trainer's recipe.

    Args:
        trainer: gives the recipe, and measures the test set at the end.
        start: the state that the training starts from. It is already loaded.
        net: the net that is trained.
        keeper: keeps the state of the training; None keeps none.
    """

    def __init__(self, trainer: NetTrainer, start: Start, net: Net, keeper: Keeper | None = None) -> None:
        self.trainer, self.start, self.net, self.keeper = trainer, start, net, keeper
        self.recipe = trainer.recipe
        self.started = time.perf_counter()
        self.best = _Best(self.recipe.minimise)
        self.rows: list[Row] = []
        self.snapshots: dict[int, Tree] = {}
        self.masks = start.masks
        self._settled = max(start.remask_at, default=start.first)

    def wishes(self) -> Generator[Wish, Metrics, Outcome]:
        """Yield what is to be done next, expect its metrics to be sent back, and return the outcome at the end.

        Raises:
            RecipeError: a metric is not finite, or the monitored metric does not exist.
        """
        trainer, first = self.trainer, self.start.first
        made = trainer.callbacks(self.start.level) if trainer.callbacks else ()
        every = self.recipe.eval_every.iterations(trainer.per_epoch)
        evaluations = {*range(every, trainer.total, every), trainer.total}
        wanted = evaluations | frozenset(self.start.snapshot_at) | frozenset(self.start.remask_at)
        stops = sorted(step for step in wanted if first < step <= trainer.total)
        if self.start.measured:
            self._judge((yield from self._record(first, {}, since=first)))
            return self._outcome(first)
        intervals = Intervals(made, trainer.model, scheduled=trainer.scheduled)
        state = self.keeper.resume() if self.keeper else None
        if state is None:
            yield from self._record(first, {}, since=first)
        else:
            self._resume(state)
        at, since = (state.at, state.since) if state else (first, first)
        with intervals:
            for stop in (stop for stop in stops if stop > at):
                if at == since:
                    intervals.begin()
                logs = yield from self._steps(at, stop, since)
                at = stop
                if stop in self.start.remask_at:
                    self._remask(stop)
                if stop in self.start.snapshot_at:
                    self.snapshots[stop] = self.net.weights()
                if stop not in evaluations:
                    continue
                row = yield from self._record(stop, logs, since=since)
                since = stop
                if stop >= self._settled:
                    self._judge(row)
                if intervals.end(row) or self._patience_is_over():
                    break
                self._keep(at, since)
        return self._outcome(at)

    def _steps(self, at: int, stop: int, since: int) -> Generator[Wish, Metrics, Metrics]:
        """Run the steps from `at` to `stop`: at once, or in calls of some seconds so that the state can be kept."""
        while True:
            until = self.keeper.until(at, stop) if self.keeper else stop
            logs = yield Steps(at, until, at != since)
            at = until
            if at == stop:
                return logs
            self._keep(at, since)

    def _remask(self, step: int) -> None:
        """Change the masks of the net."""
        change = self.start.remask
        assert change is not None, "Steps at which masks change come with a function that makes the masks."
        self.masks = self.net.remask(lambda: change(step, self.masks))

    def _keep(self, at: int, since: int) -> None:
        """Let the keeper write the state if it is time."""

        def state(variables: Sequence[np.ndarray]) -> TrainingState:
            best, rows = self.best, tuple(self.rows)
            number = next((n for n, row in enumerate(rows) if row is best.row), None)
            return TrainingState(
                at=at,
                since=since,
                rows=rows,
                best=number,
                waited=best.waited,
                best_weights=best.weights or {},
                snapshots=self.snapshots,
                seconds=time.perf_counter() - self.started,
                variables=variables,
            )

        if self.keeper is not None:
            self.keeper.visit(state)

    def _resume(self, state: TrainingState) -> None:
        """Go on from a state that was kept."""
        self.started = time.perf_counter() - state.seconds
        for row in state.rows:
            self.rows.append(dict(row))
            if self.start.on_row:
                self.start.on_row(self.rows[-1])
        if state.best is not None:
            row, minimise = self.rows[state.best], self.recipe.minimise
            self.best = _Best(minimise, row[self.recipe.monitor], row, state.best_weights, state.waited)
        self.snapshots = dict(state.snapshots)
        if self.start.remask_at:
            held = held_masks(self.trainer.model)
            self.masks = {key: held[key] for key in self.start.masks}

    def _record(self, iteration: int, logs: Metrics, since: int) -> Generator[Wish, Metrics, Row]:
        start = self.start
        row: Row = {"level": start.level, "iteration": iteration, "epoch": iteration / self.trainer.per_epoch}
        metrics = dict(logs)
        for prefix, split in [("val", "validation"), *((split, split) for split in self.trainer.watch)]:
            measured = yield split
            metrics |= {f"{prefix}_{name}": value for name, value in measured.items()}
        self._check(metrics, since, iteration)
        row |= metrics | ({"kept": kept(self.masks)} if start.remask_at else {})
        row["seconds"] = time.perf_counter() - self.started
        if self.recipe.monitor not in row:
            known = ", ".join(name for name in row if name.startswith("val_"))
            raise RecipeError(f"`monitor` must be one of {known}. Received: monitor={self.recipe.monitor}")
        self.rows.append(row)
        if start.on_row:
            start.on_row(row)
        return row

    def _check(self, metrics: Metrics, since: int, until: int) -> None:
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad and since == until:
            raise RecipeError(
                f"The weights that level {self.start.level} starts from must give finite metrics. Received: "
                f"{bad[0]} is {metrics[bad[0]]}. Check the initial weights, or the validation data."
            )
        if bad:
            raise RecipeError(
                f"Training diverged at level {self.start.level}: {bad[0]} is {metrics[bad[0]]} between iterations "
                f"{since} and {until}. Lower the learning rate (lr={self.recipe.lr}) or check the data."
            )

    def _judge(self, row: Row) -> None:
        value = row[self.recipe.monitor]
        if self.best.beats(value):
            self.best.value, self.best.row, self.best.waited = value, row, 0
            self.best.weights = self.net.averaged(self.masks)
        else:
            self.best.waited += 1

    def _patience_is_over(self) -> bool:
        patience = self.recipe.patience
        return patience is not None and self.best.waited >= patience

    def _outcome(self, at: int) -> Outcome:
        """Measure the test set with the best weights, and also with the last weights if those are kept."""
        final = self.best.weights
        if final is None:
            raise RecipeError(
                f"Training must last until the masks are final, iteration {self._settled}. Received: a callback "
                f"that stopped it at {at}. Stop later, or end the cuts earlier."
            )
        last = self.net.averaged(self.masks) if self.recipe.keep == "last" else final
        metrics = {"early_stop_iteration": self.best.row["iteration"], "stopped_iteration": at}
        metrics |= {name: v for name, v in self.best.row.items() if name.startswith("val_")}
        if not self.recipe.no_test:
            metrics |= self._test(final, "test_")
        if self.recipe.keep == "last":
            final = last
            ends = {f"last_{name}": v for name, v in self.rows[-1].items() if name.startswith("val_")}
            metrics |= ends | ({} if self.recipe.no_test else self._test(last, "last_test_"))
        seconds = time.perf_counter() - self.started
        moved = self.masks if self.start.remask_at else None
        return Outcome(final, metrics, tuple(self.rows), self.snapshots, seconds, moved)

    def _test(self, weights: Tree, prefix: str) -> Row:
        return {prefix + name: value for name, value in self.trainer.test(weights).items()}
