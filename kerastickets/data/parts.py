"""Parts of a data set: some of its classes, or some of its training examples."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from kerastickets.data.dataset import Data, Split, shuffled
from kerastickets.errors import DataError, RecipeError
from kerastickets.foundations.tree import generator
from kerastickets.registry.plugin_options import unknown

Classes = tuple[str, ...]


def of_classes(data: Data, names: Sequence[str]) -> Data:
    """A data set of some classes of another, numbered from 0 in the order given.

    Inputs stay as they are: standardised as in the whole set, so that nets carry over.

    Args:
        data: a classification set.
        names: names of classes; the numbers where they have no names.

    Returns:
        A `Data` whose `labels` are `names`.

    Raises:
        DataError: an unknown class, fewer than two, one twice, or no classification of one task.

    Example:
        >>> x, y = np.eye(4), np.array([0, 1, 2, 2])
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=3, labels=("a", "b", "c"))
        >>> of_classes(data, ["c", "a"]).train[1].tolist()
        [1, 0, 0]
    """
    if not isinstance(data.classes, int):
        raise DataError(
            f"Classes can be chosen of a data set with one task of classes. Received: {data.name}[{','.join(names)}]"
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
            f"Classes cannot be chosen of a data set that makes its own batches. Received: '{data.name}'"
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
    """Random partitions of classes into two parts, all different: a task to learn first, and one to go on to.

    The first partitions of a longer list are those of a shorter one.

    Args:
        labels: the names of all classes, each once.
        count: how many partitions. Two that differ in the order of classes or of the parts only are the same.
        source: how many classes the first part has; None takes half.
        seed: keys them.

    Returns:
        The two parts of each, in the order drawn, which numbers the classes: `of_classes` takes either.

    Raises:
        DataError: labels that occur twice, a part without two classes, or more partitions than there are.

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
    x, y = split[0], place[split[1]]
    return x[y >= 0], y[y >= 0]


def train_part(data: Data, size: int | float | None, seed: int) -> Data:
    """A data set with fewer training examples; validation and test stay whole.

    Each class keeps its share, and a larger part of the same seed contains a smaller one.

    Args:
        data: a data set.
        size: how many examples to keep, or as a float which share of them; None keeps all.
        seed: the data seed, which chooses them.

    Raises:
        RecipeError: more than there are, too few for every class, or a data set that makes its own batches.

    Example:
        >>> x, y = np.eye(4), np.array([0, 1, 0, 1])
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=2)
        >>> sorted(train_part(data, 0.5, seed=0).train[1].tolist())
        [0, 1]
    """
    if size is None:
        return data
    x, y = data.train
    count = size if isinstance(size, int) else round(size * len(y))
    reason = None
    if data.batches is not None:
        reason = "which makes its own training batches"
    elif not 1 <= count <= len(y):
        reason = f"with {len(y)} training examples"
    if reason:
        raise RecipeError(f"`train_size` must fit data set '{data.name}', {reason}. Received: {size}")
    rows = np.sort(shuffled(_strata(data), "train-size", seed)[:count])
    if data.classes is not None and any(
        len(np.unique(part)) < len(np.unique(whole))
        for part, whole in zip(np.atleast_2d(y[rows].T), np.atleast_2d(y.T), strict=True)
    ):
        raise RecipeError(
            f"`train_size` must leave an example of every class of data set '{data.name}'. "
            f"Received: {size}, {count} examples. Raise it."
        )
    return dataclasses.replace(data, train=(x[rows], y[rows]))


def _strata(data: Data) -> np.ndarray:
    """What is to keep its share: the class, of several tasks the classes together, of targets nothing."""
    y = data.train[1]
    if data.classes is None:
        return np.zeros(len(y), int)
    return y if y.ndim == 1 else np.ravel_multi_index(tuple(y.T), data.classes)


def tenths(x: np.ndarray, y: np.ndarray, parts: int, *key: int | str) -> list[Split]:
    """Some tenths of a set drawn out of it, each with the classes in their shares: for splits that are missing.

    Args:
        x: examples `(n, ...)`.
        y: class labels `(n,)`.
        parts: how many tenths to draw; 0 leaves everything as it is.
        key: what the split is for, such as the data set's name.

    Returns:
        What is left, then the tenths, as `(x, y)` each.

    Example:
        >>> x, y = np.arange(20), np.arange(20) % 2
        >>> [len(part[0]) for part in tenths(x, y, 2, "toy")]
        [16, 2, 2]
    """
    if not parts:
        return [(x, y)]
    order, tenth = shuffled(y, *key), len(y) // 10
    pieces = [order[tenth * parts :], *(order[tenth * n : tenth * (n + 1)] for n in range(parts))]
    return [(x[rows], y[rows]) for rows in pieces]
