"""Find and read image sets that TensorFlow Datasets (TFDS) has prepared; nothing is ever downloaded."""

import functools
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerastickets.plugin import (
    DataError,
    Split,
    Stream,
    StreamedArray,
    is_regular,
    shown_name,
    to_stream,
    user_path,
)

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_VALUES = 2**26  # in a batch to decode
_NOISE = re.compile(r"\{\{.*?\}\}|\[Op:.*", re.DOTALL)  # locations in TensorFlow's own graph
# The advice is not `tfds build`, because that needs apache-beam, which this library does not install.
_PREPARE = (
    "Prepare it, online, with: "
    "python -c \"import tensorflow_datasets as tfds; tfds.builder('{name}').download_and_prepare()\""
)


@dataclass(frozen=True, eq=False)
class Prepared:
    """The contents of a prepared data set.

    Args:
        splits: images `(n, height, width, channels)` and labels `(n,)`, by the split's name in TFDS.
        labels: the class names.
        dtype: the type of the pixels.
    """

    splits: dict[str, Split]
    labels: tuple[str, ...]
    dtype: np.dtype


def find(name: str) -> Path:
    """The folder of the newest prepared version of a data set, such as `mnist` or `name/config`.

    The function only searches folders, because TFDS itself would try to download for minutes.

    Raises:
        DataError: no version is prepared. The message says where it searched and how to prepare one.
    """
    home = _home() / name
    found = [path.parent for path in home.glob("*/dataset_info.json")]
    # Skip folders such as `3.0.1.incompleteXYZ`, which an interrupted preparation leaves behind.
    versions = {
        tuple(map(int, path.name.split("."))): path for path in found if _VERSION.fullmatch(path.name)
    }
    if not versions:
        raise DataError(
            f"Data set '{name}' must be prepared once. {_searched(home)} {_PREPARE.format(name=name)}"
        )
    return versions[max(versions)]


def _home() -> Path:
    return user_path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def _searched(home: Path) -> str:
    named = "named by TFDS_DATA_DIR" if os.environ.get("TFDS_DATA_DIR") else "as TFDS_DATA_DIR is not set"
    return f"Searched: {home} ({named})."


@functools.cache  # bytes take a quarter of the memory of standardised arrays, and caching saves all decoding
def published(folder: Path, image: tuple[int, ...], sizes: tuple[int, int]) -> Prepared:
    """Read the train and test splits of a published data set, and check their sizes.

    Args:
        folder: the folder that `find` returned.
        image: the shape of one image.
        sizes: number of examples in train and in test.

    Raises:
        DataError: the data set is damaged, or of another size.
    """
    found = read(folder, ("train", "test"))
    for part, size in zip(("train", "test"), sizes, strict=True):
        x = found.splits[part][0]
        if x.shape != (size, *image) or x.dtype != np.uint8:
            raise damaged(folder, f"images of shape {x.shape}, expected {(size, *image)}")
    return found


def read(
    folder: Path,
    splits: tuple[str, ...] | None = None,
    size: tuple[int, int] | None = None,
    stream: Stream = "no",
) -> Prepared:
    """Read images and labels of a prepared data set.

    Args:
        folder: the folder that `find` returned.
        splits: the splits to read; None reads train, validation and test if they exist.
        size: the height and width to scale images to; None keeps their size.
        stream: whether images stay on disk; see `to_stream`.

    Raises:
        DataError: the data set lacks the features `image` and `label` or a split, has images of several sizes
            although `size` is None, has a damaged file, or fits neither into memory nor on the disk.
    """
    import tensorflow_datasets as tfds

    try:
        for path in folder.iterdir():
            if not is_regular(path) and not path.is_dir():  # TFDS would wait for a named pipe
                raise damaged(folder, f"{shown_name(path.name)}, which is not a regular file")
        builder = tfds.builder_from_directory(folder)
        names, known = _labels(builder, folder), tuple(builder.info.splits)
        splits = splits or tuple(part for part in ("train", "validation", "test") if part in known)
        for part in splits:
            if part not in known:
                raise DataError(
                    f"The prepared data set in {folder} has the splits {', '.join(known)}. Received: {part!r}"
                )
        count = sum(builder.info.splits[part].num_examples for part in splits)
        shape, dtype = _image(builder, size)
        what = f"The images in {folder}"
        read_split = _streamed if to_stream(stream, what, count, shape, dtype.itemsize) else _split
        return Prepared(
            {part: read_split(_batches(builder, part, size, shape), dtype, what) for part in splits},
            names,
            dtype,
        )
    except DataError:
        raise
    except Exception as error:  # TFDS and TensorFlow may raise any exception for a damaged file
        raise damaged(folder, f"{type(error).__name__}: {cause(error)}") from error


def _labels(builder: Any, folder: Path) -> tuple[str, ...]:
    features = builder.info.features
    image, label = (dict(features.items()).get(name) for name in ("image", "label"))
    if len(getattr(image, "shape", None) or ()) != 3 or not getattr(label, "names", None):
        raise DataError(
            f"The prepared data set in {folder} must have the features `image` and `label` (a class). "
            f"Received: {', '.join(sorted(features))}"
        )
    return tuple(label.names)


def _image(builder: Any, size: tuple[int, int] | None) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the dtype of the images after scaling."""
    feature = builder.info.features["image"]
    shape = feature.shape if size is None else (*size, feature.shape[2])
    if None in shape[:2]:
        raise DataError(
            f"Images of several sizes must be scaled with size=HEIGHTxWIDTH. Received: {feature.shape}"
        )
    channels = 4 if shape[2] is None else shape[2]
    return (*shape[:2], channels), np.dtype(np.uint8 if size else feature.np_dtype)


def _batches(
    builder: Any, part: str, size: tuple[int, int] | None, shape: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    import tensorflow as tf

    def pair(example: Any) -> Any:
        image = example["image"]
        if size is not None:
            image = tf.cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8)
        return image, example["label"]

    count = max(1, min(1000, _VALUES // math.prod(shape)))
    batches = builder.as_dataset(split=part).map(pair, num_parallel_calls=2).batch(count)
    yield from batches.as_numpy_iterator()


def _split(batches: Iterator[tuple[np.ndarray, np.ndarray]], *about: Any) -> Split:
    x, y = zip(*batches, strict=True)
    return np.concatenate(x), np.concatenate(y)


def _streamed(batches: Iterator[tuple[np.ndarray, np.ndarray]], dtype: np.dtype, what: str) -> Split:
    y: list[np.ndarray] = []

    def images() -> Iterator[np.ndarray]:
        for x, labels in batches:
            y.append(labels)
            yield x

    return StreamedArray.written(images(), dtype, what), np.concatenate(y)


def cause(error: Exception) -> str:
    """TensorFlow's error message in one line, without locations in its own graph."""
    return " ".join(_NOISE.sub("", str(error)).split())[:300].rstrip(".")


def damaged(folder: Path, received: str) -> DataError:
    """The error for a prepared data set that cannot be used."""
    return DataError(
        f"The prepared data set in {folder} must be readable and complete. Received: {received}. "
        f"Remove that folder. {_PREPARE.format(name=folder.parent.relative_to(_home()).as_posix())}"
    )
