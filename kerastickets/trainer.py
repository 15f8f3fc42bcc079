"""The trainer: the one place that mutates a model. Compiled once, it serves every level and seed.

It builds its own model, so the user's is never touched; weights, masks and optimizer state are assigned
before each training (a freshly compiled model leaks about 4 MB for good).
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from kerastickets.augment import Augmentation
from kerastickets.data import Data
from kerastickets.engine import Engine, environment, use_jit
from kerastickets.errors import RecipeError
from kerastickets.intervals import Intervals
from kerastickets.keys import Place, assign, snapshot, variables, walk
from kerastickets.layout import Layout
from kerastickets.masking import assign_masks, attach, guard, matches
from kerastickets.objective import Objective
from kerastickets.optimizing import make_optimizer
from kerastickets.recipe import Recipe
from kerastickets.tree import Tree, masked

Row = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What one training led to.

    Args:
        final: the weights a ticket keeps: best or last as the recipe says, averaged ones where the
            optimizer averages, zeros where pruned.
        metrics: `early_stop_iteration`, `stopped_iteration`, the monitored best, and `test_*` measured
            with the best weights; with `keep="last"` also `last_val_*` and `last_test_*`.
        rows: one per evaluation.
        snapshots: weights by the step they were taken at.
        seconds: wall time.
    """

    final: Tree
    metrics: Mapping[str, Any]
    rows: tuple[Row, ...]
    snapshots: Mapping[int, Tree] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class _Best:
    """The best evaluation so far, and how long ago it was."""

    minimise: bool
    value: float = math.nan
    row: Row = field(default_factory=dict)
    weights: Tree | None = None
    waited: int = 0

    def beats(self, value: float) -> bool:
        # Strictly better, and anything is better than nothing.
        return math.isnan(self.value) or (value < self.value if self.minimise else value > self.value)


