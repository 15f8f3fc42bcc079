"""Train and evaluate on examples that are streamed from disk: a window of them at a time is on the device.

A window holds the examples of some steps, in the order of these steps. So the compiled steps are those of a data set in
memory, with other arrays to take their batches from.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from kerastickets.data.splits import rows, size as size_of
from kerastickets.foundations.structure import leaves, map_leaves
from kerastickets.training.epoch_order import Part, epoch_order

#: How many bytes of examples are on the device at once. A window holds at least one batch.
WINDOW = 2**26


def steps_in(split: Any, batch_size: int, most: int) -> int:
    """How many batches of a split fit into a window: 1 to `most`.

    Example:
        >>> steps_in((np.zeros((10**6, 1024), "float32"), np.zeros(10**6, "int64")), 60, 10**4)
        272
    """
    one = map_leaves(lambda array: None if array is None else array[:1], split)
    example = sum(array.nbytes for array in leaves(one) if array is not None)
    return max(1, min(most, WINDOW // (example * batch_size)))


class WindowOrder:
    """The order of the examples of a training, one window after another; see `EpochOrder`.

    Window `n` holds the examples of the steps from `n * per_epoch`, whatever epochs they belong to.

    Args:
        split: the training split.
        batch_size: examples per step.

    Example:
        >>> order = WindowOrder((np.zeros((4, 1), "float32"), np.zeros(4)), batch_size=2)
        >>> sorted(order.rows(seed=0, block=0).tolist())
        [0, 1, 2, 3]
    """

    def __init__(self, split: Any, batch_size: int) -> None:
        self._split, self._size = split, batch_size
        self._steps = size_of(split) // batch_size
        #: The number of steps of a window.
        self.per_epoch = steps_in(split, batch_size, self._steps)
        #: The number of examples of a window.
        self.examples = self.length = self.per_epoch * batch_size
        self._epoch = lru_cache(2)(epoch_order)

    def part(self, first: int, count: int) -> Part:
        """The steps from `first` to `first + count` that one call can run: up to the end of a window."""
        window, at = divmod(first, self.per_epoch)
        return Part(window, min(count, self.per_epoch - at), at, first - at)

    def rows(self, seed: int, block: int) -> np.ndarray:
        """The rows of a window's examples in the training split, in the order of its steps."""
        found = []
        for step in range(block * self.per_epoch, (block + 1) * self.per_epoch):
            epoch, at = divmod(step, self._steps)
            order = self._epoch(seed, epoch, size_of(self._split))
            found.append(order[at * self._size : (at + 1) * self._size])
        return np.concatenate(found)

    def window(self, seed: int, block: int) -> Any:
        """The examples of a window as tensors, in the structure of the split."""
        return tf.nest.map_structure(tf.constant, rows(self._split, self.rows(seed, block)))

    def specs(self) -> list[Any]:
        """The shapes and types of the tensors of a window, in the order of `tf.nest.flatten`."""
        one = tf.nest.flatten(rows(self._split, slice(1)))
        return [tf.TensorSpec((self.examples, *array.shape[1:]), array.dtype) for array in one]


class WindowedEvaluation:
    """Evaluates a split that is streamed from disk, one window after another.

    Args:
        split: the split.
        batch_size: examples per step.
        measure: within a compiled call, adds examples to the metrics; see `adding_batches`.
        results: at the end of a compiled call, gives its results.
        jit: whether XLA compiles the call.
    """

    def __init__(self, split: Any, batch_size: int, measure: Any, results: Any, jit: bool) -> None:
        self._split, self._size, self._examples = split, batch_size, size_of(split)
        # One row more than whole batches, as for arrays in memory; see `adding_batches`.
        self._rows = batch_size * steps_in(split, batch_size, max(1, self._examples // batch_size)) + 1
        one = tf.nest.flatten(rows(split, slice(1)))
        specs = [tf.TensorSpec((self._rows, *array.shape[1:]), array.dtype) for array in one]

        @tf.function(
            jit_compile=jit, autograph=False, input_signature=[*[tf.TensorSpec((), tf.int32)] * 2, *specs]
        )
        def evaluation(whole: Any, rest: Any, *arrays: Any) -> Any:
            measure(tf.nest.pack_sequence_as(split, arrays), whole, rest)
            return results()

        self._call = evaluation.get_concrete_function()

    @property
    def variables(self) -> Any:
        """The variables that the evaluation touches."""
        return self._call.variables

    def __call__(self) -> Any:
        found = None
        most = self._rows - 1
        for start in range(0, self._examples, most):
            count = min(most, self._examples - start)
            whole, rest = divmod(count, self._size)
            given = [self._padded(array[start : start + count]) for array in tf.nest.flatten(self._split)]
            found = self._call(tf.constant(whole), tf.constant(rest), *given)
        return found

    def _padded(self, array: np.ndarray) -> Any:
        padded = np.zeros((self._rows, *array.shape[1:]), array.dtype)
        padded[: len(array)] = array
        return tf.constant(padded)
