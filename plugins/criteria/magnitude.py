"""Criterion that keeps the weights with the largest magnitude."""

from dataclasses import dataclass

import numpy as np

from kerastickets.plugin import Scoring, Tree


@dataclass(frozen=True)
class Magnitude:
    """Score each weight by its magnitude after training.

    Example:
        >>> from kerastickets.testing import toy_scoring
        >>> scores = Magnitude()(toy_scoring())
        >>> bool(min(score.min() for score in scores.values()) >= 0)
        True

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, section 2.
    """

    def __call__(self, scoring: Scoring) -> Tree:
        return {key: np.abs(weight) for key, weight in scoring.weights.items()}
