"""Give a split to Keras's own `evaluate` and `predict`, also if it is streamed from disk."""

from typing import Any

import keras

from kerastickets.data.splits import rows, size as size_of
from kerastickets.data.streamed_array import is_streamed


def keras_arguments(split: Any, batch_size: int) -> dict[str, Any]:
    """The arguments by which `evaluate` or `predict` goes through a split in order.

    Args:
        split: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        batch_size: examples per batch. The last may have fewer.

    Example:
        >>> list(keras_arguments(([[1.0]], [0]), 2))
        ['x', 'batch_size', 'y']
    """
    if is_streamed(split):
        return {"x": StreamedBatches(split, batch_size)}
    x, *rest = split
    return {"x": x, "batch_size": batch_size, **dict(zip(("y", "sample_weight"), rest, strict=False))}


class StreamedBatches(keras.utils.PyDataset):
    """The batches of a split. Keras reads one at a time.

    Args:
        split: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        batch_size: examples per batch. The last may have fewer.
    """

    def __init__(self, split: Any, batch_size: int) -> None:
        super().__init__()
        self._split, self._size = split, batch_size

    def __len__(self) -> int:
        return -(-size_of(self._split) // self._size)

    def __getitem__(self, number: int) -> Any:
        return rows(self._split, slice(number * self._size, (number + 1) * self._size))
