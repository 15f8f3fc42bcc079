"""Taylor: keep the weights (or channels) whose removal would change the loss most, to first order."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kerastickets.plugin import Groups, Scoring, Tree, families, last_axes, spread_over_units, unit_sums


@dataclass(frozen=True)
class Taylor:
    """Score each weight by |w * dL/dw| on the trained net: the first-order change of the loss without the weight.

    SNIP measures the same quantity before training. When the net fits the data perfectly, the gradients
    vanish, and the scores can no longer tell weights apart.

    Args:
        batches: number of training batches over which to average the gradient, at least 1.
        stratified: whether every batch contains each class in proportion to its size.
        unit: `weight` scores single weights. `channel` scores whole units by |sum of w * dL/dw| over their weights
            and divides each unit's score equally among its kept weights; use it with `granularity="channel"`,
            which says which weights a unit has. Otherwise a unit is an index of the last axis.
        normalise: whether to divide the scores of each layer by their Euclidean norm (over weights, or over
            units), so that layers of different scale can be ranked together. Layers that share units count as one.

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
        masks = scoring.masks
        if self.unit == "weight":
            return {key: self._normalised(np.abs(change * masks[key])) for key, change in changes.items()}
        groups = last_axes(masks) if scoring.groups is None else scoring.groups
        # Weights that the run does not prune have no units, and their scores are not used.
        others = {key: np.zeros(change.shape) for key, change in changes.items() if key not in groups}
        return self._of_units(changes, masks, groups) | others

    def _of_units(self, changes: Tree, masks: Tree, groups: Groups) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for keys in families(groups):
            own = {key: groups[key] for key in keys}
            sums = unit_sums({key: changes[key] * masks[key] for key in keys}, own)
            scores = self._normalised(np.abs(np.array([*sums.values()])))
            found |= spread_over_units(dict(zip(sums, scores.tolist(), strict=True)), masks, own)
        return found

    def _normalised(self, values: np.ndarray) -> np.ndarray:
        norm = np.linalg.norm(values.ravel())
        return values / norm if self.normalise and norm > 0 else values
