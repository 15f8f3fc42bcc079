"""Share an evaluation among replicas, and average the statistics that each replica computes."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastickets.distribution.devices import Layout, replica_number, rows_of
from kerastickets.errors import RecipeError
from kerastickets.models.variables import walk


def shared_evaluation(layout: Layout, model: keras.Model, x: np.ndarray, y: np.ndarray, size: int) -> Any:
    """Compile an evaluation that divides the examples among replicas; every example counts once.

    Args:
        layout: a layout with more than one replica.
        model: a model whose metrics add up over replicas, as Keras's metrics do.
        x: inputs.
        y: labels.
        size: examples per step and replica. The last step of a replica takes all its remaining examples: up
            to twice as many.

    Raises:
        RecipeError: there are fewer examples than replicas.
    """
    if len(x) < layout.replicas:
        raise RecipeError(
            f"Each of {layout.replicas} replicas needs an example to evaluate. Received: a split of {len(x)}. "
            "Use strategy=default, or more data."
        )
    share, left = divmod(len(x), layout.replicas)
    whole = max(0, share // size - 1)

    def shares(x: Any, y: Any) -> None:
        # If the examples do not divide evenly, the first replicas take one more each.
        one = tf.cast(replica_number() < left, tf.int32)
        begin = replica_number() * share + tf.minimum(replica_number(), left)

        def body(i: Any) -> Any:
            model.test_step((rows_of(x, begin + i * size, size), rows_of(y, begin + i * size, size)))
            return i + 1

        tf.while_loop(lambda i: i < whole, body, [tf.constant(0)], parallel_iterations=1)
        at, rest = begin + whole * size, share - whole * size + one
        model.test_step((rows_of(x, at, rest), rows_of(y, at, rest)))

    return layout.compiled(shares, layout.keep(x), layout.keep(y))


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
