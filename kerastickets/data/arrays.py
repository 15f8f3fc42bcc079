"""Arrays of data sets: checked for numbers, standardised, shuffled by class."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerastickets.errors import DataError
from kerastickets.foundations.memory import check_memory, fits
from kerastickets.foundations.tree import generator

_BLOCK = 4096


def check_examples_fit(what: str, count: int, shape: Sequence[int], itemsize: int = 4) -> None:
    """Refuse examples that would not fit into the free memory while they are split and standardised.

    Call it before anything is allocated. Python's integers are exact, so the sizes may be as large as a hostile
    file claims.

    Args:
        what: the data for the message, such as ``"The images in 'pets'"``.
        count: the number of examples.
        shape: the shape of one example.
        itemsize: bytes of one value before it becomes float32.

    Raises:
        DataError: there is not enough memory. The message says how much is needed and how much is free.

    Example:
        >>> check_examples_fit("The images in 'pets'", 10**6, (16000, 16000, 3), itemsize=1)
        Traceback (most recent call last):
        ...
        kerastickets.errors.DataError: The images in 'pets' must fit into the memory of this machine, ...
    """
    check_memory(_needed(count, shape, itemsize), what, "Use fewer or smaller examples.", DataError)


def _needed(count: int, shape: Sequence[int], itemsize: int) -> int:
    # The values as read, together with the largest of: their shuffled copy, their float32 copy (and a byte per value to
    # check it), and a block of float64 (see `moments`).
    return math.prod(shape) * (count * itemsize + max(count * max(itemsize, 5), min(count, _BLOCK) * 8))


def fits_for_training(count: int, shape: Sequence[int], itemsize: int = 4) -> bool:
    """Whether the free memory is enough to read examples, and to train on them.

    Args:
        count: the number of examples.
        shape: the shape of one example.
        itemsize: bytes of one value before it becomes float32.

    Example:
        >>> fits_for_training(100, (32, 32, 3)), fits_for_training(10**9, (320, 320, 3))
        (True, False)
    """
    # Training keeps float32 values twice: the arrays, and the tensors of the device.
    return fits(max(_needed(count, shape, itemsize), 8 * count * math.prod(shape)))


def blocks(x: Any) -> Iterator[np.ndarray]:
    """The examples of an array one block after another, for what must not make a copy of all of them.

    Args:
        x: an array of examples `(n, ...)`, in memory or streamed from disk.

    Example:
        >>> [block.shape for block in blocks(np.zeros((5000, 2)))]
        [(4096, 2), (904, 2)]
    """
    most = getattr(x, "block", _BLOCK)  # streamed examples may be large
    return (x[start : start + most] for start in range(0, len(x), most))


def moments(x: np.ndarray, axis: int | tuple[int, ...] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of `x`, computed in float64, for use with `standardise`.

    For streamed examples of more than 16384 values, the last bit of a float64 deviation may differ from that of an
    array: their blocks are smaller. It is rounded away when `standardise` takes the deviation as float32.

    Args:
        x: examples `(n, ...)` of any numeric dtype, in memory or streamed from disk.
        axis: the axes to average over, which must include axis 0. None (all axes) gives one pair of numbers,
            0 gives a pair per input position, and `(0, 1, 2)` gives a pair per channel of images.

    Returns:
        `(mean, std)`. A standard deviation of 0 is replaced by 1, so that standardised constants become 0.

    Raises:
        DataError: `x` is empty, is not numeric, or holds values that are not finite.

    Example:
        >>> mean, std = moments(np.array([[1.0, 5.0], [3.0, 5.0]]), axis=0)
        >>> mean.tolist(), std.tolist()
        ([2.0, 5.0], [1.0, 1.0])
    """
    check_numbers(x, "Inputs to standardise")
    # In blocks: a float64 copy of a whole image data set is larger than everything else in the process.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.asarray(sum(block.sum(axis=axis, dtype=np.float64) for block in blocks(x)))
        count = x.size / mean.size
        mean /= count
        if not np.isfinite(mean).all():
            raise not_finite(x, "Inputs to standardise")
        std = np.sqrt(sum(_squares(block, mean).sum(axis=axis) for block in blocks(x)) / count)
    return mean, np.where(std > 0, std, 1.0)


def _squares(block: np.ndarray, mean: np.ndarray) -> np.ndarray:
    difference = block - mean
    return np.square(difference, out=difference)


def standardise(x: Any, mean: Any, std: Any) -> Any:
    """`(x - mean) / std` in float32, a new array.

    Args:
        x: numbers of any dtype and shape; or streamed examples, which are standardised when they are read.
        mean: the value to subtract, in the units of `x`. It broadcasts to `x`.
        std: the value to divide by, in the units of `x`. It broadcasts to `x`.

    Example:
        >>> standardise(np.array([0, 255], np.uint8), 127.5, 127.5).tolist()
        [-1.0, 1.0]
    """
    if hasattr(x, "standardised"):
        return x.standardised(mean, std)
    # Values that do not fit into float32 become inf or NaN, which `Data` refuses.
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.subtract(x, np.float32(mean), dtype=np.float32, casting="same_kind")
        return np.divide(result, np.float32(std), out=result)


def shuffled(labels: np.ndarray, *key: int | str) -> np.ndarray:
    """A stratified random permutation: every consecutive piece has the classes in their proportions.

    To get a stratified split with exact sizes, cut the permutation into consecutive pieces. It depends only
    on the labels and the key.

    Args:
        labels: class labels `(n,)`.
        *key: what the split is for, such as `"digits"`. It seeds the permutation.

    Returns:
        Indices `(n,)`.

    Example:
        >>> labels = np.array([0, 0, 0, 0, 1, 1])
        >>> np.bincount(labels[shuffled(labels, "toy")[:3]]).tolist()
        [2, 1]
    """
    order = generator("split", *key).permutation(len(labels))
    # All classes at once: a loop over them would take hours if every label of a large set is another.
    members = order[np.argsort(labels[order], kind="stable")]
    _, counts = np.unique(labels, return_counts=True)
    sizes = np.repeat(counts, counts)
    number = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = np.empty(len(labels))
    place[members] = (number + 0.5) / sizes
    return order[np.argsort(place[order], kind="stable")]


def numbers_of(values: Any, dtype: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    check_numbers(array, what)
    with np.errstate(over="ignore"):  # values too large for float32 become inf, which is refused below
        array = np.ascontiguousarray(array, dtype).view()
    if not np.isfinite(array).all():
        raise not_finite(array, what)
    array.flags.writeable = False
    return array


def check_numbers(array: Any, what: str) -> None:
    if array.dtype.kind not in "biuf":
        text = array.dtype.kind in "OSU"
        advice = ". Turn text into numbers first, as by keras.layers.TextVectorization." if text else ""
        raise DataError(f"{what} must be numbers. Received: dtype={array.dtype}{advice}")
    if array.size == 0 or array.ndim == 0:
        raise DataError(f"{what} must not be empty. Received: shape={array.shape}")


def not_finite(array: Any, what: str) -> DataError:
    count = sum(np.count_nonzero(~np.isfinite(block)) for block in blocks(array))
    return DataError(f"{what} must be finite. Received: {count} NaN or infinite values")
