"""Check one split of a data set: inputs, labels and sample weights, each an array or a structure of arrays."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerastickets.data.arrays import check_numbers, fits_for_training, numbers_of
from kerastickets.data.streamed_array import StreamedArray
from kerastickets.errors import DataError
from kerastickets.foundations.structure import is_nested, leaves, map_leaves, named_leaves

#: `(x, y)` or `(x, y, sample_weight)`.
Split = tuple[Any, ...]

# Every integer up to this one is a float32 of the same value.
_EXACT = 2**24


def rows(split: Any, index: Any) -> Any:
    """The examples of a split, or of any structure of arrays, that an index selects, as arrays in memory.

    Example:
        >>> rows((np.arange(4), {"a": np.arange(4) * 10}), slice(1, 3))
        (array([1, 2]), {'a': array([10, 20])})
    """
    return map_leaves(lambda array: None if array is None else array[index], split)


def part(split: Any, index: Any) -> Any:
    """The examples of a split that an index selects, as a smaller split: what is streamed from disk stays there.

    Example:
        >>> part((np.arange(4), {"a": np.arange(4) * 10}), [3, 1])
        (array([3, 1]), {'a': array([30, 10])})
    """

    def chosen(array: Any) -> Any:
        return None if array is None else array[index]

    return map_leaves(lambda a: a.part(index) if isinstance(a, StreamedArray) else chosen(a), split)


def size(split: Any) -> int:
    """The number of examples of a split."""
    return len(leaves(split)[0])


def shapes(structure: Any) -> Any:
    """The shape of one example of each array of a structure."""
    return map_leaves(lambda array: array.shape[1:], structure)


def checked_split(split: Any, where: str, labels: Callable[[Any, str], Any]) -> Split:
    """Check and convert a split.

    Args:
        split: `(x, y)` or `(x, y, sample_weight)`.
        where: the split, for messages, such as `train of data set 'toy'`.
        labels: checks and converts one array of labels or targets; it also takes the name of what it checks.

    Raises:
        DataError: the split has another form, an array holds something else than finite numbers, or the arrays
            differ in their number of examples.
    """
    if not isinstance(split, tuple | list) or len(split) not in (2, 3):
        kind = f"{len(split)} parts" if isinstance(split, tuple | list) else type(split).__name__
        raise DataError(
            f"{where[0].upper()}{where[1:]} must be (x, y) or (x, y, sample_weight). Received: {kind}"
        )
    x = _named_map(split[0], f"Inputs in {where}", _inputs)
    y = _named_map(split[1], f"Labels in {where}", labels)
    weights = split[2] if len(split) == 3 else None
    whole: Split = (
        (x, y) if weights is None else (x, y, _named_map(weights, f"Sample weights in {where}", _weights))
    )
    _check_lengths(whole, where)
    return whole


def _named_map(structure: Any, what: str, check: Callable[[Any, str], Any]) -> Any:
    structure = arrayed(structure)
    found = [*named_leaves(structure)]
    if not found:
        raise DataError(f"{what} must hold an array. Received: {structure!r}")
    names = {id(leaf): name for name, leaf in found}
    structure = _tuples(structure)  # as `fit` hands lists on to the model
    return map_leaves(
        lambda leaf: check(leaf, f"{what}{f', part {names[id(leaf)]!r},' if names[id(leaf)] else ''}"),
        structure,
    )


def _tuples(structure: Any) -> Any:
    if isinstance(structure, list):
        return tuple(map(_tuples, structure))
    if isinstance(structure, Mapping):
        return {key: _tuples(part) for key, part in structure.items()}
    return tuple(map(_tuples, structure)) if type(structure) is tuple else structure


def arrayed(structure: Any) -> Any:
    """A structure in which a list of numbers has become an array. A list of arrays stays a structure."""
    if isinstance(structure, tuple | list) and not any(_is_array(leaf) for leaf in leaves(structure)):
        return np.asarray(structure)
    return structure


def _is_array(leaf: Any) -> bool:
    return leaf is None or hasattr(leaf, "shape")


def _inputs(x: Any, what: str) -> Any:
    array = x if isinstance(x, StreamedArray) else np.asarray(x)
    check_numbers(array, what)
    # One of several inputs may be a single number for each example.
    if array.ndim < 2 and ", part " not in what:
        advice = " Give each example an axis, as in x[:, None]." if array.ndim == 1 else ""
        raise DataError(
            f"{what} must have a batch axis and at least one more. Received: shape={array.shape}.{advice}"
        )
    if isinstance(array, StreamedArray):
        array.check_finite(what)
        return array
    large = array.dtype.kind in "iu" and max(abs(int(array.min())), abs(int(array.max()))) > _EXACT
    # Integers that float32 cannot hold, such as large token ids, stay integers.
    dtype = np.int64 if large else np.float32
    if isinstance(x, np.memmap) and not fits_for_training(len(x), x.shape[1:], 0):
        return _inputs(StreamedArray(x, dtype=dtype), what)
    return numbers_of(array, dtype, what)


def _weights(weight: Any, what: str) -> np.ndarray | None:
    if weight is None:
        return None
    array = numbers_of(weight, np.float32, what)
    if array.min() < 0:
        raise DataError(f"{what} must not be negative. Received: {array.min()}")
    return array


def _check_lengths(split: Split, where: str) -> None:
    (x, y, *weights), count = split, size(split)
    parts = {"labels": y, "sample weights": weights, "inputs": x}
    for what, part in parts.items():
        for name, array in named_leaves(part):
            if array is not None and len(array) != count:
                raise DataError(
                    f"Every example in {where} must have one label. Received: {count} and {len(array)} {what}"
                    + (f" in part {name!r}" if is_nested(part) and what != "sample weights" else "")
                )


def check_like(split: Split, train: Split, where: str, name: str) -> None:
    """Refuse a split whose examples have another form than those in train.

    Args:
        split: the split.
        train: the training split.
        where: the split's name.
        name: the data set's name.

    Raises:
        DataError: shapes or structures differ.
    """
    for what, mine, other in zip(("inputs", "labels"), split, train, strict=False):
        given, wanted = shapes(mine), shapes(other)
        if given != wanted:
            raise DataError(
                f"The {what} in {where} of data set '{name}' must have the shape of those in train, "
                f"{wanted}. Received: {given}"
            )
