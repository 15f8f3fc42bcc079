"""Share an evaluation among replicas, and average the statistics that each replica computes."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerastickets.data.splits import size as count_of
from kerastickets.distribution.devices import Layout, replica_number, rows_of
from kerastickets.errors import RecipeError
from kerastickets.models.variables import walk


def shared_evaluation(layout: Layout, model: keras.Model, split: Any, size: int) -> Any:
    """Compile an evaluation that divides the examples among replicas; every example counts once.

    Args:
        layout: a layout with more than one replica.
        model: a model whose metrics add up over replicas, as Keras's metrics do.
        split: `(x, y)` or `(x, y, sample_weight)`, arrays in any structure.
        size: examples per step and replica. The last step of a replica takes all its remaining examples: up
            to twice as many.

    Raises:
        RecipeError: there are fewer examples than replicas.
    """
    examples = count_of(split)
    if examples < layout.replicas:
        raise RecipeError(
            f"Each of {layout.replicas} replicas needs an example to evaluate. Received: a split of {examples}. "
            "Use strategy=default, or more data."
        )
    share, left = divmod(examples, layout.replicas)
    whole = max(0, share // size - 1)

    def shares(arrays: Any) -> None:
        def measured(at: Any, count: Any) -> None:
            model.test_step(tf.nest.map_structure(lambda array: rows_of(array, at, count), arrays))

        # If the examples do not divide evenly, the first replicas take one more each.
        one = tf.cast(replica_number() < left, tf.int32)
        begin = replica_number() * share + tf.minimum(replica_number(), left)

        def body(i: Any) -> Any:
            measured(begin + i * size, size)
            return i + 1

        tf.while_loop(lambda i: i < whole, body, [tf.constant(0)], parallel_iterations=1)
        measured(begin + whole * size, share - whole * size + one)

    return layout.compiled(shares, tf.nest.map_structure(layout.keep, split))


def averaging(layout: Layout, model: keras.Model) -> Callable[[], Any]:
    """Compile a function that averages statistics over replicas, such as those of BatchNormalization.

    Keras lets every replica update its own statistics. The updates are linear in the batch statistics, so it
    does not matter how often the mean is taken.
    """
    own = [
        place.variable
        for place in (walk(model) if layout.replicas > 1 else ())
        if any(place.variable is found for found in place.layer._non_trainable_variables)
        and keras.backend.is_float_dtype(place.variable.dtype)
    ]
    return layout.compiled(lambda: _average(own)) if own else lambda: None


def _average(own: list[keras.Variable]) -> None:
    context = tf.distribute.get_replica_context()
    # Average the differences from the first replica, so that equal values stay the same to the last bit.
    first = tf.cast(tf.equal(replica_number(), 0), "float32")
    values = [tf.cast(variable.value, "float32") for variable in own]
    bases = context.all_reduce(tf.distribute.ReduceOp.SUM, [value * first for value in values])
    gaps = [value - base for value, base in zip(values, bases, strict=True)]
    means = context.all_reduce(tf.distribute.ReduceOp.MEAN, gaps)
    for variable, base, mean in zip(own, bases, means, strict=True):
        variable.assign(tf.cast(base + mean, variable.dtype))
