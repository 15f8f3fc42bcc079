"""Taylor: keep the weights (or channels) whose removal would change the loss most, to first order."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kerastickets.plugin import Scoring, Tree


@dataclass(frozen=True)
class Taylor:
    """Score each weight by |w * dL/dw| on the trained net: the first-order change of the loss without the weight.

    SNIP measures the same quantity before training. When the net fits the data perfectly, the gradients
    vanish, and the scores can no longer tell weights apart.

    Args:
        batches: number of training batches over which to average the gradient, at least 1.
        stratified: whether every batch contains each class in proportion to its size.
        unit: `weight` scores single weights. `channel` scores whole output channels (the last axis of a
            weight) by |sum of w * dL/dw| and divides each channel's score equally among its kept weights; use
            it with `granularity="channel"`.
        normalise: whether to divide the scores of each layer by their Euclidean norm (over weights, or over
            channels), so that layers of different scale can be ranked together.

    Example:
        >>> from kerastickets.testing import toy_scoring
        >>> scores = Taylor(normalise=True)(toy_scoring())
        >>> [round(float((score**2).sum()), 6) for score in scores.values()]
        [1.0, 1.0]

    Reference:
        P. Molchanov, S. Tyree, T. Karras, T. Aila, J. Kautz, Pruning Convolutional Neural Networks for Resource
        Efficient Inference, section 2.2, equations 7 and 8; there for feature maps, here for the weights that make
        them.
    """

    batches: int = 1
    stratified: bool = False
    unit: Literal["weight", "channel"] = "weight"
    normalise: bool = False

    def __post_init__(self) -> None:
        if self.batches < 1:
            raise ValueError(f"`batches` must be at least 1. Received: batches={self.batches}")

    def __call__(self, scoring: Scoring) -> Tree:
        given = scoring.stratified() if self.stratified else scoring
        # Use float64, because squares of small gradients underflow to zero in float32.
        changes = {key: g.astype("float64") for key, g in given.mask_gradient(batches=self.batches).items()}
        return {key: self._scores(change, scoring.masks[key]) for key, change in changes.items()}

    def _scores(self, change: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if self.unit == "weight":
            return self._normalised(np.abs(change * mask))
        others = tuple(range(change.ndim - 1))
        sums = self._normalised(np.abs((change * mask).sum(axis=others)))
        return mask * (sums / np.maximum(mask.sum(axis=others), 1))

    def _normalised(self, values: np.ndarray) -> np.ndarray:
        norm = np.linalg.norm(values.ravel())
        return values / norm if self.normalise and norm > 0 else values
