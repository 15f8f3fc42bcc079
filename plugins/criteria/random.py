"""Keep weights at random: the control that every criterion must beat."""

from dataclasses import dataclass

from kerastickets.plugin import Scoring, Tree, generator


@dataclass(frozen=True)
class Random:
    """A uniform draw per weight, keyed by (seed, key): the cut keeps exactly the number asked.

    The draw does not depend on the level, so masks of later levels lie within those of earlier ones.

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
