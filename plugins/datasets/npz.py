"""A data set of your own arrays, read from one .npz file."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kerastickets.plugin import (
    CROSS_ENTROPY,
    Data,
    DataError,
    Split,
    check_examples_fit,
    moments,
    shown_name,
    shuffled,
    standardise,
    user_path,
)
from kerastickets_plugins.datasets.npz_archive import Header, naming, open_archive


@dataclass(frozen=True)
class Npz:
    """Your own data set in an .npz file, as `npz:FILE`.

    The file contains either x and y, which are split 80 / 10 / 10, or x_train, y_train, x_test and y_test. In
    the second case x_val and y_val (or x_validation and y_validation) are optional; without them, a tenth of
    train becomes the validation split. Integer labels `(n,)` or `(n, 1)` are classes, counted from 0; those of more
    axes are a class for each word or pixel. Floats
    `(n,)`, `(n, outputs)` or of more axes are regression targets with a squared-error loss. Arrays of other names
    are not read.

    Inputs are standardised on the training split: per column for arrays with two axes, over all values together
    for three axes, and per channel (the last axis) for four or more axes. Integers other than bytes are left as they
    are, since they are numbers of words or the like; so are columns that hold nothing but 0 and 1.

    Args:
        file: path of the file. Pickled arrays are refused, because they could execute code.
        seed: random seed for drawing splits that the file does not define; these splits are stratified by
            class.
        standardise: whether to standardise the inputs: `auto` as described, `yes` all of them, `no` none.

    Raises:
        DataError: the file or an array is missing or damaged, the arrays do not fit into memory, or they cannot
            be trained on.

    Example:
        >>> import tempfile
        >>> file = tempfile.mkdtemp() + "/toy.npz"
        >>> np.savez(file, x=np.random.rand(50, 3), y=np.arange(50) % 2)
        >>> Npz(file)()
        Data('npz:toy.npz', train=40, validation=5, test=5, inputs=(3,), outputs=2)
    """

    file: str
    seed: int = 0
    standardise: Literal["auto", "yes", "no"] = "auto"

    def __call__(self) -> Data:
        path = user_path(self.file)
        name = shown_name(path.name)
        splits = _splits(_arrays(path, name), self.seed)
        x, y = splits[0]
        classes = max(int(labels.max(initial=0)) for _, labels in splits) + 1 if _is_integer(y) else None
        scaling = self._scaling(x)
        if scaling is not None:
            splits = [(standardise(x, *scaling), y) for x, y in splits]
        return Data(
            f"npz:{name}",
            *((x, y if classes else _targets(y)) for x, y in splits),
            loss=CROSS_ENTROPY if classes else "mean_squared_error",
            metrics=("accuracy",) if classes else ("mean_absolute_error",),
            classes=classes,
            scaling=scaling,
            raw="uint8" if x.dtype == np.uint8 else "float32",
        )

    def _scaling(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and standard deviation of the training inputs; None if they stay as they are."""
        numbers = _is_integer(x) and x.dtype != np.uint8
        if self.standardise == "no" or (self.standardise == "auto" and numbers):
            return None
        mean, std = moments(x, {2: 0, 3: None}.get(x.ndim, tuple(range(x.ndim - 1))))
        if self.standardise == "auto" and x.ndim == 2:
            marks = ((x == 0) | (x == 1)).all(axis=0)
            mean, std = np.where(marks, 0.0, mean), np.where(marks, 1.0, std)
        return mean, std


def _arrays(path: Path, file: str) -> list[Split]:
    """The splits of the file: the whole set, or train and test, or train, test and validation.

    All headers are checked before any array is read.
    """
    with open_archive(path) as archive:
        endings = _endings(archive.names)
        pairs = [(f"x{ending}", f"y{ending}") for ending in endings]
        headers: dict[str, Header] = {}
        for pair in pairs:
            _check_present(pair, archive.names, file)
            for name in pair:
                with naming(name):
                    headers[name] = archive.header(name)
            _check_pair(pair, headers, file)
        _check_together(pairs, headers, file)
        arrays = {}
        for name, header in headers.items():
            with naming(name):
                arrays[name] = archive.read(name, header)
    for _, y in pairs:
        _check_marks(arrays[y], y, file)
    return [(arrays[x], _column(arrays[y])) for x, y in pairs]


def _endings(names: Collection[str]) -> tuple[str, ...]:
    """What the names of the arrays to read end in."""
    if "x_train" not in names and "x" in names:
        return ("",)
    held = [ending for ending in ("_validation", "_val") if f"x{ending}" in names]
    return ("_train", "_test", *held[:1])


