"""Keras callbacks that keep masks, prune gradually, or distil a teacher, during your own `model.fit`."""

import warnings
from collections.abc import Collection, Mapping
from typing import Any, Literal

import keras
import numpy as np

from kerastickets import registry
from kerastickets.cutting.cut_scores import cut
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree, kept, total
from kerastickets.models.distillation import Distillation
from kerastickets.models.masking import assign_masks, masks_of, sparsify, weight_reports
from kerastickets.models.pruned_weights import held_masks, reconcile
from kerastickets.models.variables import snapshot, variables
from kerastickets.models.zero_masks import zeros_of
from kerastickets.pruning.gradual import polynomial as polynomial
from kerastickets.pruning.live_scoring import live_scoring
from kerastickets.pruning.scoring import Scoring


class KeepMasks(keras.callbacks.Callback):
    """Keep pruned weights at zero during `model.fit`.

    The model may hold masks already, from `sparsify` or in mask-aware layers. `fit` alone enforces them only
    by a constraint on each variable. With this callback the optimizer enforces them too: gradients of pruned
    weights no longer reach its moments, clipping and averages.

    Args:
        masks: boolean arrays by key, True where a weight is kept, to attach when training begins. None keeps
            the masks that the model holds. `"zeros"` keeps the exact zeros of weights without a mask, as after a plain
            save and load; see `sparsify`.

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

    def __init__(self, masks: Tree | Literal["zeros"] | None = None) -> None:
        super().__init__()
        self.masks = masks

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Attach the masks, set pruned weights to zero, and make the optimizer mask gradients."""
        if isinstance(self.masks, str):
            sparsify(self.model, self.masks)
        own = self.masks is None or isinstance(self.masks, str)
        masks: Any = masks_of(self.model) if own else self.masks
        if not masks:
            raise RecipeError(f"The model must hold masks to keep. Received: none. {_advice(self.model)}")
        _enforce(self.model, masks)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Set pruned weights to zero again if something else wrote to them."""
        reconcile(self.model)


class PruneDuringTraining(keras.callbacks.Callback):
    """Prune gradually during `model.fit`: score and cut the weights at each step of a schedule.

    Args:
        criterion: the name of a registered criterion (`"magnitude"`), or an instance.
        schedule: a dict from batches (0 or more), counted from the first one that this callback sees, to the
            sparsity of all prunable weights from that batch on. Sparsities must be in [0, 1) and must not decrease.
            `polynomial(...)` makes such a schedule.
        scope: `global` to compare scores over all layers; `layer` to give every layer the same density.
        data: training examples for criteria that need data, such as for gradients: `(x, y)` or
            `(x, y, sample_weight)` in the structure that `fit` takes, or another form of data, see `cut_model`.
        batch_size: examples per scoring batch; at most the number of examples is used.
        include: glob patterns of weights to prune in addition to kernels and embeddings.
        exclude: glob patterns of weights not to prune.
        seed: the random seed for the scoring batches and for criteria that draw random numbers.

    Raises:
        RecipeError: the schedule is empty, out of range or decreasing.

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
        data: Any = None,
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
        self._batches = self._last = 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Attach the missing masks, make the optimizer mask gradients, and prune if due."""
        sparsify(self.model, include=self.include, exclude=self.exclude)
        _enforce(self.model, masks_of(self.model))
        self._init = snapshot(self.model)
        self._prune_to_schedule()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Batches are counted from 0 again."""
        self._last = -1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Prune if training has reached the next step of the schedule."""
        # With several steps per execution, Keras calls this after the last of them only.
        self._batches, self._last = self._batches + batch - self._last, batch
        self._prune_to_schedule()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Make masks and weights agree, and warn if the schedule was not reached."""
        reconcile(self.model)
        last = max(self.schedule)
        if self._batches < last:
            masks = held_masks(self.model)
            warnings.warn(
                f"Training ended after {self._batches:,} batches, before the schedule's last step, {last:,}: "
                f"{1 - kept(masks) / total(masks):.1%} of the prunable weights are pruned, not "
                f"{self.schedule[last]:.1%}.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _prune_to_schedule(self) -> None:
        reached = [at for at in self.schedule if at <= self._batches]
        if not reached:
            return
        masks = held_masks(self.model)
        keep = int(np.rint(total(masks) * (1 - self.schedule[reached[-1]])))
        if keep < kept(masks):
            scores = self.criterion(self._scoring(masks, list(self.schedule).index(reached[-1])))
            assign_masks(self.model, cut(scores, keep, masks, self.scope))  # type: ignore[arg-type]

    def _scoring(self, masks: Tree, step: int) -> Scoring:
        return live_scoring(
            self.model,
            masks,
            self._init,
            self.data,
            batch_size=self.batch_size,
            seed=self.seed,
            step=step,
        )


class Distill(keras.callbacks.Callback):
    """Learn from a teacher during `model.fit`: the loss is `(1 - weight) * own loss + weight * distillation loss`.

    For classes, the distillation loss is T^2 * KL(softmax(z_teacher / T) || softmax(z / T)), where T is the temperature
    and z are logits; probabilities are turned into logits. One unit for two classes, and units that are each a class of
    their own, have a sigmoid instead. What an output is follows from the loss that the model was compiled with. If that
    does not say whether it takes logits, as for regression, the distillation loss is the mean squared difference of
    the outputs. Masks, sample weights and loss weights act as on the own loss, which includes what layers add to it.

    The teacher gets the same inputs, runs with `training=False`, and is not trained. Only the training steps of this
    `fit` have the new loss: validation, and what you do with the model afterwards, have the own one. `fit` may run
    with XLA, and together with `KeepMasks` and `PruneDuringTraining`.

    Args:
        teacher: a built model that takes the same inputs and has outputs of the same shapes.
        weight: how much the distillation loss counts, above 0 and up to 1.
        temperature: T, above 0. A larger one shows more of how the teacher ranks the wrong classes.

    Raises:
        RecipeError: a value is out of range. Or, during `fit`: the outputs of the two models differ, or the model's
            own `train_step` does not call `compute_loss`, or without its inputs.

    Example:
        >>> teacher, model = (keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]) for _ in range(2))
        >>> model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> x, y = np.eye(2, dtype="float32"), np.array([0, 2])
        >>> _ = model.fit(x, y, verbose=0, callbacks=[Distill(teacher, weight=0.5, temperature=4)])

    Reference:
        G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network, section 2.
    """

    def __init__(self, teacher: keras.Model, *, weight: float = 0.5, temperature: float = 4.0) -> None:
        super().__init__()
        self._distillation = Distillation(teacher, weight, temperature)
        self._plain: Any = None
        self._distilling: Any = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Forget the training step of an earlier `fit`."""
        self.model.make_train_function(force=True)
        self._plain = self._distilling = None
        self._distillation.used = False

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Give the next call of the training step the teacher."""
        model = self.model
        if self._distilling is None or model.train_function is not self._plain:
            # The first step of this `fit`, or another callback has changed what a step must be traced from.
            self._plain = model.train_function
            model.make_train_function(force=True)
            self._distilling = model.train_function
        model.train_function = self._step

    def _step(self, iterator: Any) -> Any:
        """One call of the training step. The model is itself again when it ends, also by an error."""
        try:
            with self._distillation.active(self.model):
                logs = self._distilling(iterator)
        finally:
            self.model.train_function = self._plain
        if not self._distillation.used:
            raise RecipeError(
                "Distill changes what compute_loss returns, so the training step must call it. Received: a "
                f"{type(self.model).__name__} whose train_step does not. Call self.compute_loss(x, y, y_pred) there."
            )
        return logs


def _advice(model: keras.Model) -> str:
    found = zeros_of(variables(model), [entry.key for entry in weight_reports(model) if entry.masked])
    if not found:
        return "Call sparsify(model) first, or give masks."
    return (
        f"A plain .keras file keeps the zeros of a pruned model, here {found:,}, and not its masks: take them back by "
        'KeepMasks("zeros") or sparsify(model, "zeros"), or give masks.'
    )


def _enforce(model: keras.Model, masks: Tree) -> None:
    sparsify(model, masks)
    # A train function that was traced before the masks were attached would not use them.
    model.make_train_function(force=True)


def _checked(schedule: Mapping[int, float]) -> dict[int, float]:
    ordered = dict(sorted(schedule.items()))
    values = list(ordered.values())
    if not values or min(ordered) < 0 or values != sorted(values) or not 0 <= values[0] <= values[-1] < 1:
        raise RecipeError(
            "`schedule` must map steps (0 or more) to sparsities in [0, 1) that do not decrease. "
            f"Received: schedule={dict(schedule)}"
        )
    return ordered