class Trainer:
    """Trains nets of one architecture on one data set.

    Args:
        build: makes a model of the architecture; called once.
        data: the data set.
        recipe: how to train.
        keys: the weights that carry masks.
        frozen: glob patterns of weights that do not train; a BatchNormalization whose weights they all
            name runs in inference mode.
        objective: loss and metrics; the data's own by default.
        callbacks: given the level, fresh Keras callbacks for it; `on_epoch_*` fires per evaluation.
        layout: where it trains; `build` is called in its scope.
        watch: `train` or `test`: splits measured at every evaluation besides validation. They are only
            written down: nothing is selected by them.

    Raises:
        RecipeError: a dial the model, the data or the optimizer cannot follow.
    """

    def __init__(
        self,
        build: Callable[[], keras.Model],
        data: Data,
        recipe: Recipe,
        keys: Collection[str],
        *,
        frozen: Collection[str] = (),
        objective: Objective | None = None,
        callbacks: Callable[[int], Iterable[Any]] | None = None,
        layout: Layout | None = None,
        watch: Collection[str] = (),
    ) -> None:
        self.data, self.recipe, self.callbacks = data, recipe, callbacks
        self.watch = watched(watch)
        self.layout = layout or Layout()
        with self.layout.scope():
            self._make(build, keys, frozen, objective)

    def _make(
        self,
        build: Callable[[], keras.Model],
        keys: Collection[str],
        frozen: Collection[str],
        objective: Objective | None,
    ) -> None:
        data, recipe = self.data, self.recipe
        allowed = self.layout.allows_jit(recipe.jit)
        self.model = build()
        self.per_epoch = max(1, len(data.train[0]) // recipe.batch_size)
        self.total = recipe.train.iterations(self.per_epoch)
        self._prepare(keys, frozen)
        optimizer, self._position = make_optimizer(recipe, self.total, self.per_epoch)
        self.layout.check_optimizer(optimizer)
        objective = objective or Objective.of(data, self.model)
        self.loss = keras.losses.get(objective.loss)
        self.model.compile(optimizer, objective.loss, metrics=objective.metrics(), jit_compile=False)
        guard(self.model.optimizer)
        self.jit = allowed and use_jit(self.model, recipe.jit) and data.batches is None
        augment = Augmentation.parse(recipe.augment)
        self.engine = Engine(self.model, data, recipe.batch_size, self.jit, augment, self.layout)

    def _prepare(self, keys: Collection[str], frozen: Collection[str]) -> None:
        own = variables(self.model)
        for key in keys:
            attach(own[key])
        places = list(walk(self.model))
        _freeze(places, frozen)
        for place in places:
            decays = place.variable.trainable and place.variable.name.endswith(
                ("kernel", "embeddings", "bias")
            )
            if decays and (self.recipe.l1 or self.recipe.l2):
                place.variable.regularizer = keras.regularizers.L1L2(self.recipe.l1, self.recipe.l2)

    @property
    def environment(self) -> dict[str, Any]:
        """Threads, oneDNN, XLA, replicas and workers, for provenance."""
        return environment(self.jit) | self.layout.describe()

    def load(self, weights: Tree, masks: Tree, *, seed: int, first: int = 0) -> keras.Model:
        """Put the model into the state at the start of a training, and return it.

        Args:
            weights: values for all variables.
            masks: True where kept; weights elsewhere become zero.
            seed: the data seed; random layers are keyed to it.
            first: the step that training would start at.
        """
        assign(self.model, weights)
        assign_masks(self.model, masks)
        self.engine.reset(seed, first)
        return self.model

    def train(
        self,
        weights: Tree,
        masks: Tree,
        *,
        seed: int,
        first: int = 0,
        rate_at: int | None = None,
        level: int = 0,
        snapshot_at: Collection[int] = (),
        on_row: Callable[[Row], None] | None = None,
    ) -> Outcome:
        """Train from `weights` under `masks`, from step `first` to the recipe's end.

        Args:
            weights: values for all variables.
            masks: True where kept.
            seed: keys data order, augmentation and random layers, with the step.
            first: the step to start at: its data, and its learning rate unless `rate_at` says another.
            rate_at: the schedule's position to start at.
            level: given to callbacks and rows; changes no number.
            snapshot_at: steps after which to keep a copy of the weights.
            on_row: called with each evaluation's row.

        Returns:
            An `Outcome`. Equal arguments give equal bits on one machine.

        Raises:
            RecipeError: the loss is not finite, or nothing is left to train.
        """
        if first >= self.total:
            raise RecipeError(
                f"Training must be longer than its start. Received: train={self.recipe.train} "
                f"({self.total} iterations) from iteration {first}"
            )
        started = time.perf_counter()
        self.load(weights, masks, seed=seed, first=first)
        if self._position is not None:
            self._position.start.assign(first if rate_at is None else rate_at)
        run = _Run(self, masks, seed, level, first, started, on_row)
        with self.layout.errors():
            run.go(frozenset(snapshot_at))
        return Outcome(run.final, run.metrics, tuple(run.rows), run.snapshots, time.perf_counter() - started)

    def averaged(self, masks: Tree) -> Tree:
        """The weights as a ticket keeps them: averaged where the optimizer averages, +0 where pruned."""
        optimizer = self.model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if not getattr(inner, "use_ema", False):
            return masked(snapshot(self.model), masks)
        raw = snapshot(self.model)
        inner.finalize_variable_values(self.model.trainable_variables)
        result = masked(snapshot(self.model), masks)
        assign(self.model, raw)
        return result


def watched(splits: Collection[str]) -> tuple[str, ...]:
    """The splits to measure at every evaluation, checked.

    Raises:
        RecipeError: one that is neither `train` nor `test`.
    """
    for split in splits:
        if isinstance(splits, str) or split not in ("train", "test"):
            raise RecipeError(f"`watch` must be a list of train and test. Received: watch={splits!r}")
    return tuple(sorted(splits))


def _freeze(places: Collection[Place], patterns: Collection[str]) -> None:
    """Stop what `patterns` name from training."""
    named = {pattern: [place for place in places if matches(place.key, pattern)] for pattern in patterns}
    for pattern, found in named.items():
        if not found:
            keys = ", ".join(place.key for place in places)
            raise RecipeError(f"`freeze` must name a weight. Received: {pattern!r}. Weights: {keys}")
        for place in found:
            place.variable.trainable = False
    if not any(place.variable.trainable for place in places):
        raise RecipeError(f"Something must be left to train. Received: freeze={[*patterns]}")
    for place in (place for found in named.values() for place in found):
        # Statistics move without a gradient: a layer that is frozen as a whole must not update them either.
        whole = not any(other.variable.trainable for other in places if other.layer is place.layer)
        if whole and isinstance(place.layer, keras.layers.BatchNormalization):
            place.layer.trainable = False


class _Run:
    """One training: the loop over evaluation intervals, and what it remembers."""

    def __init__(
        self,
        trainer: Trainer,
        masks: Tree,
        seed: int,
        level: int,
        first: int,
        started: float,
        on_row: Callable[[Row], None] | None,
    ) -> None:
        self.trainer, self.masks, self.seed, self.level = trainer, masks, seed, level
        self.first, self.started, self.on_row = first, started, on_row
        self.best = _Best(trainer.recipe.minimise)
        self.rows: list[Row] = []
        self.snapshots: dict[int, Tree] = {}
        self.final: Tree = {}
        self.metrics: Row = {}

    def go(self, snapshot_at: frozenset[int]) -> None:
        trainer = self.trainer
        made = trainer.callbacks(self.level) if trainer.callbacks else ()
        intervals = Intervals(made, trainer.model, scheduled=trainer._position is not None)
        every = trainer.recipe.eval_every.iterations(trainer.per_epoch)
        evaluations = {*range(every, trainer.total, every), trainer.total}
        stops = sorted(step for step in evaluations | snapshot_at if self.first < step <= trainer.total)
        self._record(self.first, {}, trainer.engine.evaluate("validation"), since=self.first)
        with intervals:
            at = pending = self.first
            for stop in stops:
                paused = at != pending
                if not paused:
                    intervals.begin()
                logs = trainer.engine.train(self.seed, at, stop - at, resume=paused)
                at = stop
                if stop in snapshot_at:
                    self.snapshots[stop] = snapshot(trainer.model)
                if stop not in evaluations:
                    continue
                row = self._record(stop, logs, trainer.engine.evaluate("validation"), since=pending)
                pending = stop
                self._judge(row)
                if intervals.end(row) or self._patience_is_over():
                    break
        self._close(at)

    def _record(
        self, iteration: int, logs: Mapping[str, float], validation: Mapping[str, float], since: int
    ) -> Row:
        row: Row = {"level": self.level, "iteration": iteration, "epoch": iteration / self.trainer.per_epoch}
        metrics = dict(logs) | {f"val_{name}": value for name, value in validation.items()}
        for split in self.trainer.watch:
            measured = self.trainer.engine.evaluate(split)
            metrics |= {f"{split}_{name}": value for name, value in measured.items()}
        self._check(metrics, since, iteration)
        row |= metrics
        row["seconds"] = time.perf_counter() - self.started
        if self.trainer.recipe.monitor not in row:
            known = ", ".join(name for name in row if name.startswith("val_"))
            raise RecipeError(
                f"`monitor` must be one of {known}. Received: monitor={self.trainer.recipe.monitor}"
            )
        self.rows.append(row)
        if self.on_row:
            self.on_row(row)
        return row

    def _check(self, metrics: Mapping[str, float], since: int, until: int) -> None:
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad and since == until:
            raise RecipeError(
                f"The weights that level {self.level} starts from must give finite metrics. Received: {bad[0]} is "
                f"{metrics[bad[0]]}. Check the initial weights, or the validation data."
            )
        if bad:
            raise RecipeError(
                f"Training diverged at level {self.level}: {bad[0]} is {metrics[bad[0]]} between iterations "
                f"{since} and {until}. Lower the learning rate (lr={self.trainer.recipe.lr}) or check the data."
            )

    def _judge(self, row: Row) -> None:
        value = row[self.trainer.recipe.monitor]
        if self.best.beats(value):
            self.best.value, self.best.row, self.best.waited = value, row, 0
            self.best.weights = self.trainer.averaged(self.masks)
        else:
            self.best.waited += 1

    def _patience_is_over(self) -> bool:
        patience = self.trainer.recipe.patience
        return patience is not None and self.best.waited >= patience

    def _close(self, at: int) -> None:
        """Measure the test set with the best weights (and the last, where those are kept)."""
        trainer = self.trainer
        last = trainer.averaged(self.masks)
        assert self.best.weights is not None
        self.metrics = {"early_stop_iteration": self.best.row["iteration"], "stopped_iteration": at}
        self.metrics |= {name: v for name, v in self.best.row.items() if name.startswith("val_")}
        self.metrics |= self._test(self.best.weights, "test_")
        self.final = self.best.weights
        if trainer.recipe.keep == "last":
            self.final = last
            ends = {f"last_{name}": v for name, v in self.rows[-1].items() if name.startswith("val_")}
            self.metrics |= ends | self._test(last, "last_test_")

    def _test(self, weights: Tree, prefix: str) -> Row:
        assign(self.trainer.model, weights)
        return {prefix + name: value for name, value in self.trainer.engine.evaluate("test").items()}
