"""SNIP: keep the weights whose masks the loss is most sensitive to, before any training."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from kerastickets.scoring import Scoring
from kerastickets.tree import Tree


@dataclass(frozen=True)
class Snip:
    """The magnitude of the loss's gradient with respect to each weight's mask, normalised to sum 1.

    Args:
        batches: training batches to average the gradient over, at least 1.

    Example:
        >>> from kerastickets.testing import toy_scoring
        >>> scores = Snip()(toy_scoring())
        >>> round(float(sum(score.sum() for score in scores.values())), 6)
        1.0

    Reference:
        N. Lee, T. Ajanthan, P. Torr, SNIP: Single-shot Network Pruning based on Connection Sensitivity,
        section 4, algorithm 1.
    """

    batches: int = 1

    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"between": "none", "levels": 1, "sparsity": 0.9, "scope": "global"}
    )

    def __post_init__(self) -> None:
        if self.batches < 1:
            raise ValueError(f"`batches` must be at least 1. Received: batches={self.batches}")

    def __call__(self, scoring: Scoring) -> Tree:
        saliency = {key: np.abs(g) for key, g in scoring.mask_gradient(batches=self.batches).items()}
        scale = sum(float(value.sum(dtype="float64")) for value in saliency.values())
        # All gradients can vanish; dividing by zero would make every score NaN. In float32 the division could
        # make unequal scores equal.
        return {key: np.divide(value, scale or 1.0, dtype="float64") for key, value in saliency.items()}


@dataclass(frozen=True)
class IterativeSnip(Snip):
    """SNIP in several steps: prune a little, rescore what is left on new batches, repeat.

    Args:
        batches: training batches to average each step's gradient over, at least 1.

    Example:
        >>> IterativeSnip().defaults["levels"]
        5

    Reference:
        S. Verdenius, M. Stol, P. Forré, Pruning via Iterative Ranking of Sensitivity Statistics, section 4.
    """

    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"between": "none", "levels": 5, "sparsity": 0.9, "scope": "global"}
    )
