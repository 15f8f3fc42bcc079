"""Pruning inside a training of your own: callbacks for a plain `model.fit`."""

from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np

from kerastickets import registry
from kerastickets.cutting.cut_scores import cut
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree, kept, total
from kerastickets.models.masking import assign_masks, masks_of, sparsify
from kerastickets.models.variables import snapshot
from kerastickets.pruning.scoring import Batches, Scoring


def polynomial(
    begin: int, end: int, every: int, final: float, *, initial: float = 0.0, power: float = 3.0
) -> dict[int, float]:
    """A gradual schedule for `PruneDuringTraining`: sparsity by the step from which it holds.

    Args:
        begin: the first pruning step.
        end: the step at which `final` is reached.
        every: steps between prunings, at least 1.
        final: sparsity at the end, in (0, 1).
        initial: sparsity at `begin`, in [0, 1).
        power: 1 is linear; 3 prunes fast at first and slowly at the end.

    Returns:
        `final + (initial - final) * (1 - (step - begin) / (end - begin)) ** power` by step.

    Raises:
        RecipeError: a value out of range.

    Example:
        >>> polynomial(0, 200, 100, 0.8, power=1)
        {0: 0.0, 100: 0.4, 200: 0.8}

    Reference:
        M. Zhu, S. Gupta, To prune, or not to prune, section 3.
    """
    if not (0 <= begin < end and every >= 1 and 0 <= initial <= final < 1):
        raise RecipeError(
            "Expected 0 <= begin < end, every >= 1 and 0 <= initial <= final < 1. Received: "
            f"begin={begin}, end={end}, every={every}, initial={initial}, final={final}"
        )
    steps = [*range(begin, end, every), end]
    return {step: final + (initial - final) * (1 - (step - begin) / (end - begin)) ** power for step in steps}


class KeepMasks(keras.callbacks.Callback):
    """Keeps pruned weights at zero during `model.fit`.

    Masks that the model holds (from `sparsify`, or in mask-aware layers) are enforced in the optimizer, where
    `fit` alone would apply only the constraint: gradients of pruned weights no longer reach its moments,
    clipping and averages.

    Args:
        masks: booleans by key to attach first; None keeps the masks the model holds.

    Raises:
        RecipeError: when training begins, if there is no mask to keep.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> x = np.ones((4, 2), "float32")
        >>> mask = {"dense/kernel": np.array([[True], [False]])}
        >>> _ = model.fit(x, x[:, 0], verbose=0, callbacks=[KeepMasks(mask)])
        >>> float(model.layers[0].kernel[1, 0])
        0.0
    """

    def __init__(self, masks: Tree | None = None) -> None:
        super().__init__()
        self.masks = masks

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Attach masks, zero what they prune, and guard the optimizer."""
        masks = masks_of(self.model) if self.masks is None else self.masks
        if not masks:
            raise RecipeError("The model holds no masks to keep. Call sparsify(model) first, or give masks.")
        _enforce(self.model, masks)


class PruneDuringTraining(keras.callbacks.Callback):
    """Prunes while `model.fit` trains: at each step of a schedule, score and cut.

    Args:
        criterion: a registered name (`"magnitude"`) or an instance.
        schedule: sparsity of all prunable weights by the optimizer step from which it holds, in [0, 1), not
            falling; `polynomial(...)` makes one.
        scope: `global` or `layer` (every layer the same density).
        data: `(x, y)` training arrays, for criteria that need gradients.
        batch_size: examples of a scoring batch.
        include: glob patterns of weights to prune besides kernels and embeddings.
        exclude: glob patterns of weights not to prune.
        seed: for criteria that draw.

    Raises:
        RecipeError: a schedule that is empty, out of range or falling.

    Example:
        >>> model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> x = np.random.default_rng(0).random((8, 10), "float32")
        >>> prune = PruneDuringTraining("magnitude", {1: 0.5, 2: 0.8})
        >>> _ = model.fit(x, x[:, 0], batch_size=4, verbose=0, callbacks=[prune])
        >>> int(np.count_nonzero(model.layers[0].kernel))
        2

    Reference:
        M. Zhu, S. Gupta, To prune, or not to prune, section 3 (gradual pruning).
    """

    def __init__(
        self,
        criterion: Any,
        schedule: Mapping[int, float],
        *,
        scope: str = "global",
        data: tuple[np.ndarray, np.ndarray] | None = None,
        batch_size: int = 60,
        include: Collection[str] = (),
        exclude: Collection[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.criterion = registry.create("criteria", criterion) if isinstance(criterion, str) else criterion
        self.schedule = _checked(schedule)
        self.scope, self.data, self.batch_size, self.seed = scope, data, batch_size, seed
        self.include, self.exclude = include, exclude
        self._init: Tree = {}

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Attach masks (ones, where the model has none yet) and guard the optimizer."""
        sparsify(self.model, include=self.include, exclude=self.exclude)
        _enforce(self.model, masks_of(self.model))
        self._init = snapshot(self.model)
        self._prune_to_schedule()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Prune if the optimizer has reached a step of the schedule."""
        self._prune_to_schedule()

    def _prune_to_schedule(self) -> None:
        step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        reached = [at for at in self.schedule if at <= step]
        if not reached:
            return
        masks = masks_of(self.model)
        keep = int(np.rint(total(masks) * (1 - self.schedule[reached[-1]])))
        if keep < kept(masks):
            scores = self.criterion(self._scoring(masks, list(self.schedule).index(reached[-1])))
            assign_masks(self.model, cut(scores, keep, masks, self.scope))  # type: ignore[arg-type]

    def _scoring(self, masks: Tree, step: int) -> Scoring:
        if self.data is None:
            batches: Any = _NoBatches()
        else:
            x, y = self.data
            batches = Batches((np.asarray(x), np.asarray(y)), min(self.batch_size, len(x)), self.seed, step)
        loss = keras.losses.get(self.model.loss)
        return Scoring(self.model, masks, self._init, None, batches, loss, self.seed)


class _NoBatches:
    def __getitem__(self, n: int) -> Any:
        raise RecipeError("This criterion scores on data. Give PruneDuringTraining data=(x, y).")


def _enforce(model: keras.Model, masks: Tree) -> None:
    sparsify(model, masks)
    # A train function traced before the masks were there would not see them.
    model.make_train_function(force=True)


def _checked(schedule: Mapping[int, float]) -> dict[int, float]:
    ordered = dict(sorted(schedule.items()))
    values = list(ordered.values())
    if not values or min(ordered) < 0 or values != sorted(values) or not 0 <= values[0] <= values[-1] < 1:
        raise RecipeError(
            "`schedule` must map steps from 0 on to sparsities in [0, 1) that do not fall. "
            f"Received: schedule={dict(schedule)}"
        )
    return ordered
