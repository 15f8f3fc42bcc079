"""The trainer: the only place that changes a model. It is compiled once, and serves every level and seed.

It builds its own model, so the user's model is never touched. Weights, masks and optimizer state are assigned before
each training, because every newly compiled model leaks about 4 MB.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import keras

from kerastickets.data.augmentation import Augmentation
from kerastickets.data.dataset import Data
from kerastickets.distribution.devices import Layout
from kerastickets.errors import KerasTicketsError, RecipeError
from kerastickets.foundations.environment import versions
from kerastickets.foundations.termination import deferred
from kerastickets.foundations.tree import Tree, masked
from kerastickets.models.derived_state import derives
from kerastickets.models.label_fit import check_batches
from kerastickets.models.masking import assign_masks, attach, guard
from kerastickets.models.objective import Objective, loss_function
from kerastickets.models.variables import assign, paths, snapshot, variables, walk
from kerastickets.training.checkpoint import Checkpoint, Keeper, Pace
from kerastickets.training.compilation import check_room, environment, use_jit
from kerastickets.training.engine import Engine
from kerastickets.training.first_batch import refusing
from kerastickets.training.freezing import freeze
from kerastickets.training.interleaving import InterleavedNets, train_together
from kerastickets.training.optimizers import make_optimizer
from kerastickets.training.recipe import Recipe, watched
from kerastickets.training.session import Metrics, Outcome, Row, Start, Steps, Training, Wish
from kerastickets.training.teacher import distillation


class Trainer:
    """Trains nets of one architecture on one data set.

    Args:
        build: makes a model of the architecture. It is called once.
        data: the data set.
        recipe: how to train.
        keys: the keys of the weights that have masks.
        frozen: glob patterns of the keys of weights that do not train. A BatchNormalization layer whose weights are
            all frozen runs in inference mode.
        objective: loss and metrics; by default the data's own.
        callbacks: a function that takes the level and returns fresh Keras callbacks. `on_epoch_*` fires per
            evaluation.
        layout: where to train. `build` is called in its scope.
        watch: further splits to measure at every evaluation, `train` or `test`. They are only recorded: nothing is
            selected by them.
        teacher: makes the teacher of a recipe that distils.

    Raises:
        RecipeError: the model, the data or the optimizer does not support a setting.
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
        teacher: Callable[[], keras.Model] | None = None,
    ) -> None:
        self.data, self.recipe, self.callbacks = data, recipe, callbacks
        self.watch = watched(watch)
        self.layout = layout or Layout()
        self._group: InterleavedNets | None = None
        self._pace = Pace()
        self._derived: dict[str, str] = {}
        with self.layout.scope():
            self._distillation = distillation(recipe, teacher)
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
        self.per_epoch = recipe.per_epoch(data)
        self.total = recipe.train.iterations(self.per_epoch)
        self._prepare(keys, frozen)
        optimizer, self._position = make_optimizer(recipe, self.total, self.per_epoch)
        self.layout.check_optimizer(optimizer)
        objective = objective or Objective.of(data, self.model)
        objective.compile(self.model, data, optimizer)
        self.loss = loss_function(self.model, data.train)
        guard(self.model.optimizer)
        jit = allowed and all(use_jit(net, recipe.jit) for net in self._nets) and data.batches is None
        check_room(jit)
        augment = Augmentation.parse(recipe.augment)
        fixed = check_batches(self.model, data, recipe.batch_size, "validation", "test")
        with refusing(data.name):
            self.engine = Engine(
                *(self.model, data, recipe.batch_size, jit, augment, self.layout),
                fixed or recipe.eval_batch_size,
                jit_needed=recipe.jit == "on",
                distillation=self._distillation,
            )

    def _prepare(self, keys: Collection[str], frozen: Collection[str]) -> None:
        own = variables(self.model)
        for key in keys:
            attach(own[key])
        places = list(walk(self.model))
        freeze(places, frozen)
        for place in places:
            decays = place.variable.trainable and place.variable.name.endswith(
                ("kernel", "embeddings", "bias")
            )
            if decays and (self.recipe.l1 or self.recipe.l2):
                place.variable.regularizer = keras.regularizers.L1L2(self.recipe.l1, self.recipe.l2)

    @property
    def jit(self) -> bool:
        """Whether XLA compiles the training."""
        return self.engine.jit

    @property
    def environment(self) -> dict[str, Any]:
        """For provenance: threads, oneDNN, XLA, replicas and workers."""
        return environment(self.jit) | self.layout.describe()

    def load(self, weights: Tree, masks: Tree, *, seed: int, first: int = 0) -> keras.Model:
        """Put the model into the state that a training starts from, and return the model.

        Args:
            weights: values for all variables.
            masks: booleans by key, True where a weight is kept. Other weights become zero.
            seed: the data seed, which also seeds random layers.
            first: the step that training would start at.
        """
        self._derive(assign(self.model, weights))
        assign_masks(self.model, masks)
        self.engine.reset(seed, first)
        return self.model

    def _derive(self, digest: str, net: str = "student") -> None:
        """Trace the compiled functions again if what layers derive from their variables has changed."""
        if self._derived.get(net, "") != digest:
            self.engine.forget()
            self._group = None
        self._derived[net] = digest

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
        checkpoint: Checkpoint | None = None,
        identity: str = "",
        remask_at: Collection[int] = (),
        remask: Callable[[int, Tree], Tree] | None = None,
        teacher: Tree | None = None,
    ) -> Outcome:
        """Train from `weights` under `masks`, from step `first` to the recipe's end.

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
            identity: what the file must belong to besides this trainer and these arguments.
            remask_at: steps after which the masks change.
            remask: gives the new masks, from the step and the masks so far.
            teacher: the teacher's weights, if the recipe distils.

        Returns:
            An `Outcome`. On one machine, equal arguments give equal bits.

        Raises:
            RecipeError: a metric such as the loss is not finite, or no step is left to train.
        """
        pauses = frozenset(snapshot_at)
        begin = Start(weights, masks, seed, first, rate_at, level, pauses, on_row, checkpoint, identity)
        return self._alone(replace(begin, remask_at=remask_at, remask=remask, teacher=teacher))

    def train_many(self, starts: Sequence[Start]) -> list[Outcome]:
        """Train several nets. If this trainer can, their epochs take turns in one compiled call.

        Args:
            starts: one or more starts. They may differ in everything.

        Returns:
            One outcome per start. Except for `seconds`, each equals the result of `train` bit for bit.

        Raises:
            RecipeError: the error that `train` raises for the first start that fails. The others are trained
                before it is raised.
        """
        results = self.try_many(starts)
        for result in results:
            if isinstance(result, KerasTicketsError):
                raise result
        return [result for result in results if isinstance(result, Outcome)]

    def try_many(self, starts: Sequence[Start]) -> list[Outcome | KerasTicketsError]:
        """Like `train_many`, but a start that fails has its error in the place of its outcome."""
        if len(starts) < 2 or not self.takes_turns:
            return [self._tried(start) for start in starts]
        if self._group is None or self._group.size < len(starts):
            self._group = InterleavedNets(self.engine, len(starts))
        return train_together(self, self._group, starts)

    @property
    def takes_turns(self) -> bool:
        """Whether several nets can share compiled calls: one device, no callbacks, no batches made by the data, no
        data streamed from disk, and no layer that derives state from its variables, which is traced into the calls."""
        alone = self.layout.strategy is not None or bool(self.callbacks) or self.data.batches is not None
        alone = alone or self.data.streamed
        return not alone and not any(derives(layer) for net in self._nets for _, layer in paths(net))

    @property
    def _nets(self) -> list[keras.Model]:
        """The model, and its teacher if it has one."""
        return [self.model, *([self._distillation.teacher] if self._distillation else [])]

    def _tried(self, start: Start) -> Outcome | KerasTicketsError:
        try:
            return self._alone(start)
        except KerasTicketsError as error:
            return error

    def _alone(self, start: Start) -> Outcome:
        self.begin(start)
        # After `begin`: to know its variables, the keeper compiles the steps, which hold what layers derive by then.
        keeper = self._keeper(start)
        wishes = Training(self, start, self, keeper).wishes()
        metrics: Metrics | None = None
        # With a keeper, SIGTERM waits until the state is written.
        with self.layout.errors(), deferred() if keeper else nullcontext():
            while True:
                try:
                    wish = wishes.send(metrics)  # type: ignore[arg-type]
                except StopIteration as end:
                    outcome: Outcome = end.value
                    return outcome
                metrics = self._do(wish, start.seed)

    def _do(self, wish: Wish, seed: int) -> Metrics:
        if not isinstance(wish, Steps):
            return self.engine.evaluate(wish)
        began, count = time.perf_counter(), wish.until - wish.first
        metrics = self.engine.train(seed, wish.first, count, resume=wish.resume)
        self._pace.took(count, time.perf_counter() - began)
        return metrics

    def _keeper(self, start: Start) -> Keeper | None:
        """What keeps the state of a training; None if nothing does.

        It cannot be kept with callbacks, whose own state is unknown; with several workers, which would have to stop at
        the same step; nor if variables of the steps cannot be told apart in another process.
        """
        if start.checkpoint is None or self.callbacks or self.layout.workers > 1 or not self.engine.ordered:
            return None
        # Each call ends with an average over the replicas, so more calls than evaluations would change the bits.
        pace = self._pace if self.layout.strategy is None else None
        decides = [
            start.identity,
            [start.seed, start.first, start.rate_at, sorted(start.snapshot_at), sorted(start.remask_at)],
            [self.recipe.describe(), self.total, self.per_epoch, self.watch],
            [self.environment, versions()],
        ]
        identity = json.dumps(decides, sort_keys=True)
        return Keeper(start.checkpoint, identity, self.engine, start.weights, pace)

    def begin(self, start: Start) -> None:
        """Put the model, its optimizer and its schedule into the state that a training starts from.

        Raises:
            RecipeError: no step is left to train.
        """
        if start.first >= self.total:
            raise RecipeError(
                f"Training must be longer than its start. Received: train={self.recipe.train} "
                f"({self.total} iterations) from iteration {start.first}"
            )
        if self._distillation:
            assert start.teacher is not None, "A start of a training that distils has the teacher's weights."
            self._derive(assign(self._distillation.teacher, start.teacher), "teacher")
        self.load(start.weights, start.masks, seed=start.seed, first=start.first)
        if self._position is not None:
            self._position.start.assign(start.first if start.rate_at is None else start.rate_at)

    @property
    def scheduled(self) -> bool:
        """Whether a schedule sets the learning rate."""
        return self._position is not None

    def weights(self) -> Tree:
        """The current weights."""
        return snapshot(self.model)

    def remask(self, make: Callable[[], Tree]) -> Tree:
        """Give the model the masks that `make` makes, between two steps of a training, and return them."""
        masks = make()
        assign_masks(self.model, masks)
        return masks

    def test(self, weights: Tree) -> Metrics:
        """The loss and metrics of `weights` on the test set. The weights stay in the model."""
        self._derive(assign(self.model, weights))
        return self.engine.evaluate("test")

    @property
    def averages(self) -> bool:
        """Whether the optimizer keeps averages of the weights."""
        return bool(getattr(self._inner, "use_ema", False))

    @property
    def _inner(self) -> Any:
        return getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)

    def averaged(self, masks: Tree) -> Tree:
        """The weights in the form that a ticket keeps: averaged if the optimizer averages, and +0 where pruned."""
        if not self.averages:
            return masked(snapshot(self.model), masks)
        raw = snapshot(self.model)
        self._inner.finalize_variable_values(self.model.trainable_variables)
        result = masked(snapshot(self.model), masks)
        assign(self.model, raw)
        return result
