"""A data set of your own arrays, read from one .npz file."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerastickets.plugin import CROSS_ENTROPY, Data, DataError, Split, moments, shuffled, standardise


@dataclass(frozen=True)
class Npz:
    """Your own data set in an .npz file, as `npz:FILE`.

    The file contains either x and y, which are split 80 / 10 / 10, or x_train, y_train, x_test and y_test. In
    the second case x_val and y_val (or x_validation and y_validation) are optional; without them, a tenth of
    train becomes the validation split. Integer labels `(n,)` or `(n, 1)` are classes, counted from 0. Floats
    `(n,)` or `(n, outputs)` are regression targets with a squared-error loss. Inputs are standardised on the
    training split: per column for arrays with two axes, over all values together for three axes, and per
    channel (the last axis) for four or more axes.

    Args:
        file: path of the file. Pickled arrays are refused, because they could execute code.
        seed: random seed for drawing splits that the file does not define; these splits are stratified by
            class.

    Raises:
        DataError: the file or an array is missing, or the arrays cannot be trained on.

    Example:
        >>> import tempfile
        >>> file = tempfile.mkdtemp() + "/toy.npz"
        >>> np.savez(file, x=np.random.rand(50, 3), y=np.arange(50) % 2)
        >>> Npz(file)()
        Data('npz:toy.npz', train=40, validation=5, test=5, inputs=(3,), outputs=2)
    """

    file: str
    seed: int = 0

    def __call__(self) -> Data:
        path = Path(self.file).expanduser()
        splits = _splits(_arrays(path), path.name, self.seed)
        x, y = splits[0]
        classes = max(int(labels.max(initial=0)) for _, labels in splits) + 1 if _has_classes(y) else None
        mean, std = moments(x, {2: 0, 3: None}.get(x.ndim, tuple(range(x.ndim - 1))))
        return Data(
            f"npz:{path.name}",
            *((standardise(x, mean, std), y if classes else y.reshape(len(y), -1)) for x, y in splits),
            loss=CROSS_ENTROPY if classes else "mean_squared_error",
            metrics=("accuracy",) if classes else ("mean_absolute_error",),
            classes=classes,
            scaling=(mean, std) if all(x.dtype == np.uint8 for x, _ in splits) else None,
        )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise DataError(f"`file` must be an .npz file. Received: file={str(path)!r}, which is not a file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    # np.load raises a ValueError for pickles. For an .npy file it returns an array, which is no context manager.
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            "`file` must be an .npz file of plain arrays, as numpy.savez(file, x=..., y=...) writes it. "
            f"Received: file={str(path)!r}: {error}"
        ) from error


def _splits(arrays: Mapping[str, np.ndarray], file: str, seed: int) -> list[Split]:
    """Train, validation and test as the file defines them; missing splits are drawn with `seed`."""
    if "x_train" not in arrays and "x" in arrays:
        train, validation, test = _cut(_pair(arrays, file, ""), 2, seed)
        return [train, validation, test]
    train, test = _pair(arrays, file, "_train"), _pair(arrays, file, "_test")
    for name in ("_validation", "_val"):
        if f"x{name}" in arrays:
            return [train, _pair(arrays, file, name), test]
    return [*_cut(train, 1, seed), test]


def _pair(arrays: Mapping[str, np.ndarray], file: str, suffix: str) -> Split:
    names = [f"x{suffix}", f"y{suffix}"]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(
            f"'{file}' must contain x_train, y_train, x_test and y_test, or x and y. "
            f"Received: no {' and no '.join(missing)}, but {', '.join(sorted(arrays)) or 'no array at all'}"
        )
    x, y = (arrays[name] for name in names)
    if min(x.ndim, y.ndim) < 1 or len(x) != len(y):
        raise DataError(
            f"{names[0]} and {names[1]} of '{file}' must have one entry per example each. "
            f"Received: shapes {x.shape} and {y.shape}"
        )
    if y.dtype.kind in "biu" and y.ndim > 1:
        y = _column(y, names[1], file)
    return x, y


def _column(y: np.ndarray, name: str, file: str) -> np.ndarray:
    # Keras's own data sets have labels (n, 1). One-hot rows are refused, because they could also be targets.
    if y.ndim > 2 or y.shape[1] != 1:
        raise DataError(
            f"{name} of '{file}' must be integers (n,) as classes, or floats (n, outputs) as targets. "
            f"Received: {y.dtype} {y.shape}. One-hot rows become classes with y.argmax(axis=1)"
        )
    return y[:, 0]


def _cut(whole: Split, parts: int, seed: int) -> list[Split]:
    """Split off `parts` tenths of the data; returns the rest first, then the tenths."""
    x, y = whole
    order = shuffled(y if _has_classes(y) else np.zeros(len(y)), "npz", seed)
    tenth = len(x) // 10
    ends = [slice(tenth * part, tenth * (part + 1)) for part in range(parts)]
    return [(x[order[part]], y[order[part]]) for part in [slice(tenth * parts, None), *ends]]


def _has_classes(y: np.ndarray) -> bool:
    return y.ndim == 1 and y.dtype.kind in "biu"
