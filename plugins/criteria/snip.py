"""SNIP: before any training, keep the weights to whose masks the loss is most sensitive."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from kerastickets.plugin import RecipeError, Scores, Scoring


@dataclass(frozen=True)
class Snip:
    """Score each weight by the magnitude of the loss's gradient with respect to its mask, normalised to sum 1.

    Normalisation hides the scale of the scores. Therefore `facts["saliency"]` of the scores has the sum of
    magnitudes of each layer and the total.

    Args:
        batches: number of training batches over which to average the gradient, at least 1.
        stratified: whether every batch contains each class in proportion to its size.

    Raises:
        RecipeError: all gradients are zero, so that no weight scores higher than another; or `stratified` is
            set and the data does not have one class per example.

    Example:
        >>> from kerastickets.testing import toy_scoring
        >>> scores = Snip()(toy_scoring())
        >>> round(float(sum(score.sum() for score in scores.values())), 6)
        1.0
        >>> sorted(scores.facts["saliency"]["layers"])
        ['dense/kernel', 'dense_1/kernel']

    Reference:
        N. Lee, T. Ajanthan, P. Torr, SNIP: Single-shot Network Pruning based on Connection Sensitivity,
        section 4, algorithm 1.
    """

    batches: int = 1
    stratified: bool = False

    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"between": "none", "levels": 1, "sparsity": 0.9, "scope": "global"}
    )

    def __post_init__(self) -> None:
        if self.batches < 1:
            raise ValueError(f"`batches` must be at least 1. Received: batches={self.batches}")

    def __call__(self, scoring: Scoring) -> Scores:
        given = scoring.stratified() if self.stratified else scoring
        saliency = {key: np.abs(g) for key, g in given.mask_gradient(batches=self.batches).items()}
        sums = {key: float(value.sum(dtype="float64")) for key, value in sorted(saliency.items())}
        scale = sum(sums.values())
        if scale == 0:
            raise RecipeError(
                f"SNIP needs a loss that depends on a weight. Received: gradients that are all zero, in {len(sums)} "
                f"layers on {self.batches} batches. Look for weights that start at zero, units that are dead on all "
                "examples, or a layer without any weight left; or raise `batches`."
            )
        # In float32, the division could round unequal scores to equal ones.
        scores = {key: np.divide(value, scale, dtype="float64") for key, value in saliency.items()}
        return Scores(scores, {"saliency": {"total": scale, "layers": sums}})


@dataclass(frozen=True)
class IterativeSnip(Snip):
    """SNIP in several steps: prune a little, score the remaining weights again on new batches, and repeat.

    Args:
        batches: number of training batches over which to average each step's gradient, at least 1.
        stratified: whether every batch contains each class in proportion to its size.

    Example:
        >>> IterativeSnip().defaults["levels"]
        5

    Reference:
        S. Verdenius, M. Stol, P. Forré, Pruning via Iterative Ranking of Sensitivity Statistics, section 4.
    """

    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"between": "none", "levels": 5, "sparsity": 0.9, "scope": "global"}
    )
