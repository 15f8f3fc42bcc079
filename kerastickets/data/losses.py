"""Losses that Keras lacks."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerastickets")
class TaskCrossEntropy(keras.losses.Loss):
    """The sum over tasks of their cross-entropies, where one layer of logits serves several tasks.

    The first logits are those of the first task's classes, the next those of the second's, and so on.
    In a data set it is `task_cross_entropy(classes)`, which JSON can hold.

    Args:
        classes: the number of classes of each task.
        name: what reports call it.
        reduction: over the examples, as in any Keras loss: `sum_over_batch_size` is their mean.
        dtype: the dtype of the result.

    Example:
        >>> import numpy as np
        >>> loss = TaskCrossEntropy(classes=(2, 4))
        >>> round(float(loss(np.array([[0, 3]]), np.array([[0.0, 0, 1, 1, 1, 1]]))), 4)  # log 2 + log 4
        2.0794
    """

    __module__ = "kerastickets.losses"  # `.keras` files name it

    def __init__(
        self,
        classes: Sequence[int],
        name: str = "task_cross_entropy",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.classes = tuple(classes)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each example, for labels `(n, tasks)` and logits `(n, sum of classes)`."""
        y_true = ops.cast(y_true, "int32")
        losses = [
            ops.sparse_categorical_crossentropy(
                y_true[..., task], y_pred[..., first : first + count], from_logits=True
            )
            for task, (first, count) in enumerate(spans(self.classes))
        ]
        return sum(losses[1:], losses[0])

    def get_config(self) -> dict[str, Any]:
        """What makes the same loss again."""
        return {**super().get_config(), "classes": list(self.classes)}


def spans(classes: Sequence[int]) -> list[tuple[int, int]]:
    """Where each task's logits begin, and how many they are.

    Example:
        >>> spans((10, 5))
        [(0, 10), (10, 5)]
    """
    return list(zip(accumulate(classes, initial=0), classes, strict=False))
