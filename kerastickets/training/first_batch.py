"""Turn whatever a net says about the first batch of its data into one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from kerastickets.errors import KerasTicketsError, RecipeError

# What says nothing about the net and its data: too little memory, and workers that are gone.
_NOT_THE_BATCH = (
    *(MemoryError, tf.errors.ResourceExhaustedError, tf.errors.UnavailableError),
    *(tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError),
)


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Refuse a net, a loss or metrics that do not take the examples of a data set.

    Args:
        name: the name of the data set.

    Raises:
        RecipeError: the body raised an error of Keras or TensorFlow.
    """
    try:
        yield
    except (KerasTicketsError, *_NOT_THE_BATCH):
        raise
    except Exception as error:  # whatever a layer, a loss or a metric says about the first batch
        cause = " ".join(str(error).split())[:200]
        raise RecipeError(
            f"The net, its loss and its metrics must take the examples of {name}. Received: "
            f"{type(error).__name__}: {cause}"
        ) from error
