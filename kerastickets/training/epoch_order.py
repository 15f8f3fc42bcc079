"""The order of training examples: a new permutation for each epoch, keyed by the seed, given out in blocks."""

from typing import NamedTuple

import numpy as np

# How many examples the order given to one call covers: several epochs of a small set, one of a large set.
_BLOCK = 2**16


class Part(NamedTuple):
    """Steps that one call can run.

    Args:
        block: number of the block of epochs that contains the steps.
        steps: the number of steps.
        first: the first step, counted from the beginning of the block.
        base: the number of the block's first step.
    """

    block: int
    steps: int
    first: int
    base: int


class EpochOrder:
    """The order of the examples of a training.

    Args:
        examples: the number of training examples.
        batch_size: examples per step. What is left over in an epoch is dropped.

    Example:
        >>> order = EpochOrder(examples=4, batch_size=2)
        >>> sorted(order.rows(seed=0, block=0)[:4].tolist())
        [0, 1, 2, 3]
    """

    def __init__(self, examples: int, batch_size: int) -> None:
        self.examples = examples
        #: The number of steps in an epoch.
        self.per_epoch = examples // batch_size
        self._epochs = max(1, _BLOCK // examples)

    @property
    def length(self) -> int:
        """The number of examples in one block."""
        return self._epochs * self.examples

    def part(self, first: int, count: int) -> Part:
        """The steps from `first` to `first + count` that one call can run: up to the end of a block of epochs."""
        steps = self._epochs * self.per_epoch
        block, at = divmod(first, steps)
        return Part(block, min(count, steps - at), at, first - at)

    def rows(self, seed: int, block: int) -> np.ndarray:
        """The orders of all epochs of a block in one array. One call per epoch would cost tiny nets half their time."""
        epochs = range(block * self._epochs, (block + 1) * self._epochs)
        return np.concatenate([epoch_order(seed, epoch, self.examples) for epoch in epochs])


def epoch_order(seed: int, epoch: int, examples: int) -> np.ndarray:
    """The order of the examples in one epoch.

    Example:
        >>> sorted(epoch_order(seed=0, epoch=1, examples=3).tolist())
        [0, 1, 2]
    """
    return np.random.default_rng([seed, epoch]).permutation(examples).astype("int32")
