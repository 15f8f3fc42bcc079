"""Taylor: keep the weights, or channels, without which the loss would change most, to first order."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kerastickets.plugin import Scoring, Tree


@dataclass(frozen=True)
class Taylor:
    """|w * dL/dw| on the trained net: how much the loss would change, to first order, without the weight.

    It is what SNIP measures before training. At a perfect fit gradients vanish, and so does what tells weights apart.

    Args:
        batches: training batches to average the gradient over, at least 1.
        stratified: whether each batch has its share of every class.
        unit: `weight`, or `channel`: the change without a whole output channel (the last axis of a weight),
            |sum of w * dL/dw|, in equal parts to the channel's kept weights. Use it with `granularity="channel"`.
        normalise: divide a layer's scores by their Euclidean norm (over weights, or over channels), so that layers
            of other scales can be ranked together.

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
        # Float64: squares of small gradients are nothing in float32.
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
