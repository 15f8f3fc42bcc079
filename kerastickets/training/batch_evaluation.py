"""Add examples to the metrics of a model, batch by batch, within a compiled call."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerastickets.distribution.devices import rows_of


def adding_batches(model: keras.Model, examples: int, size: int) -> Callable[[Any, Any, Any], None]:
    """A function of arrays, `whole` and `rest` that adds examples to the metrics of a model, in a compiled call.

    The last bit of a sum depends on which other operations XLA fuses it with. XLA compiles a loop that it cannot see
    through in the same way wherever the loop stands. So the loop's lengths `whole` and `rest` must be tensors that are
    made outside of the graph. Each batch is found by the loop's counter, so the arrays need one row more than a single
    batch.

    Args:
        model: a compiled model.
        examples: the number of examples of the split.
        size: examples per batch. The last batch of the split may have fewer.

    Returns:
        A function of the arrays, in the structure of the split, of the number of whole batches, and of the number of
        examples after them: as many as are left over in the split, or 0.
    """

    def measure(arrays: Any, whole: Any, rest: Any) -> None:
        def measured(at: Any, count: int) -> None:
            model.test_step(tf.nest.map_structure(lambda array: rows_of(array, at, count), arrays))

        def body(i: Any) -> Any:
            measured(i * size, size)
            return i + 1

        def odd(i: Any) -> Any:
            measured((whole + i) * size, examples % size)
            return i + examples

        tf.while_loop(lambda i: i < whole, body, [tf.constant(0)], parallel_iterations=1)
        if examples % size:
            tf.while_loop(lambda i: i < rest, odd, [tf.constant(0)], parallel_iterations=1)

    return measure
