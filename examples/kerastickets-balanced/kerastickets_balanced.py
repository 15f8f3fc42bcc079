"""A criterion of one's own: magnitude, balanced between layers."""

from dataclasses import dataclass

import numpy as np

from kerastickets.plugin import Scoring, Tree


@dataclass(frozen=True)
class BalancedMagnitude:
    """Keep the weights that are large for their layer: |w| over the mean |w| of its surviving weights.

    Under the global scope plain magnitude empties wide layers first, because their weights start
    smaller (Glorot). Dividing by the layer's mean makes layers comparable.

    Args:
        power: how much of the difference between layers is taken out, from 0 (plain magnitude) to 1.
    """

    power: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.power <= 1:
            raise ValueError(f"power must be in [0, 1]. Received: power={self.power}")

    def __call__(self, scoring: Scoring) -> Tree:
        """Scores by key, each of the shape of its weight; higher = keep."""
        return {key: self.scores(weight, scoring.masks[key]) for key, weight in scoring.weights.items()}

    def scores(self, weight: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Scores of one layer, of the shape of `weight`."""
        size = np.abs(weight)
        # Pruned weights are zeros and would pull the mean down; an all-zero layer has nothing to balance.
        mean = size[mask].mean() if size[mask].any() else 1.0
        return size / mean**self.power
