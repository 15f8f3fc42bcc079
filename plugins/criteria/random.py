"""Criterion that keeps weights at random: the control that every other criterion must beat."""

from dataclasses import dataclass

from kerastickets.plugin import Scoring, Tree, generator


@dataclass(frozen=True)
class Random:
    """Score each weight by a uniform random number that depends only on the seed and the weight's key.

    The cut keeps exactly the requested number of weights. The scores are the same at every level, so the mask
    of a later level lies within the mask of an earlier one.

    Example:
        >>> from kerastickets.testing import toy_scoring
        >>> scoring = toy_scoring()
        >>> bool((Random()(scoring)["dense/kernel"] == Random()(scoring)["dense/kernel"]).all())
        True
    """

    def __call__(self, scoring: Scoring) -> Tree:
        return {
            key: generator("random", scoring.seed, key).random(mask.shape)
            for key, mask in scoring.masks.items()
        }
