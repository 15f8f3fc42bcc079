"""Data sets: the arrays that tickets are found on, with their loss, metrics and tasks."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from kerastickets.data.arrays import numbers_of
from kerastickets.data.splits import Split as Split, arrayed, check_like, checked_split, shapes, size
from kerastickets.data.streamed_array import is_streamed
from kerastickets.errors import DataError
from kerastickets.foundations.structure import is_nested

Loss = str | Mapping[str, Any]

#: The loss of a classification data set whose models end in logits.
CROSS_ENTROPY = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}}

#: The loss of independent binary outputs given as logits, averaged over the outputs.
BINARY_CROSS_ENTROPY = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}


def task_cross_entropy(*classes: int) -> dict[str, Any]:
    """The loss of several classification tasks: the sum of their cross-entropies.

    The tasks share one layer of logits.

    Args:
        *classes: the number of classes of each task, in the order of the logits.

    Returns:
        A Keras loss identifier that JSON can hold, for `Data(loss=...)`.

    Example:
        >>> task_cross_entropy(10, 10)["config"]
        {'classes': [10, 10]}
    """
    return {"class_name": "kerastickets>TaskCrossEntropy", "config": {"classes": list(classes)}}


@dataclass(frozen=True)
class Task:
    """One task of a data set with several tasks: its inputs, its outputs and its loss.

    Args:
        inputs: the positions of its inputs in one flattened example, from 0.
        outputs: the positions of its units in the model's last layer, from 0.
        loss: the loss of these outputs alone, as a Keras loss identifier.

    Example:
        >>> Task(inputs=(0, 1), outputs=(0,), loss="mse").outputs
        (0,)
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    loss: Loss


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """A data set: train, validation and test split, and the loss and metrics to train with.

    Inputs become float32, class labels int64 and targets float32. The arrays are read-only. Contiguous arrays
    that already have that dtype are views, not copies. Data that cannot be trained on is refused here, with an
    error that names the problem.

    Inputs and labels may be tuples, lists or dicts of arrays, as `fit` takes them for models with several inputs or
    outputs. In such a structure, whole numbers of labels stay whole numbers, and float targets become float32.

    Inputs may also be a `StreamedArray`, whose rows stay on disk. A `np.memmap` becomes one if it does
    not fit into memory.

    Args:
        name: the name of the data set in tables and provenance.
        train: `(x, y)` or `(x, y, sample_weight)`: inputs `(n, ...)`, and labels `(n,)`, label maps `(n, ...)` or
            targets `(n, ...)`. For several classification tasks, labels `(n, tasks)`. Sample weights `(n,)` are
            numbers of at least 0 that multiply each example's loss.
        validation: the validation split in the same form, taken out of the training data. It is used for
            selection and for early stopping.
        test: the test split in the same form. It is never used for selection.
        loss: a Keras loss identifier that JSON can hold: a name or `{"class_name": ..., "config": ...}`. None leaves
            it to the model, which must then be compiled with a loss.
        metrics: Keras metric identifiers, or functions without arguments that make a metric.
        classes: the number of classes (at least 2); labels are 0 to classes - 1. For several classification
            tasks, a tuple with one number per column of labels. None if `y` holds targets, or if the model decides
            what its whole numbers are.
        tasks: the tasks of the data set by name. Empty for a single task.
        batches: a function from a data seed to the training batches (a `tf.data.Dataset`). None uses the
            standard batches.
        labels: the name of each class. Empty if classes have only numbers.
        scaling: `(mean, std)`, if the inputs were standardised with these values: `x * std + mean` are the raw inputs.
            Numbers, or arrays that broadcast to one example. None for other inputs.
        raw: the type of the raw inputs that `scaling` leads to: `uint8` for integers from 0 to 255, or `float32`.

    Raises:
        DataError: a split is empty, lengths or shapes do not fit, a value is not finite, a label is not a
            class, a class has no training example, a task is out of range, or `scaling` does not fit the
            inputs.

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
    loss: Loss | None = None
    metrics: tuple[str | Mapping[str, Any] | Callable[[], Any], ...] = ()
    classes: int | tuple[int, ...] | None = None
    tasks: Mapping[str, Task] = field(default_factory=dict)
    batches: Callable[[int], Any] | None = None
    labels: tuple[str, ...] = ()
    scaling: tuple[Any, Any] | None = None
    raw: Literal["uint8", "float32"] = "uint8"

    def __post_init__(self) -> None:
        if self.raw not in ("uint8", "float32"):
            raise DataError(f"`raw` must be uint8 or float32. Received: raw={self.raw!r}")
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
            object.__setattr__(self, name, self._checked(name, getattr(self, name)))
        for name in ("validation", "test"):
            check_like(getattr(self, name), self.train, name, self.name)
        self._check_classes()
        object.__setattr__(self, "loss", _json_ready(self.name, self.loss))
        object.__setattr__(self, "metrics", tuple(self.metrics))
        object.__setattr__(self, "tasks", MappingProxyType(dict(self.tasks)))
        self._check_tasks()
        if self.scaling is not None:
            object.__setattr__(self, "scaling", _checked_scaling(self.name, self.input_shape, *self.scaling))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example (without the batch axis).

        Raises:
            DataError: the data set has several inputs. `input_shapes` has the shape of each.
        """
        if is_nested(self.train[0]):
            raise DataError(
                f"One input is needed here. Received: data set '{self.name}' with {self.input_shapes}"
            )
        return tuple(self.train[0].shape[1:])

    @property
    def input_shapes(self) -> Any:
        """The shape of one example of each input, in the structure of the inputs."""
        return shapes(self.train[0])

    @property
    def outputs(self) -> int:
        """The number of units that a model's last layer needs: one per class, or one per target.

        Raises:
            DataError: the data set has labels for several outputs, or does not say what its labels are.
        """
        targets = self.train[1]
        if is_nested(targets) or not self.declared:
            what = (
                f"labels {shapes(targets)}" if is_nested(targets) else "labels without `loss` and `classes`"
            )
            raise DataError(
                f"The number of outputs is not known. Received: data set '{self.name}' with {what}. Give a model that "
                "is compiled for them, or a data set with `loss` and `classes`."
            )
        return sum(self._classes) or (targets.shape[-1] if targets.ndim > 1 else 1)

    @property
    def declared(self) -> bool:
        """Whether the data set says what its labels are. If not, a compiled model decides."""
        return self.loss is not None or self.classes is not None

    def count(self, split: str) -> int:
        """The number of examples of `train`, `validation` or `test`."""
        return size(getattr(self, split))

    @property
    def streamed(self) -> bool:
        """Whether examples stay on disk, and are read when they are needed."""
        return any(is_streamed(split) for split in (self.train, self.validation, self.test))

    def standardised(self) -> dict[str, Any] | None:
        """The `mean` and `std` by which callers must standardise raw inputs, as JSON; None if inputs are not raw."""
        if self.scaling is None:
            return None
        return {
            name: np.ravel(value).tolist() for name, value in zip(("mean", "std"), self.scaling, strict=True)
        }

    def provenance(self) -> dict[str, Any]:
        """What a ticket keeps about the inputs: how floats were standardised. Bytes are described by their data set."""
        return (
            {"standardised": self.standardised()}
            if self.scaling is not None and self.raw == "float32"
            else {}
        )

    @property
    def _classes(self) -> tuple[int, ...]:
        """The number of classes per column of labels. Empty for targets."""
        if self.classes is None:
            return ()
        return self.classes if isinstance(self.classes, tuple) else (self.classes,)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={self.count(name)}" for name in ("train", "validation", "test"))
        known = self.declared and not is_nested(self.train[1])
        labels = f"outputs={self.outputs}" if known else f"labels={shapes(self.train[1])}"
        return f"Data({self.name!r}, {sizes}, inputs={self.input_shapes}, {labels})"

    def _checked(self, split: str, given: Any) -> Split:
        where = f"{split} of data set '{self.name}'"
        if (
            isinstance(given, tuple | list)
            and len(given) > 1
            and is_nested(arrayed(given[1]))
            and self.classes is not None
        ):
            raise DataError(
                f"`classes` are for one array of labels. Received: classes={self.classes} with several in {where}. "
                "Leave it out, and compile the model with a loss for each output."
            )
        return checked_split(given, where, self._labels)

    def _labels(self, y: Any, what: str) -> np.ndarray:
        array = np.asarray(y)
        if self.classes is None:
            whole = array.dtype.kind in "biu" and (self.loss is None or ", part " in what)
            return numbers_of(y, np.int64 if whole else np.float32, what)
        if array.dtype.kind not in "biu":
            raise DataError(f"{what} must be integers. Received: dtype={array.dtype}")
        labels = numbers_of(y, np.int64, what)
        if isinstance(self.classes, int) and labels.ndim == 2 and labels.shape[1] == 1:
            return labels[:, 0]  # as in Keras's own data sets
        if isinstance(self.classes, tuple) and labels.shape[1:] != (len(self.classes),):
            raise DataError(
                f"{what} must be (n, {len(self.classes)}), a column for each task. Received: shape={labels.shape}"
            )
        return labels

    def _check_classes(self) -> None:
        for column, classes in enumerate(self._classes):
            for split in ("train", "validation", "test"):
                labels = self._column(split, column)
                if labels.min() < 0 or labels.max() >= classes:
                    raise DataError(
                        f"Labels in {split} of data set '{self.name}' must be 0 to {classes - 1}. "
                        f"Received: labels from {labels.min()} to {labels.max()}"
                    )
            # Not a bincount: for a stray label of 10^9 it would allocate that many counts.
            present = np.unique(self._column("train", column))
            if len(present) < classes:
                first = np.flatnonzero(np.append(present, -1) != np.arange(len(present) + 1))[0]
                raise DataError(
                    f"Every class must have an example in train of data set '{self.name}'. "
                    f"Received: {len(present)} of {classes} classes, none of class {first}. "
                    "Renumber the labels from 0. Whole numbers that are targets, not classes, must be floats."
                )

    def _column(self, split: str, column: int) -> np.ndarray:
        labels: np.ndarray = getattr(self, split)[1]
        return labels[:, column] if isinstance(self.classes, tuple) else labels.reshape(-1)

    def _check_tasks(self) -> None:
        counts = tuple(len(task.outputs) for task in self.tasks.values())
        if isinstance(self.classes, tuple) and counts != self.classes:
            raise DataError(
                f"Each of the {len(self.classes)} columns of labels of data set '{self.name}' must have its task, "
                f"with an output for each of {self.classes} classes. Received: tasks with outputs {counts}"
            )
        inputs = int(np.prod(self.input_shape)) if self.tasks else 0
        for name, task in self.tasks.items():
            for what, positions, end in (
                ("inputs", task.inputs, inputs),
                ("outputs", task.outputs, self.outputs),
            ):
                if not positions or min(positions) < 0 or max(positions) >= end:
                    raise DataError(
                        f"Task '{name}' of data set '{self.name}' must have {what} in 0 to {end - 1}. "
                        f"Received: {what}={positions}"
                    )


def _checked_scaling(name: str, shape: tuple[int, ...], *scaling: Any) -> tuple[np.ndarray, ...]:
    what = f"The scaling of data set '{name}'"
    mean, std = (numbers_of(np.atleast_1d(value), np.float32, what) for value in scaling)
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


def _json_ready(name: str, loss: Loss | None) -> Any:
    if loss is None:
        return None
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
