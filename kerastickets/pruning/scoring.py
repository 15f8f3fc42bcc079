"""What a criterion is given: the model as it stands, its weights, data to score on, and gradients; what it gives.

Every criterion imports this module, and a mistyped dial beside it must be refused at once: TensorFlow and
Keras are imported on use.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kerastickets.data.arrays import shuffled
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree, generator

if TYPE_CHECKING:
    import keras

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Batches:
    """The batches of one scoring, keyed by (seed, scoring step): no two of them share an example.

    Args:
        split: `(x, y)` to draw from: training data.
        size: examples a batch.
        seed: the scoring seed.
        step: which scoring this is, from 0; each draws its own batches.
        stratified: whether a batch has its share of every class, give or take an example or two. That needs
            one class an example.

    Example:
        >>> x = np.arange(4.0)[:, None]
        >>> batches = Batches((x, x), 2, seed=0, step=0)
        >>> sorted([*batches[0][0].ravel(), *batches[1][0].ravel()]) == [0, 1, 2, 3]
        True
    """

    split: Batch
    size: int
    seed: int
    step: int
    stratified: bool = False

    def __getitem__(self, n: int) -> Batch:
        x, y = self.split
        if not 0 <= n < len(x) // self.size:
            raise RecipeError(
                f"There are {len(x) // self.size} batches of {self.size} to score on. "
                f"Received: a request for {n + 1}. Lower `batches` or the batch size."
            )
        rows = self._order()[n * self.size : (n + 1) * self.size]
        return x[rows], y[rows]

    def _order(self) -> np.ndarray:
        y, key = self.split[1], ("scoring", self.seed, self.step)
        if not self.stratified:
            return generator(*key).permutation(len(y))
        if y.ndim != 1 or y.dtype.kind not in "iu":
            what = f"labels of {y.shape[1]} tasks" if y.dtype.kind in "iu" else f"targets of {y.dtype}"
            raise RecipeError(
                f"Stratified batches need one class an example. Received: {what}. Leave out `stratified`."
            )
        return shuffled(y, *key)


@dataclass(frozen=True)
class Scoring:
    """All that a criterion may look at; it must leave the model unchanged.

    Args:
        model: as trained this round, zeros where pruned; with its training-time behaviour under the
            gradient methods below.
        masks: booleans by key; their keys are the prunable weights.
        init: the initial weights of all variables, unmasked.
        rewind: the weights later levels start from, unmasked; None where that is `init`.
        batches: data to score on, `batches[0]`, `batches[1]`, ...
        loss: the training loss, `(y, predictions) -> scalar`, without regularisation.
        seed: for criteria that draw.
    """

    model: "keras.Model"
    masks: Tree
    init: Tree
    rewind: Tree | None
    batches: Batches
    loss: Callable[[Any, Any], Any]
    seed: int

    def stratified(self) -> "Scoring":
        """This scoring on batches each of which has its share of every class; see `Batches`."""
        return replace(self, batches=replace(self.batches, stratified=True))

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The prunable weights as they are now, by key."""
        from kerastickets.models.variables import snapshot

        now = snapshot(self.model)
        return {key: now[key] for key in self.masks}

    def gradient(self, weights: Tree | None = None, *, batches: int = 1) -> dict[str, np.ndarray]:
        """The loss's gradient with respect to the prunable weights.

        Args:
            weights: values to differentiate at, for any of the prunable weights; the model's own elsewhere.
            batches: how many batches to average over.

        Returns:
            Arrays by prunable key, in the shape of the weights; pruned weights have a gradient too.
        """
        import tensorflow as tf

        values = {key: tf.constant(array) for key, array in (self.weights | dict(weights or {})).items()}
        return self._differentiate(values, lambda _, value: value, batches)

    def mask_gradient(self, *, batches: int = 1) -> dict[str, np.ndarray]:
        """The loss's gradient with respect to a mask c beside every prunable weight, at c = 1.

        Args:
            batches: how many batches to average over.

        Returns:
            dL(c * w)/dc by prunable key; it equals w * dL/dw.

        Reference:
            N. Lee, T. Ajanthan, P. Torr, SNIP: Single-shot Network Pruning based on Connection
            Sensitivity, section 4.1.
        """
        import tensorflow as tf

        ones = {key: tf.ones(mask.shape) for key, mask in self.masks.items()}
        return self._differentiate(
            ones, lambda variable, c: variable.value * tf.cast(c, variable.dtype), batches
        )

    def _differentiate(
        self, watched: dict[str, Any], substitute: Callable[[Any, Any], Any], batches: int
    ) -> dict[str, np.ndarray]:
        import keras
        import tensorflow as tf

        from kerastickets.models.variables import variables

        own = variables(self.model)
        found: list[dict[str, Any]] = []
        for n in range(batches):
            x, y = (tf.constant(array) for array in self.batches[n])
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(list(watched.values()))
                mapping = [(own[key], substitute(own[key], value)) for key, value in watched.items()]
                # StructureSummary this scope nothing is assigned: statistics and seeds stay as they are.
                with keras.StatelessScope(state_mapping=mapping):
                    loss = self.loss(y, self.model(x, training=True))
            found.append(tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO))
        return {
            key: _mean([tf.convert_to_tensor(gradients[key]).numpy() for gradients in found])
            for key in watched
        }


class Scores(dict[str, np.ndarray]):
    """Scores that know something about themselves, which a criterion may return instead of a plain Tree.

    Args:
        scores: arrays by prunable key.
        facts: what is worth keeping about them, as JSON.

    Example:
        >>> Scores({"dense/kernel": np.ones(2)}, {"scale": 2.0}).facts
        {'scale': 2.0}
    """

    def __init__(self, scores: Tree, facts: Mapping[str, Any]) -> None:
        super().__init__(scores)
        self.facts = facts


def _mean(arrays: list[np.ndarray]) -> np.ndarray:
    """Their mean in float32, summed in float64; one array, the usual case, needs no arithmetic."""
    if len(arrays) == 1:
        return arrays[0].astype("float32", copy=False)
    return np.mean(arrays, axis=0, dtype="float64").astype("float32")


class Criterion(Protocol):
    """Scores weights: higher means keep. It must leave the model unchanged.

    A frozen dataclass whose fields are its options. It may have a class attribute `defaults`, dials of the
    pruning loop that it implies (`between`, `levels`, `scope`, `sparsity`).
    """

    def __call__(self, scoring: Scoring) -> Tree:
        """Scores by prunable key, in the shape of the masks; finite wherever a weight is kept.

        `Scores` are a Tree with facts about it.
        """
        ...
