"""Examples that stay on disk: rows are read, and standardised, when they are asked for."""

import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from kerastickets.data.arrays import (
    blocks,
    check_examples_fit,
    check_numbers,
    fits_for_training,
    not_finite,
    standardise,
)
from kerastickets.errors import DataError
from kerastickets.foundations.memory import amount
from kerastickets.foundations.reading import reason
from kerastickets.foundations.structure import leaves

#: Whether examples stay on disk.
Stream = Literal["auto", "yes", "no"]

# Values in a block: half a GiB while they are float64. Up to 16384 values an example, blocks are those of arrays.
_VALUES = 2**26
_ROOM = "Set TMPDIR to a folder on a disk with more room, or use fewer or smaller examples."


class StreamedArray:
    """Examples `(n, ...)` on disk. An index of rows gives an array of these rows, in float32 and standardised.

    Each row has the same bits as if the whole were an array in memory. Nothing turns the whole into an array: an
    attempt is refused.

    Args:
        stored: the examples, as a `np.memmap` of numbers.
        scaling: `(mean, std)` to standardise with, as `standardise` takes them; None leaves the values as they are.
        rows: the numbers of the rows of `stored` that this array has, in order; None for all.
        dtype: the type of the rows that are read.

    Raises:
        DataError: `stored` has no numbers, or `scaling` is not finite or divides by 0.

    Example:
        >>> pixels = np.arange(8, dtype=np.uint8).reshape(4, 2)
        >>> streamed = StreamedArray(pixels, (1.0, 2.0)).part([3, 1])
        >>> streamed.shape, streamed[:1].tolist()
        ((2, 2), [[2.5, 3.0]])
    """

    def __init__(
        self,
        stored: np.ndarray,
        scaling: tuple[Any, Any] | None = None,
        *,
        rows: np.ndarray | None = None,
        dtype: Any = np.float32,
    ) -> None:
        self._stored, self._scaling, self._rows = np.asarray(stored), scaling, rows
        check_numbers(self._stored, "Examples on disk")
        self.dtype = np.dtype(dtype)
        self.shape = (len(self._stored) if rows is None else len(rows), *self._stored.shape[1:])
        if scaling is not None and not (np.isfinite(scaling[0]).all() and np.min(scaling[1]) > 0):
            raise DataError(
                f"A scaling must have finite means and deviations above 0. Received: {scaling[0]} and {scaling[1]}"
            )
        if scaling is not None:
            # Over a last axis of few channels, NumPy would loop channel by channel, which is slower.
            mean, std = (np.broadcast_to(part, self.shape[1:]).astype("float32") for part in scaling)
            self._scaling = mean, std

    @classmethod
    def written(cls, batches: Iterable[np.ndarray], dtype: Any, what: str) -> "StreamedArray":
        """Write examples to a file without a name in the folder of temporary files.

        The system removes the file when the array is dropped or the process ends, however it ends.

        Args:
            batches: arrays of examples `(n, ...)` of one shape, one after another.
            dtype: the type of the values in the file.
            what: the examples for messages, such as ``"The images in 'pets'"``.

        Raises:
            DataError: the disk has not enough room.
            ValueError: there is no example, or the examples differ in shape.

        Example:
            >>> StreamedArray.written([np.ones((2, 3)), np.zeros((1, 3))], np.uint8, "The rows")[1:].tolist()
            [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
        """
        with _room(what):
            file = tempfile.TemporaryFile(prefix="kerastickets-")  # noqa: SIM115
        with file:
            count, shape = 0, None
            for batch in batches:
                if batch.shape[1:] != (shape := shape or batch.shape[1:]):
                    raise ValueError(f"examples of shapes {shape} and {batch.shape[1:]}")
                with _room(what):
                    file.write(np.ascontiguousarray(batch, dtype).data)
                count += len(batch)
            with _room(what):
                file.flush()
            # The map keeps the file after it is closed.
            return cls(np.memmap(file, dtype, "r", shape=(count, *(shape or ()))))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes of all rows in memory."""
        return self.size * self.dtype.itemsize

    @property
    def block(self) -> int:
        """How many rows to read at once where all are needed; see `blocks`."""
        return max(1, min(4096, _VALUES // math.prod(self.shape[1:])))

    def __getitem__(self, index: Any) -> np.ndarray:
        """The rows that an integer, a slice, or an array of integers or booleans selects, in memory."""
        found = self._stored[index if self._rows is None else self._rows[index]]
        if self._scaling is not None:
            found = standardise(found, *self._scaling)
        return np.asarray(found, self.dtype)

    def __array__(self, *given: Any, **named: Any) -> np.ndarray:
        raise DataError(
            f"Examples that are streamed from disk must be used in parts here. Received: all {len(self)} of them. "
            "Use fewer or smaller examples, with stream=no."
        )

    def part(self, index: Any) -> "StreamedArray":
        """The rows that a slice or an array of integers or booleans selects, still on disk."""
        rows = np.arange(len(self)) if self._rows is None else self._rows
        return StreamedArray(self._stored, self._scaling, rows=rows[index], dtype=self.dtype)

    def standardised(self, mean: Any, std: Any) -> "StreamedArray":
        """The same rows, which `standardise` changes when they are read."""
        if self._scaling is not None:
            raise DataError("Streamed examples can be standardised once. Received: some that already are.")
        return StreamedArray(self._stored, (mean, std), rows=self._rows, dtype=self.dtype)

    def check_finite(self, what: str) -> None:
        """Refuse values that are not finite.

        Args:
            what: the array, for the message.

        Raises:
            DataError: a value is NaN or infinite.
        """
        if not self._ends_are_finite() and not all(np.isfinite(block).all() for block in blocks(self)):
            raise not_finite(self, what)

    def _ends_are_finite(self) -> bool:
        """Whether all values of a narrow integer type give finite rows, which needs no reading."""
        kept = self._stored.dtype
        if kept.kind not in "biu" or kept.itemsize > 2:
            return False
        ends = np.array([0, 1] if kept.kind == "b" else [np.iinfo(kept).min, np.iinfo(kept).max], kept)
        ends = np.broadcast_to(ends.reshape(2, *[1] * (self.ndim - 1)), (2, *self.shape[1:]))
        return bool(np.isfinite(StreamedArray(ends, self._scaling)[:]).all())


def is_streamed(structure: Any) -> bool:
    """Whether an array of a structure, such as a split of a data set, stays on disk.

    Example:
        >>> is_streamed((np.zeros((2, 1)), np.zeros(2))), is_streamed((StreamedArray(np.zeros((2, 1))), np.zeros(2)))
        (False, True)
    """
    return any(isinstance(leaf, StreamedArray) for leaf in leaves(structure))


def to_stream(stream: Stream, what: str, count: int, shape: Sequence[int], itemsize: int = 4) -> bool:
    """Decide whether examples stay on disk. Call it before any is read.

    Args:
        stream: `yes`, `no`, or `auto`: only if the memory that is free is too little to read the examples, and to train
            on float32 copies of them.
        what: the examples for messages, such as ``"The images in 'pets'"``.
        count: the number of examples.
        shape: the shape of one example.
        itemsize: bytes of one value as it is read.

    Raises:
        DataError: the examples fit neither into memory nor on the disk, or not where `stream` puts them.

    Example:
        >>> to_stream("auto", "The images in 'pets'", 100, (32, 32, 3), 1)
        False
    """
    if stream == "auto" and fits_for_training(count, shape, itemsize):
        return False
    # Of streamed examples, at least one at a time is in memory.
    check_examples_fit(what, count if stream == "no" else 1, shape, itemsize)
    if stream == "no":
        return False
    needed = count * math.prod(shape) * itemsize
    with _room(what):
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{what} must fit into the memory of this machine, or on the disk of {folder}, of which {amount(free)} "
            f"are free. Received: {amount(needed)}. {_ROOM}"
        )
    return True


@contextmanager
def _room(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{what} must fit on the disk for temporary files. Received: {reason(error)}. {_ROOM}"
        ) from error
