"""Losses that Keras does not have: the sum of the cross-entropies of several tasks."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerastickets")
class TaskCrossEntropy(keras.losses.Loss):
    """The sum of the cross-entropies of several classification tasks that share one layer of logits.

    The first logits belong to the classes of the first task, the next to those of the second task, and so on.
    A data set names this loss by `task_cross_entropy(*classes)`, which JSON can hold.

    Args:
        classes: the number of classes of each task, in the order of the logits.
        name: the loss's name in reports.
        reduction: the reduction over the examples, as in any Keras loss. `"sum_over_batch_size"` is the mean.
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
        """The loss of each example, from labels `(n, tasks)` and logits `(n, sum of classes)`."""
        y_true = ops.cast(y_true, "int32")
        losses = [
            ops.sparse_categorical_crossentropy(
                y_true[..., task], y_pred[..., first : first + count], from_logits=True
            )
            for task, (first, count) in enumerate(spans(self.classes))
        ]
        return sum(losses[1:], losses[0])

    def get_config(self) -> dict[str, Any]:
        """The configuration from which Keras makes the same loss again."""
        return {**super().get_config(), "classes": list(self.classes)}


def spans(classes: Sequence[int]) -> list[tuple[int, int]]:
    """The position of the first logit of each task, and the number of its logits.

    Example:
        >>> spans((10, 5))
        [(0, 10), (10, 5)]
    """
    return list(zip(accumulate(classes, initial=0), classes, strict=False))
