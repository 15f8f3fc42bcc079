"""Data: the arrays a ticket is found on, with the loss, the metrics and the tasks they are meant for."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from kerastickets.errors import DataError
from kerastickets.foundations.tree import generator

Split = tuple[np.ndarray, np.ndarray]
Loss = str | Mapping[str, Any]

#: The loss of a classification set whose models end in logits.
CROSS_ENTROPY = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}}

#: The loss of independent yes-or-no outputs given as logits: the mean over the outputs.
BINARY_CROSS_ENTROPY = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}


def task_cross_entropy(*classes: int) -> dict[str, Any]:
    """The loss of several tasks of classes that share one layer of logits: the sum of their cross-entropies.

    Args:
        classes: the number of classes of each task, in the order of the logits.

    Example:
        >>> task_cross_entropy(10, 10)["config"]
        {'classes': [10, 10]}
    """
    return {"class_name": "kerastickets>TaskCrossEntropy", "config": {"classes": list(classes)}}


@dataclass(frozen=True)
class Task:
    """One of several tasks that a data set joins: which inputs and outputs belong to it.

    Args:
        inputs: positions in one flattened example, from 0.
        outputs: positions in the model's last layer, from 0.
        loss: the loss of these outputs alone, as a Keras identifier.

    Example:
        >>> Task(inputs=(0, 1), outputs=(0,), loss="mse").outputs
        (0,)
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    loss: Loss


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """A data set in memory: three splits and what training on them needs to know.

    The arrays become read-only views (not copies) of float32 inputs, and of int64 class labels or
    float32 targets. Everything a later step would stumble over is refused here, by name.

    Args:
        name: what tables and provenance call it.
        train: `(x, y)`, inputs `(n, ...)` and labels `(n,)`, or targets `(n, outputs)`, or for several
            tasks of classes labels `(n, tasks)`.
        validation: the same, taken out of train; it selects and stops.
        test: the same; it selects nothing.
        loss: a Keras loss identifier that JSON can hold: a name or `{"class_name", "config"}`.
        metrics: Keras metric identifiers, or functions without arguments that make a metric.
        classes: the number of classes, labels being 0 to classes - 1; a number for each task where `y` has
            a column of labels for each; None where `y` are targets.
        tasks: the tasks this set joins, by name; empty for a single task.
        batches: where given, makes the training batches (a `tf.data.Dataset`) for a data seed.
        labels: the name of each class; empty where they have none but their numbers.
        scaling: `(mean, std)`, numbers or arrays that broadcast to one example, where the inputs are bytes
            standardised by them: `x * std + mean` are integers of 0 to 255. None where they are not.

    Raises:
        DataError: for empty splits, unequal lengths or shapes, values that are not finite, labels
            that are no class, a class without a training example, tasks out of range, or a scaling that
            does not fit the inputs.

    Example:
        >>> x, y = np.eye(4), np.array([0, 1, 1, 0])
        >>> data = Data("toy", (x, y), (x, y), (x, y), CROSS_ENTROPY, ("accuracy",), classes=2)
        >>> data
        Data('toy', train=4, validation=4, test=4, inputs=(4,), outputs=2)
    """

    name: str
    train: Split
    validation: Split
    test: Split
    loss: Loss
    metrics: tuple[str | Mapping[str, Any] | Callable[[], Any], ...]
    classes: int | tuple[int, ...] | None
    tasks: Mapping[str, Task] = field(default_factory=dict)
    batches: Callable[[int], Any] | None = None
    labels: tuple[str, ...] = ()
    scaling: tuple[Any, Any] | None = None

    def __post_init__(self) -> None:
        if self.classes is not None and min(self._classes, default=0) < 2:
            raise DataError(f"`classes` must be at least 2, or None. Received: classes={self.classes}")
        object.__setattr__(self, "labels", tuple(self.labels))
        names = set(self.labels)
        if self.labels and (len(names) < len(self.labels) or len(names) != self.classes):
            raise DataError(
                f"`labels` must name each of the {self.classes} classes of data set '{self.name}' once. "
                f"Received: labels={self.labels}"
            )
        for name in ("train", "validation", "test"):
            object.__setattr__(self, name, self._checked(name, *getattr(self, name)))
        for name in ("validation", "test"):
            self._check_like_train(name)
        self._check_classes()
        object.__setattr__(self, "loss", _json_ready(self.name, self.loss))
        object.__setattr__(self, "metrics", tuple(self.metrics))
        object.__setattr__(self, "tasks", MappingProxyType(dict(self.tasks)))
        self._check_tasks()
        if self.scaling is not None:
            object.__setattr__(self, "scaling", _checked_scaling(self.name, self.input_shape, *self.scaling))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example, without the batch axis."""
        return self.train[0].shape[1:]

    @property
    def outputs(self) -> int:
        """How many units a model's last layer needs: one a class, or one a target."""
        targets = self.train[1]
        return sum(self._classes) or (targets.shape[-1] if targets.ndim > 1 else 1)

    @property
    def _classes(self) -> tuple[int, ...]:
        """The number of classes of each column of labels; empty where there are targets."""
        if self.classes is None:
            return ()
        return self.classes if isinstance(self.classes, tuple) else (self.classes,)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={len(getattr(self, name)[1])}" for name in ("train", "validation", "test"))
        return f"Data({self.name!r}, {sizes}, inputs={self.input_shape}, outputs={self.outputs})"

    def _checked(self, split: str, x: Any, y: Any) -> Split:
        where = f"{split} of data set '{self.name}'"
        x = _numbers(x, np.float32, f"Inputs in {where}")
        if x.ndim < 2:
            raise DataError(f"Inputs in {where} must have a batch axis and others. Received: shape={x.shape}")
        if self.classes is not None and np.asarray(y).dtype.kind not in "biu":
            raise DataError(f"Labels in {where} must be integers. Received: dtype={np.asarray(y).dtype}")
        y = _numbers(y, np.float32 if self.classes is None else np.int64, f"Labels in {where}")
        if isinstance(self.classes, int) and y.ndim != 1:
            raise DataError(f"Labels in {where} must have one axis. Received: shape={y.shape}")
        if isinstance(self.classes, tuple) and y.shape[1:] != (len(self.classes),):
            raise DataError(
                f"Labels in {where} must be (n, {len(self.classes)}), a column for each task. "
                f"Received: shape={y.shape}"
            )
        if len(x) != len(y):
            raise DataError(
                f"Every example in {where} must have one label. Received: {len(x)} and {len(y)} labels"
            )
        return x, y

    def _check_like_train(self, split: str) -> None:
        for what, mine, train in zip(("inputs", "labels"), getattr(self, split), self.train, strict=True):
            if mine.shape[1:] != train.shape[1:]:
                raise DataError(
                    f"The {what} in {split} of data set '{self.name}' must have the shape of those in train, "
                    f"{train.shape[1:]}. Received: {mine.shape[1:]}"
                )

    def _check_classes(self) -> None:
        for column, classes in enumerate(self._classes):
            for split in ("train", "validation", "test"):
                labels = self._column(split, column)
                if labels.min() < 0 or labels.max() >= classes:
                    raise DataError(
                        f"Labels in {split} of data set '{self.name}' must be 0 to {classes - 1}. "
                        f"Received: labels from {labels.min()} to {labels.max()}"
                    )
            # Not a bincount: a stray label of a thousand million would allocate that many counts.
            present = np.unique(self._column("train", column))
            if len(present) < classes:
                first = np.flatnonzero(np.append(present, -1) != np.arange(len(present) + 1))[0]
                raise DataError(
                    f"Every class must have an example in train of data set '{self.name}'. "
                    f"Received: {len(present)} of {classes} classes, none of class {first}. "
                    "Renumber the labels from 0."
                )

    def _column(self, split: str, column: int) -> np.ndarray:
        labels: np.ndarray = getattr(self, split)[1]
        return labels if labels.ndim == 1 else labels[:, column]

    def _check_tasks(self) -> None:
        counts = tuple(len(task.outputs) for task in self.tasks.values())
        if isinstance(self.classes, tuple) and counts != self.classes:
            raise DataError(
                f"Each of the {len(self.classes)} columns of labels of data set '{self.name}' must have its task, "
                f"with an output for each of {self.classes} classes. Received: tasks with outputs {counts}"
            )
        size = int(np.prod(self.input_shape))
        for name, task in self.tasks.items():
            for what, positions, end in (
                ("inputs", task.inputs, size),
                ("outputs", task.outputs, self.outputs),
            ):
                if not positions or min(positions) < 0 or max(positions) >= end:
                    raise DataError(
                        f"Task '{name}' of data set '{self.name}' must have {what} in 0 to {end - 1}. "
                        f"Received: {what}={positions}"
                    )


