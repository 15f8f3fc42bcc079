"""Metrics that Keras lacks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerastickets.losses import spans


@keras.saving.register_keras_serializable("kerastickets")
class LogitAccuracy(keras.metrics.Mean):
    """The share of yes-or-no outputs that are right, where the model ends in logits.

    An output says yes where its logit is above 0. Each example counts once, with the mean over the
    outputs looked at, so sample weights are one an example.

    Args:
        output: the position of the one output to look at, from 0; None looks at all.
        name: what reports call it.
        dtype: the dtype of the running mean.

    Example:
        >>> accuracy = LogitAccuracy()
        >>> accuracy.update_state([[1.0, 0.0], [0.0, 0.0]], [[3.0, -1.0], [2.0, -4.0]])
        >>> float(accuracy.result())  # right: 2 of 2, then 1 of 2
        0.75
    """

    def __init__(self, output: int | None = None, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.output = output

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch: `y_true` of 0 and 1 and logits `y_pred`, both `(n, outputs)`."""
        y_pred = ops.cast(y_pred, self.dtype)
        y_true = ops.reshape(ops.cast(y_true, self.dtype), ops.shape(y_pred))
        right = ops.cast(ops.equal(y_pred > 0, y_true > 0.5), self.dtype)
        right = ops.mean(right, axis=-1) if self.output is None else right[..., self.output]
        super().update_state(right, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What makes the same metric again."""
        return {**super().get_config(), "output": self.output}


@keras.saving.register_keras_serializable("kerastickets")
class TaskAccuracy(keras.metrics.Mean):
    """The share of right labels, where one layer of logits serves several tasks of classes.

    Each example counts once, with the mean over the tasks looked at, so sample weights are one an example.

    Args:
        classes: the number of classes of each task, in the order of the logits.
        task: the position of the one task to look at, from 0; None looks at all.
        name: what reports call it.
        dtype: the dtype of the running mean.

    Example:
        >>> accuracy = TaskAccuracy(classes=(2, 3))
        >>> accuracy.update_state([[0, 2], [1, 1]], [[5.0, 1, 0, 0, 9], [5.0, 1, 0, 7, 0]])
        >>> float(accuracy.result())  # right: 2 of 2, then 1 of 2
        0.75
    """

    def __init__(
        self, classes: Sequence[int], task: int | None = None, name: str = "accuracy", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.classes, self.task = tuple(classes), task

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch: labels `y_true` `(n, tasks)` and logits `y_pred` `(n, sum of classes)`."""
        y_true = ops.cast(y_true, "int32")
        y_pred = ops.cast(y_pred, self.dtype)
        places = spans(self.classes)
        tasks = range(len(places)) if self.task is None else [self.task]
        right = [
            ops.equal(ops.argmax(y_pred[..., first : first + count], axis=-1), y_true[..., task])
            for task, (first, count) in enumerate(places)
            if task in tasks
        ]
        super().update_state(ops.mean(ops.cast(ops.stack(right), self.dtype), axis=0), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What makes the same metric again."""
        return {**super().get_config(), "classes": list(self.classes), "task": self.task}