def _check_present(pair: tuple[str, str], names: Collection[str], file: str) -> None:
    missing = [name for name in pair if name not in names]
    if missing:
        there = [shown_name(name) for name in sorted(names)[:10]] + ["..."] * (len(names) > 10)
        raise DataError(
            f"'{file}' must contain x_train, y_train, x_test and y_test, or x and y. "
            f"Received: no {' and no '.join(missing)}, but {', '.join(there) or 'no array at all'}"
        )


def _check_pair(pair: tuple[str, str], headers: Mapping[str, Header], file: str) -> None:
    x, y = (headers[name] for name in pair)
    if min(len(x.shape), len(y.shape)) < 1 or x.shape[0] != y.shape[0]:
        raise DataError(
            f"{pair[0]} and {pair[1]} of '{file}' must have one entry per example each. "
            f"Received: shapes {x.shape} and {y.shape}"
        )
    if len(x.shape) < 2 or 0 in x.shape + y.shape:
        raise DataError(
            f"{pair[0]} of '{file}' must have one or more examples as rows of one or more values, with labels. "
            f"Received: shapes {x.shape} and {y.shape}. A column of single values has the shape (n, 1)"
        )


def _check_marks(y: np.ndarray, name: str, file: str) -> None:
    """Refuse rows of integers that are all 0 or 1: one-hot rows, several marks or a sequence of classes."""
    if _is_integer(y) and y.ndim == 2 and y.shape[1] > 1 and y.max() <= 1:
        raise DataError(
            f"{name} of '{file}' must be integers (n,) as classes, or floats (n, outputs) as targets. "
            f"Received: {y.dtype} {y.shape}, with nothing but 0 and 1. One-hot rows become classes with "
            "y.argmax(axis=1), several marks become floats, a sequence of two classes gets the shape (n, length, 1)"
        )


def _check_together(pairs: list[tuple[str, str]], headers: Mapping[str, Header], file: str) -> None:
    """Check that the splits fit together, and into memory."""
    first_x, first_y = (headers[name] for name in pairs[0])
    for x, y in pairs[1:]:
        if headers[x].shape[1:] != first_x.shape[1:]:
            raise DataError(
                f"The examples in {x} of '{file}' must have the shape of those in {pairs[0][0]}, "
                f"{first_x.shape[1:]}. Received: {headers[x].shape[1:]}"
            )
        if _is_integer(first_y) and not _is_integer(headers[y]):
            raise DataError(
                f"{y} of '{file}' must be integers, as {pairs[0][1]} is. Received: dtype={headers[y].dtype}"
            )
    itemsize = max(headers[x].dtype.itemsize for x, _ in pairs)
    labels = max(math.prod(headers[y].shape[1:]) * headers[y].dtype.itemsize for _, y in pairs)  # in bytes
    check_examples_fit(
        f"The arrays of '{file}'",
        sum(headers[x].shape[0] for x, _ in pairs),
        (math.prod(first_x.shape[1:]) + -(-labels // itemsize),),
        itemsize,
    )


def _splits(found: list[Split], seed: int) -> list[Split]:
    """Train, validation and test; missing splits are drawn with `seed`."""
    if len(found) == 1:
        return _cut(found[0], 2, seed)
    train, test, *held = found
    return [train, held[0], test] if held else [*_cut(train, 1, seed), test]


def _cut(whole: Split, parts: int, seed: int) -> list[Split]:
    """Split off `parts` tenths of the data; returns the rest first, then the tenths."""
    x, y = whole
    order = shuffled(y if _is_integer(y) and y.ndim == 1 else np.zeros(len(y)), "npz", seed)
    tenth = len(x) // 10
    ends = [slice(tenth * part, tenth * (part + 1)) for part in range(parts)]
    return [(x[order[part]], y[order[part]]) for part in [slice(tenth * parts, None), *ends]]


def _column(y: np.ndarray) -> np.ndarray:
    """Labels without a last axis of length 1, as Keras's own data sets and label maps have it."""
    return y[..., 0] if _is_integer(y) and y.ndim > 1 and y.shape[-1] == 1 else y


def _targets(y: np.ndarray) -> np.ndarray:
    return y if y.ndim > 1 else y.reshape(len(y), 1)


def _is_integer(y: np.ndarray | Header) -> bool:
    return y.dtype.kind in "biu"
