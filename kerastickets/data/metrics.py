"""Metrics that Keras does not have, mainly for data sets with several tasks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerastickets.data.dataset import BINARY_CROSS_ENTROPY, Data, Task
from kerastickets.data.losses import TaskCrossEntropy, spans


@keras.saving.register_keras_serializable("kerastickets")
class LogitAccuracy(keras.metrics.Mean):
    """The accuracy of binary outputs: the fraction that is right, for models that end in logits.

    An output predicts 1 if its logit is above 0, else 0. Each example counts once, with the mean over the
    chosen outputs. Sample weights are therefore one per example.

    Args:
        output: the position of the output to measure, from 0, or a sequence of positions. None measures all.
        name: the metric's name in reports.
        dtype: the dtype of the running mean.

    Example:
        >>> accuracy = LogitAccuracy()
        >>> accuracy.update_state([[1.0, 0.0], [0.0, 0.0]], [[3.0, -1.0], [2.0, -4.0]])
        >>> float(accuracy.result())  # right: 2 of 2, then 1 of 2
        0.75
    """

    __module__ = "kerastickets.metrics"  # `.keras` files name it

    def __init__(
        self, output: int | Sequence[int] | None = None, name: str = "accuracy", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.output = output if output is None or isinstance(output, int) else list(output)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: `y_true` of 0 and 1, and logits `y_pred`, both of shape `(n, outputs)`."""
        y_pred = ops.cast(y_pred, self.dtype)
        y_true = ops.reshape(ops.cast(y_true, self.dtype), ops.shape(y_pred))
        right = ops.cast(ops.equal(y_pred > 0, y_true > 0.5), self.dtype)
        one = isinstance(self.output, int)
        right = right[..., self.output] if one else ops.mean(_of(right, self.output), axis=-1)
        super().update_state(right, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The configuration from which Keras makes the same metric again."""
        return {**super().get_config(), "output": self.output}


@keras.saving.register_keras_serializable("kerastickets")
class TaskAccuracy(keras.metrics.Mean):
    """The accuracy over several classification tasks that share one layer of logits.

    Each example counts once, with the mean over the chosen tasks. Sample weights are therefore one per
    example.

    Args:
        classes: the number of classes of each task, in the order of the logits.
        task: the position of the task to measure, from 0. None measures all tasks.
        name: the metric's name in reports.
        dtype: the dtype of the running mean.

    Example:
        >>> accuracy = TaskAccuracy(classes=(2, 3))
        >>> accuracy.update_state([[0, 2], [1, 1]], [[5.0, 1, 0, 0, 9], [5.0, 1, 0, 7, 0]])
        >>> float(accuracy.result())  # right: 2 of 2, then 1 of 2
        0.75
    """

    __module__ = "kerastickets.metrics"  # `.keras` files name it

    def __init__(
        self, classes: Sequence[int], task: int | None = None, name: str = "accuracy", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.classes, self.task = tuple(classes), task

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels `y_true` `(n, tasks)` and logits `y_pred` `(n, sum of classes)`."""
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
        """The configuration from which Keras makes the same metric again."""
        return {**super().get_config(), "classes": list(self.classes), "task": self.task}


@keras.saving.register_keras_serializable("kerastickets")
class MeanTaskLoss(keras.metrics.Mean):
    """The mean of the cross-entropies of several classification tasks that share one layer of logits.

    The loss of such a data set is their sum, see `TaskCrossEntropy`.

    Args:
        classes: the number of classes of each task, in the order of the logits.
        name: the metric's name in reports.
        dtype: the dtype of the running mean.

    Example:
        >>> loss = MeanTaskLoss(classes=(2, 4))
        >>> loss.update_state([[0, 3]], [[0.0, 0, 1, 1, 1, 1]])
        >>> round(float(loss.result()), 4)  # (log 2 + log 4) / 2
        1.0397
    """

    __module__ = "kerastickets.metrics"  # `.keras` files name it

    def __init__(self, classes: Sequence[int], name: str = "mean_loss", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.classes = tuple(classes)
        self._sum = TaskCrossEntropy(self.classes, reduction="none")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels `y_true` `(n, tasks)` and logits `y_pred` `(n, sum of classes)`."""
        sums = self._sum.call(ops.convert_to_tensor(y_true), ops.cast(y_pred, self.dtype))
        super().update_state(sums / len(self.classes), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The configuration from which Keras makes the same metric again."""
        return {**super().get_config(), "classes": list(self.classes)}


@keras.saving.register_keras_serializable("kerastickets")
class OutputError(keras.metrics.Mean):
    """The mean squared error of chosen outputs.

    Args:
        outputs: the positions of the outputs to measure, from 0. None measures all.
        name: the metric's name in reports.
        dtype: the dtype of the running mean.

    Example:
        >>> error = OutputError(outputs=(1,))
        >>> error.update_state([[0.0, 1.0], [0.0, 0.0]], [[9.0, 3.0], [9.0, 0.0]])
        >>> float(error.result())  # 4, then 0
        2.0
    """

    __module__ = "kerastickets.metrics"  # `.keras` files name it

    def __init__(
        self, outputs: Sequence[int] | None = None, name: str = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.outputs = None if outputs is None else list(outputs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: targets `y_true` and outputs `y_pred`, both of shape `(n, outputs)`."""
        y_pred = ops.cast(y_pred, self.dtype)
        y_true = ops.reshape(ops.cast(y_true, self.dtype), ops.shape(y_pred))
        error = _of(ops.square(y_pred - y_true), self.outputs)
        super().update_state(ops.mean(error, axis=-1), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The configuration from which Keras makes the same metric again."""
        return {**super().get_config(), "outputs": self.outputs}


def task_metrics(data: Data) -> list[keras.metrics.Metric]:
    """The metrics that are reported per task of a data set.

    A classification task has `TASK_accuracy`. A task with targets has `TASK_accuracy` if its loss is binary
    cross-entropy of logits, else `TASK_mean_squared_error`. A data set of several classification tasks, whose
    losses are added, also has `mean_loss`.

    Args:
        data: the data set. Without tasks the list is empty.

    Example:
        >>> from kerastickets.data.spec import data_of
        >>> [metric.name for metric in task_metrics(data_of("digits+digits[3,8]"))]
        ['digits_accuracy', 'digits-3-8_accuracy', 'mean_loss']
    """
    if isinstance(data.classes, tuple):
        names = enumerate(data.tasks)
        each = [TaskAccuracy(data.classes, column, name=f"{name}_accuracy") for column, name in names]
        return [*each, MeanTaskLoss(data.classes)]
    # A single column of labels cannot be assigned to one of several tasks.
    return [_of_targets(name, task) for name, task in data.tasks.items()] if data.classes is None else []


def _of_targets(name: str, task: Task) -> keras.metrics.Metric:
    if task.loss == BINARY_CROSS_ENTROPY:
        return LogitAccuracy(task.outputs, name=f"{name}_accuracy")
    return OutputError(task.outputs, name=f"{name}_mean_squared_error")


def _of(values: Any, outputs: Any) -> Any:
    return values if outputs is None else ops.take(values, list(outputs), axis=-1)
