"""Join several data sets into one with a task per set: inputs side by side, outputs one after another."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from kerastickets.data.arrays import check_examples_fit
from kerastickets.data.dataset import (
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    Data,
    Split,
    Task,
    task_cross_entropy,
)
from kerastickets.errors import DataError
from kerastickets.foundations.structure import is_nested
from kerastickets.foundations.tree import generator

_SPLITS = ("train", "validation", "test")


def join_data(sets: Sequence[Data], name: str = "") -> Data:
    """Join several data sets into one, with a task for each: one network then learns all tasks at once.

    An example of the joined set consists of one example of each set. The pairs are formed within train,
    validation and test, by random permutations that depend only on the name. The shortest set decides the
    number of examples.

    Inputs: images of equal height and channels stand side by side. Other inputs are flattened and
    concatenated. Loss: for sets with classes, each task has a column of labels and a cross-entropy, and the
    loss is the sum. For sets with targets, all sets must have the same loss, which then covers all outputs.

    A task has the name of its set, with other characters than letters, digits, `_`, `.` and `-` replaced by
    hyphens. If a set already has several tasks, they become `SET-TASK`. A repeated name gets a number.

    Args:
        sets: two or more data sets, all with classes or all with targets. The same set may occur twice.
        name: the name of the joined set. By default the names of the sets, joined by `+`.

    Returns:
        The joined `Data`.

    Raises:
        DataError: there are fewer than two sets, some have classes and others targets, the losses cannot be
            joined, a set makes its own batches, or the joined set does not fit into memory.

    Example:
        >>> x, y = np.eye(4), np.array([0, 1, 1, 0])
        >>> toy = Data("toy", (x, y), (x, y), (x, y), CROSS_ENTROPY, ("accuracy",), classes=2)
        >>> both = join_data([toy, toy])
        >>> both
        Data('toy+toy', train=4, validation=4, test=4, inputs=(8,), outputs=4)
        >>> {name: task.outputs for name, task in both.tasks.items()}
        {'toy': (0, 1), 'toy-2': (2, 3)}
    """
    sets = list(sets)
    _check(sets)
    count = sum(min(len(getattr(data, split)[1]) for data in sets) for split in _SPLITS)
    values = sum(math.prod(data.input_shape) for data in sets)
    check_examples_fit("The joined data set", count, (values,))
    name = name or "+".join(data.name for data in sets)
    splits, places = side_by_side(name, [[getattr(data, split) for split in _SPLITS] for data in sets])
    starts = accumulate((data.outputs for data in sets), initial=0)
    tasks = _named(
        (task_name, task)
        for data, place, start in zip(sets, places, starts, strict=False)
        for task_name, task in _tasks(data, place, start)
    )
    if sets[0].classes is not None:
        classes = [len(task.outputs) for task in tasks.values()]
        return data_of_tasks(
            name,
            splits,
            {task: (own.inputs, n) for (task, own), n in zip(tasks.items(), classes, strict=True)},
        )
    train, validation, test = splits
    accuracy = (_logit_accuracy,) if sets[0].loss == BINARY_CROSS_ENTROPY else ()
    return Data(name, train, validation, test, loss=sets[0].loss, metrics=accuracy, classes=None, tasks=tasks)


def data_of_tasks(
    name: str,
    splits: Sequence[Split],
    tasks: Mapping[str, tuple[Sequence[int], int]],
    scaling: tuple[Any, Any] | None = None,
) -> Data:
    """A data set of several classification tasks. Its loss is the sum of their cross-entropies.

    Args:
        name: the name of the data set.
        splits: train, validation and test, each `(x, y)` with labels `(n, tasks)`.
        tasks: for each task name, `(inputs, number of classes)`. `inputs` are positions in one flattened
            example. The tasks are in the order of the label columns.
        scaling: `(mean, std)` as in `Data`, or None.

    Example:
        >>> split = np.eye(4), np.array([[0, 2], [1, 1], [1, 0], [0, 0]])
        >>> data = data_of_tasks("toy", [split] * 3, {"a": ((0, 1), 2), "b": ((2, 3), 3)})
        >>> data.outputs, data.tasks["b"].outputs
        (5, (2, 3, 4))
    """
    classes = tuple(count for _, count in tasks.values())
    ends = accumulate(classes)
    train, validation, test = splits
    return Data(
        name,
        train,
        validation,
        test,
        loss=task_cross_entropy(*classes),
        metrics=(partial(_task_accuracy, classes),),
        classes=classes,
        tasks={
            task: Task(tuple(inputs), tuple(range(end - count, end)), CROSS_ENTROPY)
            for (task, (inputs, count)), end in zip(tasks.items(), ends, strict=True)
        },
        scaling=scaling,
    )


def side_by_side(name: str, sets: Sequence[Sequence[Split]]) -> tuple[list[Split], list[tuple[int, ...]]]:
    """Put examples of several sets side by side, paired at random within each split.

    Args:
        name: the seed of the pairing, together with the split and the position of the set.
        sets: for each set, its train, validation and test split.

    Returns:
        `(splits, places)`. `splits` are train, validation and test, with labels or targets as columns
        `(n, columns)`. `places` gives for each set the positions of its inputs in one flattened example. The
        examples of the first set stay in order.

    Example:
        >>> one, two = (np.ones((3, 2)), np.arange(3)), (np.zeros((5, 1)), np.arange(5))
        >>> splits, places = side_by_side("toy", [[one] * 3, [two] * 3])
        >>> splits[0][0].shape, splits[0][1].shape, places
        ((3, 3), (3, 2), [(0, 1), (2,)])
    """
    shapes = [own[0][0].shape[1:] for own in sets]
    images = all(len(shape) == 3 for shape in shapes) and len({(high, deep) for high, _, deep in shapes}) == 1
    splits = []
    for number, split in enumerate(_SPLITS):
        parts = _paired(name, split, [own[number] for own in sets])
        xs = [x if images else x.reshape(len(x), -1) for x, _ in parts]
        x = np.concatenate(xs, axis=2 if images else 1)
        splits.append((x, np.concatenate([y.reshape(len(y), -1) for _, y in parts], axis=1)))
    return splits, _places(shapes, images)


def _paired(name: str, split: str, parts: Sequence[Split]) -> list[Split]:
    length = min(len(y) for _, y in parts)
    paired = []
    for place, (x, y) in enumerate(parts):
        # The key of the second set has no number: it keeps the pairs of mnist-fashion from the time when only
        # two sets could be joined.
        key = ("pairs", name, split) if place == 1 else ("pairs", name, split, place)
        rows: Any = generator(*key).permutation(len(y))[:length]
        if place == 0:
            rows = np.sort(rows) if length < len(y) else slice(None)
        paired.append((x[rows], y[rows]))
    return paired


def _places(shapes: Sequence[tuple[int, ...]], images: bool) -> list[tuple[int, ...]]:
    if images:
        high, deep = shapes[0][0], shapes[0][2]
        widths = [wide for _, wide, _ in shapes]
        grid = np.arange(high * sum(widths) * deep).reshape(high, sum(widths), deep)
        pieces = np.split(grid, list(accumulate(widths))[:-1], axis=1)
    else:
        sizes = [int(np.prod(shape)) for shape in shapes]
        pieces = np.split(np.arange(sum(sizes)), list(accumulate(sizes))[:-1])
    return [tuple(piece.ravel().tolist()) for piece in pieces]


def _tasks(data: Data, place: tuple[int, ...], start: int) -> Iterable[tuple[str, Task]]:
    """The tasks of one set, with their names and positions in the joined set."""
    # Metrics are named after tasks, so brackets of classes, and colons and slashes of files, are replaced.
    plain = re.sub(r"[^\w.-]+", "-", data.name).strip("-")
    own = {f"{plain}-{name}": task for name, task in data.tasks.items()}
    if not own or isinstance(data.classes, int):
        assert data.loss is not None, "A data set to join has a loss."
        own = {plain: Task(tuple(range(len(place))), tuple(range(data.outputs)), data.loss)}
    for name, task in own.items():
        inputs = tuple(place[position] for position in task.inputs)
        yield name, Task(inputs, tuple(start + output for output in task.outputs), task.loss)


def _named(tasks: Iterable[tuple[str, Task]]) -> dict[str, Task]:
    """The tasks by name. A repeated name gets a number."""
    named: dict[str, Task] = {}
    numbers: dict[str, int] = {}
    for name, task in tasks:
        free = name
        while free in named:
            # Smaller numbers are taken already. Trying them again would take minutes for thousands of sets.
            numbers[name] = numbers.get(name, 1) + 1
            free = f"{name}-{numbers[name]}"
        named[free] = task
    return named


def _check(sets: Sequence[Data]) -> None:
    names = "+".join(data.name for data in sets)
    if len(sets) < 2:
        raise DataError(f"Two or more data sets are needed for joining. Received: {names or 'none'}")
    if len({data.classes is None for data in sets}) > 1:
        kinds = (f"'{data.name}' of {'targets' if data.classes is None else 'classes'}" for data in sets)
        raise DataError(
            f"Data sets to join must all have classes, or all have targets. Received: {', '.join(kinds)}. "
            "Give targets as class labels, or classes as targets."
        )
    for data in sets:
        if data.batches is not None:
            raise DataError(
                f"A data set that makes its own batches cannot be joined. Received: '{data.name}'"
            )
        if data.streamed:
            raise DataError(
                f"Data sets to join must fit into memory. Received: '{data.name}', which is streamed from disk. Use "
                "fewer or smaller examples, with stream=no."
            )
        if is_nested(data.train[0]) or is_nested(data.train[1]) or len(data.train) > 2:
            raise DataError(
                f"Data sets to join must have one input, one output and no sample weights. Received: {data!r}"
            )
        if data.train[1].ndim > (1 if isinstance(data.classes, int) else 2):
            raise DataError(
                f"Targets to join must be (n, outputs). Received: '{data.name}' with {data.train[1].shape}"
            )
        _check_loss(data, sets[0])


def _check_loss(data: Data, first: Data) -> None:
    if data.classes is None:
        wanted, what = first.loss, f"one loss, that of '{first.name}', {first.loss}"
    elif isinstance(data.classes, int):
        wanted, what = CROSS_ENTROPY, "cross-entropy of logits as their loss"
    else:
        wanted, what = task_cross_entropy(*data.classes), "the sum of cross-entropies of logits as their loss"
    if data.loss != wanted:
        raise DataError(f"Data sets to join must have {what}. Received: '{data.name}' with {data.loss}")


def _task_accuracy(classes: tuple[int, ...]) -> Any:
    from kerastickets.data.metrics import TaskAccuracy

    return TaskAccuracy(classes)


def _logit_accuracy() -> Any:
    from kerastickets.data.metrics import LogitAccuracy

    return LogitAccuracy()