def _checked_scaling(name: str, shape: tuple[int, ...], *scaling: Any) -> tuple[np.ndarray, ...]:
    what = f"The scaling of data set '{name}'"
    mean, std = (_numbers(np.atleast_1d(value), np.float32, what) for value in scaling)
    padded = ((1,) * (len(shape) - part.ndim) + part.shape for part in (mean, std))
    fits = all(len(own) == len(shape) and all(map(_fits, own, shape)) for own in padded)
    if not fits or std.min() <= 0:
        raise DataError(
            f"{what} must be means and deviations above 0 that broadcast to {shape}. "
            f"Received: shapes {mean.shape} and {std.shape}, deviations from {std.min()}"
        )
    return mean, std


def _fits(own: int, whole: int) -> bool:
    return own in (1, whole)


def moments(x: np.ndarray, axis: int | tuple[int, ...] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of `x`, summed in float64: what `standardise` takes.

    Args:
        x: examples `(n, ...)` of any numeric dtype.
        axis: what to sum over, the first axis included: None (everything) gives one pair of numbers,
            0 a pair for each position, `(0, 1, 2)` one for each channel of images.

    Returns:
        `(mean, std)`, with 1 in place of a standard deviation of 0, so that constants become 0.

    Raises:
        DataError: if `x` is empty, no numbers, or holds values that are not finite.

    Example:
        >>> mean, std = moments(np.array([[1.0, 5.0], [3.0, 5.0]]), axis=0)
        >>> mean.tolist(), std.tolist()
        ([2.0, 5.0], [1.0, 1.0])
    """
    _check_numbers(x, "Inputs to standardise")
    # In blocks: a float64 copy of a whole image set is larger than everything else in the process.
    blocks = [x[start : start + 4096] for start in range(0, len(x), 4096)]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.asarray(sum(block.sum(axis=axis, dtype=np.float64) for block in blocks))
        count = x.size / mean.size
        mean /= count
        if not np.isfinite(mean).all():
            raise _not_finite(x, "Inputs to standardise")
        std = np.sqrt(sum(np.square(block - mean).sum(axis=axis) for block in blocks) / count)
    return mean, np.where(std > 0, std, 1.0)


def standardise(x: np.ndarray, mean: Any, std: Any) -> np.ndarray:
    """`(x - mean) / std` in float32, a new array.

    Args:
        x: numbers of any dtype and shape.
        mean: what to subtract, in the units of `x`; broadcast.
        std: what to divide by, in the units of `x`; broadcast.

    Example:
        >>> standardise(np.array([0, 255], np.uint8), 127.5, 127.5).tolist()
        [-1.0, 1.0]
    """
    # What does not fit into float32 becomes inf or NaN, and `Data` says so.
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.subtract(x, np.float32(mean), dtype=np.float32, casting="same_kind")
        return np.divide(result, np.float32(std), out=result)


def shuffled(labels: np.ndarray, *key: int | str) -> np.ndarray:
    """A permutation of the examples, keyed by `key`, each stretch of which has its share of each class.

    Cut it into consecutive pieces for a stratified split of exactly the sizes wanted. It depends on
    nothing but the labels and the key.

    Args:
        labels: class labels `(n,)`.
        key: what the split is for, such as `("digits",)`.

    Returns:
        Indices `(n,)`.

    Example:
        >>> labels = np.array([0, 0, 0, 0, 1, 1])
        >>> np.bincount(labels[shuffled(labels, "toy")[:3]]).tolist()
        [2, 1]
    """
    order = generator("split", *key).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(place[order], kind="stable")]


def _numbers(values: Any, dtype: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    _check_numbers(array, what)
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, and is named as such
        array = np.ascontiguousarray(array, dtype).view()
    if not np.isfinite(array).all():
        raise _not_finite(array, what)
    array.flags.writeable = False
    return array


def _check_numbers(array: np.ndarray, what: str) -> None:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} must be numbers. Received: dtype={array.dtype}")
    if array.size == 0 or array.ndim == 0:
        raise DataError(f"{what} must not be empty. Received: shape={array.shape}")


def _not_finite(array: np.ndarray, what: str) -> DataError:
    count = np.count_nonzero(~np.isfinite(array))
    return DataError(f"{what} must be finite. Received: {count} NaN or infinite values")


def _json_ready(name: str, loss: Loss) -> Any:
    try:
        copy = json.loads(json.dumps(loss))
    except TypeError:
        copy = None
    if not isinstance(copy, str | dict):
        raise DataError(
            f"The loss of data set '{name}' must be a Keras identifier that JSON can hold: a name or "
            f'{{"class_name": ..., "config": ...}}. Received: loss={loss!r}'
        )
    return copy
