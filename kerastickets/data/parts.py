"""Make a smaller data set: with some of the classes, or with some of the training examples."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerastickets.data.arrays import shuffled
from kerastickets.data.dataset import Data, Split
from kerastickets.data.splits import part
from kerastickets.errors import DataError, RecipeError
from kerastickets.foundations.tree import generator
from kerastickets.registry.plugin_options import unknown

Classes = tuple[str, ...]

_LARGEST_SHOWN = 10**18  # Python refuses to write integers of thousands of digits


def of_classes(data: Data, names: Sequence[str]) -> Data:
    """A data set with only some classes of another. They are numbered from 0 in the order given.

    Inputs stay unchanged. They remain standardised as in the whole data set, so that networks can be
    transferred.

    Args:
        data: a classification data set with one task.
        names: the names of the classes, or their numbers as text if they have no names. Two or more.

    Returns:
        A `Data` whose `labels` are `names`.

    Raises:
        DataError: a class is unknown or given twice, there are fewer than two, the data set has no single
            classification task, or it makes its own batches.

    Example:
        >>> x, y = np.eye(4), np.array([0, 1, 2, 2])
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=3, labels=("a", "b", "c"))
        >>> of_classes(data, ["c", "a"]).train[1].tolist()
        [1, 0, 0]
    """
    if not isinstance(data.classes, int) or data.train[1].ndim > 1:
        raise DataError(
            f"Classes can be chosen only from a data set with one task of classes. "
            f"Received: {data.name}[{','.join(names)}]"
        )
    known = data.labels or tuple(map(str, range(data.classes)))
    for name in names:
        if name not in known:
            raise DataError(unknown(f"class of data set '{data.name}'", name, known, "Classes"))
    if len(names) < 2 or len(set(names)) < len(names):
        raise DataError(
            f"Two classes or more must be chosen, each once. Received: {data.name}[{','.join(names)}]"
        )
    if data.batches is not None:
        raise DataError(
            f"Classes cannot be chosen from a data set that makes its own batches. Received: '{data.name}'"
        )
    place = np.full(data.classes, -1)
    place[[known.index(name) for name in names]] = np.arange(len(names))
    return dataclasses.replace(
        data,
        name=f"{data.name}[{','.join(names)}]",
        train=_renumbered(data.train, place),
        validation=_renumbered(data.validation, place),
        test=_renumbered(data.test, place),
        classes=len(names),
        labels=tuple(names),
    )


def class_splits(
    labels: Sequence[str], count: int, *, source: int | None = None, seed: int = 0
) -> list[tuple[Classes, Classes]]:
    """Draw different random partitions of classes into two parts: a source task and a target task.

    A longer list begins with the partitions of a shorter one.

    Args:
        labels: the names of all classes, each once.
        count: the number of partitions. Two partitions are the same if they differ only in the order of the
            classes or of the parts.
        source: the number of classes in the first part, at least 2. None takes half, rounded down.
        seed: the random seed.

    Returns:
        A list of pairs `(source classes, target classes)`. The classes are in the order drawn, which decides
        their numbers. Each part can be passed to `of_classes`.

    Raises:
        DataError: a label occurs twice, a part has fewer than two classes, or `count` is negative or exceeds
            the number of different partitions.

    Example:
        >>> class_splits("abcd", 2)
        [(('b', 'c'), ('a', 'd')), (('c', 'a'), ('d', 'b'))]
    """
    size = len(labels) // 2 if source is None else source
    rest = len(labels) - size
    if len({*labels}) < len(labels) or min(size, rest) < 2:
        raise DataError(
            "Classes must differ, and each part must have two or more. "
            f"Received: {', '.join(labels)} in parts of {size} and {rest}"
        )
    there_are = math.comb(len(labels), size) // (2 if size == rest else 1)
    if not 0 <= count <= there_are:
        raise DataError(f"There are {there_are} partitions into {size} and {rest}. Received: count={count}")
    found: dict[frozenset[frozenset[str]], tuple[Classes, Classes]] = {}
    random = generator("class-splits", seed)
    while len(found) < count:
        drawn = [labels[place] for place in random.permutation(len(labels))]
        parts = tuple(drawn[:size]), tuple(drawn[size:])
        found.setdefault(frozenset(map(frozenset, parts)), parts)
    return list(found.values())


def _renumbered(split: Split, place: np.ndarray) -> Split:
    x, y, *weights = split
    y = place[y]
    return part((x, y, *weights), y >= 0)


def train_part(data: Data, size: int | float | None, seed: int) -> Data:
    """A data set with fewer training examples. Validation and test stay complete.

    Each class keeps its proportion. For one seed, a larger part contains every smaller part.

    Args:
        data: a data set.
        size: the number of training examples to keep, or as a float the fraction of them. None keeps all.
        seed: the data seed. It decides which examples are kept.

    Raises:
        RecipeError: `size` is less than 1 example or more than there are, a class would have no example, or
            the data set makes its own batches.

    Example:
        >>> x, y = np.eye(4), np.array([0, 1, 0, 1])
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=2)
        >>> sorted(train_part(data, 0.5, seed=0).train[1].tolist())
        [0, 1]
    """
    if size is None:
        return data
    whole = data.count("train")
    # Compared before rounding, because infinity and NaN have no nearest integer, and integers may exceed any float.
    known = size <= whole if isinstance(size, int) else 0 <= size <= 1
    count = (size if isinstance(size, int) else round(size * whole)) if known else 0
    reason = None
    if data.batches is not None:
        reason = "which makes its own training batches"
    elif count < 1:
        reason = f"with {whole} training examples"
    if reason:
        received = f"a number beyond {_LARGEST_SHOWN:,}" if abs(size) >= _LARGEST_SHOWN else size
        raise RecipeError(f"`train_size` must fit data set '{data.name}', {reason}. Received: {received}")
    rows = np.sort(shuffled(_strata(data), "train-size", seed)[:count])
    columns = [] if data.classes is None else label_columns(data.train[1], data.classes)
    if any(len(np.unique(column[rows])) < len(np.unique(column)) for column in columns):
        raise RecipeError(
            f"`train_size` must leave an example of every class of data set '{data.name}'. "
            f"Received: {size}, {count} examples. Raise it."
        )
    return dataclasses.replace(data, train=part(data.train, rows))


def _strata(data: Data) -> np.ndarray:
    """The strata that keep their proportions: the class, or for several tasks the combination of classes.

    Targets form a single stratum, and so do label maps.
    """
    y = data.train[1]
    if data.classes is None or (isinstance(data.classes, int) and y.ndim > 1):
        return np.zeros(data.count("train"), int)
    # Combinations are numbered as they occur: the number of possible ones may exceed any integer type.
    return y if y.ndim == 1 else np.unique(y, axis=0, return_inverse=True)[1].reshape(-1)


def label_columns(y: np.ndarray, classes: int | tuple[int, ...]) -> list[np.ndarray]:
    """The labels of each task; of a single task, all labels of each example."""
    return [*y.T] if isinstance(classes, tuple) else [y]


def tenths(x: Any, y: np.ndarray, parts: int, *key: int | str) -> list[Split]:
    """Draw stratified tenths of a data set, to create the splits it lacks.

    Args:
        x: examples `(n, ...)`, in memory or streamed from disk.
        y: class labels `(n,)`.
        parts: the number of tenths to draw. 0 leaves the set unchanged.
        *key: what the split is for, such as the data set's name. It seeds the draw.

    Returns:
        A list of splits `(x, y)`: first the remaining examples, then each tenth.

    Example:
        >>> x, y = np.arange(20), np.arange(20) % 2
        >>> [len(part[0]) for part in tenths(x, y, 2, "toy")]
        [16, 2, 2]
    """
    if not parts:
        return [(x, y)]
    order, tenth = shuffled(y, *key), len(y) // 10
    pieces = [order[tenth * parts :], *(order[tenth * n : tenth * (n + 1)] for n in range(parts))]
    return [part((x, y), rows) for rows in pieces]
