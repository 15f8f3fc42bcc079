"""What a criterion gets (the model, its weights, batches to score on, and gradients) and returns (scores).

Every criterion imports this module, and a mistyped setting must be refused at once. So TensorFlow and Keras are
imported only when they are used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kerastickets.cutting.groups import Groups
from kerastickets.data.arrays import shuffled
from kerastickets.data.splits import rows, size as size_of
from kerastickets.errors import RecipeError
from kerastickets.foundations.structure import is_nested, map_leaves
from kerastickets.foundations.tree import Tree, generator

if TYPE_CHECKING:
    import keras

Batch = tuple[Any, Any]


@dataclass(frozen=True)
class Batches:
    """The batches of one scoring, drawn by (seed, scoring step). No two of them share an example.

    Args:
        split: the training data to draw from: `(x, y)` or `(x, y, sample_weight)`, arrays in any structure.
        size: examples per batch.
        seed: the scoring seed.
        step: the number of this scoring, from 0. Each scoring draws its own batches.
        stratified: whether each batch has every class in proportion, up to one or two examples. This requires one
            class per example.

    Example:
        >>> x = np.arange(4.0)[:, None]
        >>> batches = Batches((x, x), 2, seed=0, step=0)
        >>> sorted([*batches[0][0].ravel(), *batches[1][0].ravel()]) == [0, 1, 2, 3]
        True
    """

    split: tuple[Any, ...]
    size: int
    seed: int
    step: int
    stratified: bool = False

    def __getitem__(self, n: int) -> Batch:
        x, y = rows(self.split[:2], self._rows(n))
        return x, y

    def weights(self, n: int) -> Any:
        """The sample weights of a batch; None if the data has none."""
        return rows(self.split[2], self._rows(n)) if len(self.split) > 2 else None

    def _rows(self, n: int) -> np.ndarray:
        there_are = size_of(self.split) // self.size
        if not 0 <= n < there_are:
            raise RecipeError(
                f"There are {there_are} batches of {self.size} to score on. "
                f"Received: a request for {n + 1}. Lower `batches` or the batch size."
            )
        return self._order()[n * self.size : (n + 1) * self.size]

    def _order(self) -> np.ndarray:
        y, key = self.split[1], ("scoring", self.seed, self.step)
        if not self.stratified:
            return generator(*key).permutation(size_of(self.split))
        if is_nested(y) or y.ndim != 1 or y.dtype.kind not in "iu":
            what = "labels of several outputs" if is_nested(y) else f"targets of {y.dtype}"
            if not is_nested(y) and y.dtype.kind in "iu":
                what = f"labels of {y.shape[1]} tasks" if y.ndim == 2 else f"labels {y.shape}"
            raise RecipeError(
                f"Stratified batches need one class per example. Received: {what}. Leave out `stratified`."
            )
        return shuffled(y, *key)


@dataclass(frozen=True)
class Scoring:
    """Everything that a criterion may look at. It must leave the model unchanged.

    Args:
        model: the model as trained in this round, with zeros where pruned. The gradient methods below call it in
            training mode.
        masks: booleans by key. The keys are the prunable weights.
        init: the initial weights of all variables, unmasked.
        rewind: the weights that later levels start from, unmasked; None if they are `init`.
        batches: batches of data to score on, `batches[0]`, `batches[1]`, ...
        loss: the training loss, `(y, predictions) -> scalar`, without regularisation. With sample weights it takes
            them as a third argument.
        seed: random seed for criteria that draw random numbers.
        groups: the units of the weights that the run prunes by channels; None if it prunes single weights.
    """

    model: "keras.Model"
    masks: Tree
    init: Tree
    rewind: Tree | None
    batches: Batches
    loss: Callable[[Any, Any], Any]
    seed: int
    groups: Groups | None = None

    def stratified(self) -> "Scoring":
        """The same scoring, with batches that have every class in proportion; see `Batches`."""
        return replace(self, batches=replace(self.batches, stratified=True))

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The current values of the prunable weights, by key."""
        from kerastickets.models.variables import snapshot

        now = snapshot(self.model)
        return {key: now[key] for key in self.masks}

    def gradient(self, weights: Tree | None = None, *, batches: int = 1) -> dict[str, np.ndarray]:
        """The gradient of the loss with respect to the prunable weights.

        Args:
            weights: values at which to differentiate, for any of the prunable weights. The others have the model's
                own values.
            batches: the number of batches to average over.

        Returns:
            Arrays by prunable key, in the shape of the weights. Pruned weights have a gradient too.
        """
        import tensorflow as tf

        values = {key: tf.constant(array) for key, array in (self.weights | dict(weights or {})).items()}
        return self._differentiate(values, lambda _, value: value, batches)

    def mask_gradient(self, *, batches: int = 1) -> dict[str, np.ndarray]:
        """The gradient of the loss with respect to a mask c that multiplies every prunable weight, at c = 1.

        Args:
            batches: the number of batches to average over.

        Returns:
            dL(c * w)/dc by prunable key. It equals w * dL/dw.

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
            x, y = map_leaves(tf.constant, self.batches[n])
            weights = getattr(self.batches, "weights", lambda n: None)(n)
            given = (y,) if weights is None else (y, map_leaves(tf.constant, weights))
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(list(watched.values()))
                mapping = [(own[key], substitute(own[key], value)) for key, value in watched.items()]
                # Inside this scope no variable is assigned, so statistics and seeds stay unchanged.
                with keras.StatelessScope(state_mapping=mapping):
                    loss = self.loss(given[0], self.model(x, training=True), *given[1:])
            found.append(tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO))
        return {
            key: _mean([tf.convert_to_tensor(gradients[key]).numpy() for gradients in found])
            for key in watched
        }


class Scores(dict[str, np.ndarray]):
    """Scores with facts about them. A criterion may return this instead of a plain Tree.

    Args:
        scores: arrays by prunable key.
        facts: facts about the scores to keep in provenance, as JSON.

    Example:
        >>> Scores({"dense/kernel": np.ones(2)}, {"scale": 2.0}).facts
        {'scale': 2.0}
    """

    def __init__(self, scores: Tree, facts: Mapping[str, Any]) -> None:
        super().__init__(scores)
        self.facts = facts


def _mean(arrays: list[np.ndarray]) -> np.ndarray:
    """The mean of the arrays in float32, summed in float64. One array, the usual case, needs no arithmetic."""
    if len(arrays) == 1:
        return arrays[0].astype("float32", copy=False)
    return np.mean(arrays, axis=0, dtype="float64").astype("float32")


class Criterion(Protocol):
    """Scores weights: weights with higher scores are kept. It must leave the model unchanged.

    A criterion is a frozen dataclass whose fields are its options. It may have a class attribute `defaults` with
    settings of the pruning loop that it implies (`between`, `levels`, `scope`, `sparsity`).
    """

    def __call__(self, scoring: Scoring) -> Tree:
        """Return scores by prunable key, in the shape of the masks. They are finite wherever a weight is kept.

        `Scores` is a Tree of scores with facts about them.
        """
        ...
