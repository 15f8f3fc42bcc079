"""The trainer: the one place that mutates a model. Compiled once, it serves every level and seed.

It builds its own model, so the user's is never touched; weights, masks and optimizer state are assigned
before each training (a freshly compiled model leaks about 4 MB for good).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import keras

from kerastickets.data.augmentation import Augmentation
from kerastickets.data.dataset import Data
from kerastickets.distribution.devices import Layout
from kerastickets.errors import KerasTicketsError, RecipeError
from kerastickets.foundations.tree import Tree, masked
from kerastickets.models.masking import assign_masks, attach, guard, matches
from kerastickets.models.objective import Objective
from kerastickets.models.variables import Place, assign, snapshot, variables, walk
from kerastickets.training.engine import Engine, environment, use_jit
from kerastickets.training.interleaving import InterleavedNets, train_together
from kerastickets.training.optimizers import make_optimizer
from kerastickets.training.recipe import Recipe
from kerastickets.training.session import Metrics, Outcome, Row, Start, Steps, Training


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
        self._group: InterleavedNets | None = None
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
        self.per_epoch = recipe.per_epoch(data)
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
        return self._alone(Start(weights, masks, seed, first, rate_at, level, frozenset(snapshot_at), on_row))

    def train_many(self, starts: Sequence[Start]) -> list[Outcome]:
        """Train several nets; where this trainer can, their epochs take turns in one compiled call.

        Args:
            starts: one or more; each says what its training starts from, and may differ from the others in
                everything.

        Returns:
            The outcome of each: bit for bit (`seconds` apart) what `train` gives.

        Raises:
            RecipeError: as `train`, of the first start that fails, after the others are trained.
        """
        results = self.try_many(starts)
        for result in results:
            if isinstance(result, KerasTicketsError):
                raise result
        return [result for result in results if isinstance(result, Outcome)]

    def try_many(self, starts: Sequence[Start]) -> list[Outcome | KerasTicketsError]:
        """As `train_many`, with a start's error in the place of its outcome."""
        if len(starts) < 2 or not self.takes_turns:
            return [self._tried(start) for start in starts]
        if self._group is None or self._group.size < len(starts):
            self._group = InterleavedNets(self.engine, len(starts))
        return train_together(self, self._group, starts)

    @property
    def takes_turns(self) -> bool:
        """Whether several nets can share compiled calls: one device, no callbacks, no batches of the data's own."""
        return self.layout.strategy is None and not self.callbacks and self.data.batches is None

    def _tried(self, start: Start) -> Outcome | KerasTicketsError:
        try:
            return self._alone(start)
        except KerasTicketsError as error:
            return error

    def _alone(self, start: Start) -> Outcome:
        wishes = Training(self, start, self).wishes()
        self.begin(start)
        metrics: Metrics | None = None
        with self.layout.errors():
            while True:
                try:
                    wish = wishes.send(metrics)  # type: ignore[arg-type]
                except StopIteration as end:
                    outcome: Outcome = end.value
                    return outcome
                if isinstance(wish, Steps):
                    metrics = self.engine.train(
                        start.seed, wish.first, wish.until - wish.first, resume=wish.resume
                    )
                else:
                    metrics = self.engine.evaluate(wish)

    def begin(self, start: Start) -> None:
        """Put the model, its optimizer and its schedule into the state that a training starts from.

        Raises:
            RecipeError: nothing is left to train.
        """
        if start.first >= self.total:
            raise RecipeError(
                f"Training must be longer than its start. Received: train={self.recipe.train} "
                f"({self.total} iterations) from iteration {start.first}"
            )
        self.load(start.weights, start.masks, seed=start.seed, first=start.first)
        if self._position is not None:
            self._position.start.assign(start.first if start.rate_at is None else start.rate_at)

    @property
    def scheduled(self) -> bool:
        """Whether a schedule sets the learning rate."""
        return self._position is not None

    def weights(self) -> Tree:
        """All weights as they are."""
        return snapshot(self.model)

    def test(self, weights: Tree) -> Metrics:
        """Loss and metrics of weights on the test set; they stay in the model."""
        assign(self.model, weights)
        return self.engine.evaluate("test")

    @property
    def averages(self) -> bool:
        """Whether the optimizer keeps averages of the weights."""
        return bool(getattr(self._inner, "use_ema", False))

    @property
    def _inner(self) -> Any:
        return getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)

    def averaged(self, masks: Tree) -> Tree:
        """The weights as a ticket keeps them: averaged where the optimizer averages, +0 where pruned."""
        if not self.averages:
            return masked(snapshot(self.model), masks)
        raw = snapshot(self.model)
        self._inner.finalize_variable_values(self.model.trainable_variables)
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
