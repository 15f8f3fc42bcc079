"""Turn the data that Keras users have into a `Data`: arrays, `tf.data.Dataset`, `keras.utils.PyDataset`."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerastickets.data.arrays import shuffled
from kerastickets.data.dataset import Data
from kerastickets.data.splits import Split, checked_split, part, size
from kerastickets.errors import DataError
from kerastickets.foundations.memory import check_memory
from kerastickets.foundations.structure import is_nested, leaves, map_leaves

_SPLITS = ("train", "validation", "test")
# Fewer examples than this leave nothing for a validation and a test split.
_FEWEST = 10


def data_from(
    train: Any,
    validation: Any = None,
    test: Any = None,
    *,
    name: str = "data",
    class_weight: Mapping[int, float] | None = None,
    seed: int = 0,
    **fields: Any,
) -> Data:
    """Make a data set from arrays, a `tf.data.Dataset` or a `keras.utils.PyDataset`.

    Whole data sets are read into memory once; an input that is a `np.memmap` is streamed if it does not fit there. A
    split that is not given is a tenth of the training examples, drawn by the seed; if the labels are one class for each
    example, each class keeps its proportion.

    Args:
        train: `(x, y)`, `(x, y, sample_weight)` in any structure that `fit` takes, or a finite, batched data set of
            such batches.
        validation: the validation split in one of these forms, or None.
        test: the test split in one of these forms, or None. It is never used for selection.
        name: the name of the data set in tables and provenance.
        class_weight: the weight of each class of the training examples, as `fit` takes it. Classes that are left out
            have weight 1. It multiplies sample weights. Validation and test are not weighted.
        seed: the seed that draws missing splits.
        **fields: further fields of `Data`: `loss`, `metrics`, `classes`, `labels`, ... Without them the model must be
            compiled with a loss.

    Returns:
        A `Data`.

    Raises:
        DataError: there are too few examples to split, a data set is endless or does not fit into memory, it does not
            give `(x, y)`, or the arrays are ones that `Data` refuses.

    Example:
        >>> data_from((np.zeros((50, 4)), np.arange(50) % 2))
        Data('data', train=40, validation=5, test=5, inputs=(4,), labels=())
    """
    given = {"train": train, "validation": validation, "test": test}
    found = {
        split: arrays_of(value, f"{split} split of {name}")
        for split, value in given.items()
        if value is not None
    }
    if "train" not in found:
        raise DataError(f"A data set must have training examples. Received: {train!r}")
    missing = [split for split in _SPLITS if split not in found]
    found["train"], *drawn = _tenths(found["train"], len(missing), name, seed)
    found |= dict(zip(missing, drawn, strict=True))
    if class_weight:
        found["train"] = _weighted(found["train"], class_weight, name)
    return Data(name, found["train"], found["validation"], found["test"], **fields)


def is_own(data: Any) -> bool:
    """Whether `data` is something that `data_from` takes: arrays, splits by name, or an iterable data set."""
    if isinstance(data, str | bytes | Data):
        return False
    return isinstance(data, tuple | list | Mapping) or _is_dataset(data)


def data_from_own(data: Any) -> Data:
    """The data set of what is given instead of a `Data`: one of the forms of `data_from`, or a dict of splits by name.

    Example:
        >>> x, y = np.zeros((8, 4)), np.arange(8) % 2
        >>> data_from_own({"train": (x, y), "validation": (x, y), "test": (x, y)})
        Data('data', train=8, validation=8, test=8, inputs=(4,), labels=())
    """
    if isinstance(data, Mapping):
        if not {*data} <= {*_SPLITS} or "train" not in data:
            raise DataError(
                "Splits by name must be train and, if you like, validation and test. Received: "
                f"{', '.join(map(str, data)) or 'none'}. Inputs by name stand inside (x, y)."
            )
        return data_from(**data)
    return data_from(data)


def _is_dataset(data: Any) -> bool:
    return hasattr(data, "element_spec") or (hasattr(data, "__getitem__") and hasattr(data, "num_batches"))


def arrays_of(data: Any, where: str) -> Split:
    """The arrays of a split: as they are given, or read from a data set of batches.

    Args:
        data: `(x, y)`, `(x, y, sample_weight)`, or a data set.
        where: the split, for messages.

    Raises:
        DataError: a data set is endless or does not fit into memory, or it does not give `(x, y)`.
    """
    if not _is_dataset(data):
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            raise DataError(
                f"The {where} must be (x, y), (x, y, sample_weight) or a data set. Received: {type(data).__name__}"
            )
        return tuple(data)
    batches = []
    for batch in _batches(data, where):
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise DataError(
                f"Each batch of the {where} must be (x, y) or (x, y, sample_weight). Received: {type(batch).__name__}"
            )
        batches.append(map_leaves(np.asarray, tuple(batch)))
        if len(batches) == 1 and any(leaf.ndim == 0 for leaf in leaves(batches[0])):
            raise DataError(f"The {where} must be batched. Received: single examples. Call .batch(...).")
        _check_fits(batches, data, where)
    if not batches:
        raise DataError(f"The {where} must have a batch. Received: none.")
    return tuple(map_leaves(lambda *parts: np.concatenate(parts), *batches))


def _batches(data: Any, where: str) -> Iterator[Any]:
    if hasattr(data, "element_spec"):  # a tf.data.Dataset
        if int(data.cardinality()) == -1:
            raise DataError(f"The {where} must end. Received: an endless data set. Call .take(...).")
        yield from data.as_numpy_iterator()
        return
    count = data.num_batches
    if count is None:
        raise DataError(f"The {where} must end. Received: a data set without a number of batches.")
    for number in range(count):
        batch = data[number]
        yield (
            map_leaves(lambda part: np.asarray(part), tuple(batch))
            if isinstance(batch, tuple | list)
            else batch
        )


def _check_fits(batches: list[Any], data: Any, where: str) -> None:
    """Refuse a data set that would not fit into memory, as soon as its size is known."""
    count = int(data.cardinality()) if hasattr(data, "element_spec") else data.num_batches
    if len(batches) in (1, count) or len(batches) % 100 == 0:
        whole = sum(leaf.nbytes for leaf in leaves(batches[0])) * max(count, len(batches))
        # The batches, the array that they are joined in, and float32 copies of bytes.
        left = whole - sum(leaf.nbytes for leaf in leaves(batches[0])) * len(batches)
        check_memory(left + 2 * whole, f"The {where}", "Use fewer or smaller examples.", DataError)


def _tenths(split: Split, parts: int, name: str, seed: int) -> list[Split]:
    """The rest of the examples, then `parts` tenths of them."""
    if not parts:
        return [split]
    split = checked_split(split, f"train of data set '{name}'", lambda y, what: np.asarray(y))
    count = size(split)
    tenth = count // 10
    if count < _FEWEST:
        raise DataError(
            f"{count} examples of {name} are too few to draw a tenth from. Give validation and test, as in "
            '{"train": (x, y), "validation": (x, y), "test": (x, y)}.'
        )
    y = None if is_nested(split[1]) else split[1]
    classes = y is not None and y.dtype.kind in "biu" and y.size == len(y)
    order = shuffled(y.reshape(-1) if y is not None and classes else np.zeros(count), name, seed)
    pieces = [order[tenth * parts :], *(order[tenth * n : tenth * (n + 1)] for n in range(parts))]
    return [part(split, piece) for piece in pieces]


def _weighted(split: Split, class_weight: Mapping[int, float], name: str) -> Split:
    x, y, *given = split
    labels = None if is_nested(y) else np.asarray(y)
    one_hot = labels is not None and labels.ndim == 2 and labels.shape[1] > 1
    if labels is None or labels.ndim > 2 or not (one_hot or labels.dtype.kind in "biu"):
        raise DataError(
            f"`class_weight` needs one class for each example. Received: {name} with other labels. Give sample weights."
        )
    classes = labels.argmax(1) if one_hot else labels.reshape(-1)
    if unknown := sorted({*class_weight} - {*classes.tolist()}):
        raise DataError(
            f"`class_weight` must name classes of the training examples. Received: {unknown[0]!r}"
        )
    weights = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], "float32")
    return x, y, weights * np.asarray(given[0]) if given and given[0] is not None else weights
