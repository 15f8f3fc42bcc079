"""Image sets as TensorFlow Datasets prepares them: found in their folder, read as bytes, never downloaded."""

import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerastickets.plugin import DataError, Split

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_NOISE = re.compile(r"\{\{.*?\}\}|\[Op:.*", re.DOTALL)  # where in TensorFlow's own graph
# Not `tfds build`: it needs apache-beam, which nothing here installs.
_PREPARE = (
    "Prepare it, online, with: "
    "python -c \"import tensorflow_datasets as tfds; tfds.builder('{name}').download_and_prepare()\""
)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a prepared set holds.

    Args:
        splits: images `(n, height, width, channels)` and labels `(n,)` by the split's name in TFDS.
        labels: the names of the classes.
    """

    splits: dict[str, Split]
    labels: tuple[str, ...]


def find(name: str) -> Path:
    """The folder of the newest prepared version of a set, such as `mnist` or `name/config`.

    It only looks: TFDS would try to download for minutes.

    Raises:
        DataError: there is none; says where it searched and how to prepare it.
    """
    home = _home() / name
    found = [path.parent for path in home.glob("*/dataset_info.json")]
    # Not `3.0.1.incompleteXYZ`, which an interrupted preparation leaves.
    versions = {
        tuple(map(int, path.name.split("."))): path for path in found if _VERSION.fullmatch(path.name)
    }
    if not versions:
        raise DataError(
            f"Data set '{name}' must be prepared once. {_searched(home)} {_PREPARE.format(name=name)}"
        )
    return versions[max(versions)]


def _home() -> Path:
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def _searched(home: Path) -> str:
    named = "named by TFDS_DATA_DIR" if os.environ.get("TFDS_DATA_DIR") else "as TFDS_DATA_DIR is not set"
    return f"Searched: {home} ({named})."


@functools.cache  # pixels as bytes: a quarter of the standardised arrays, and all of the decoding
def published(folder: Path, image: tuple[int, ...], sizes: tuple[int, int]) -> Prepared:
    """A set whose size is known: its train and test split, checked.

    Args:
        folder: as `find` gives it.
        image: the shape of one image.
        sizes: examples in train and in test.

    Raises:
        DataError: it is damaged, or of another size.
    """
    found = read(folder, ("train", "test"))
    for part, size in zip(("train", "test"), sizes, strict=True):
        x = found.splits[part][0]
        if x.shape != (size, *image) or x.dtype != np.uint8:
            raise damaged(folder, f"images of shape {x.shape}, expected {(size, *image)}")
    return found


def read(
    folder: Path, splits: tuple[str, ...] | None = None, size: tuple[int, int] | None = None
) -> Prepared:
    """Images and labels of a prepared set.

    Args:
        folder: as `find` gives it.
        splits: which of its splits to read; None reads train, validation and test as far as they are there.
        size: the height and width to scale images to; None leaves them as they are.

    Raises:
        DataError: no features `image` and `label`, no such split, images of several sizes, or a damaged file.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(folder)
        names, known = _labels(builder, folder), tuple(builder.info.splits)
        splits = splits or tuple(part for part in ("train", "validation", "test") if part in known)
        for part in splits:
            if part not in known:
                raise DataError(
                    f"The prepared data set in {folder} has the splits {', '.join(known)}. Received: {part!r}"
                )
        return Prepared({part: _split(builder, part, size) for part in splits}, names)
    except DataError:
        raise
    except Exception as error:  # whatever TFDS and TensorFlow raise for a damaged file
        raise damaged(folder, f"{type(error).__name__}: {cause(error)}") from error


def _labels(builder: Any, folder: Path) -> tuple[str, ...]:
    features = builder.info.features
    image, label = (dict(features.items()).get(name) for name in ("image", "label"))
    if len(getattr(image, "shape", None) or ()) != 3 or not getattr(label, "names", None):
        raise DataError(
            f"The prepared data set in {folder} must have the features `image` and `label`, a class. "
            f"Received: {', '.join(sorted(features))}"
        )
    return tuple(label.names)


def _split(builder: Any, part: str, size: tuple[int, int] | None) -> Split:
    import tensorflow as tf

    shape = builder.info.features["image"].shape
    if size is None and None in shape:
        raise DataError(
            f"Images of several sizes need one to scale them to: size=HEIGHTxWIDTH. Received: {shape}"
        )

    def pair(example: Any) -> Any:
        image = example["image"]
        if size is not None:
            image = tf.cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8)
        return image, example["label"]

    batches = builder.as_dataset(split=part).map(pair, num_parallel_calls=2).batch(1000)
    x, y = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(x), np.concatenate(y)


def cause(error: Exception) -> str:
    """What TensorFlow says went wrong, in one line and without the place in its own graph."""
    return " ".join(_NOISE.sub("", str(error)).split())[:300].rstrip(".")


def damaged(folder: Path, received: str) -> DataError:
    """The error for a prepared set that cannot be used as it is."""
    return DataError(
        f"The prepared data set in {folder} must be readable and complete. Received: {received}. "
        f"Remove that folder. {_PREPARE.format(name=folder.parent.relative_to(_home()).as_posix())}"
    )
