"""A data set of your own images, read from a folder with one subfolder per class."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kerastickets.plugin import (
    CROSS_ENTROPY,
    Data,
    DataError,
    Split,
    Stream,
    StreamedArray,
    check_memory,
    moments,
    reason,
    shown_name,
    standardise,
    tenths,
    to_stream,
    user_path,
)
from kerastickets_plugins.datasets.image_file import read_image_file
from kerastickets_plugins.datasets.prepared import cause

_IMAGES = (".png", ".jpg", ".jpeg")
# Bytes that decoding needs for each value: the pixels, the coefficients of a progressive JPEG, a copy to scale.
_DECODING = 8

Labelled = list[tuple[Path, int]]


@dataclass(frozen=True)
class Folder:
    """Images in a folder, as `folder:DIR`, standardised per channel on the training split.

    DIR contains one subfolder per class. Or it contains `train` and optionally `validation` and `test`, each
    with one subfolder per class. Classes are numbered in the order of their sorted names. Each missing split
    is a stratified tenth of the training images. Only files named `.png`, `.jpg` or `.jpeg` are read, and they
    must be PNG or JPEG images of at most 256 MiB; other files and hidden files are ignored.

    Args:
        dir: path of the folder.
        size: height and width to scale all images to, such as `32x32`; none requires that all images have one
            size.
        color: `rgb` reads images with three channels, `gray` with one.
        seed: random seed for drawing missing splits.
        standardise: `no` leaves the values of the images as they are, from 0 to 255.
        stream: `yes` decodes the images once into a temporary file (in TMPDIR) and reads them from there while it
            trains, with the same results. `no` keeps them in memory. `auto` streams only what does not fit there.

    Raises:
        DataError: there is no such folder, a class has no image, an image cannot be read or has another size
            than the first, the images fit neither into memory nor on the disk, or a split has a class that is
            missing in train.
    """

    dir: str
    size: tuple[int, int] | None = None
    color: Literal["rgb", "gray"] = "rgb"
    seed: int = 0
    standardise: Literal["yes", "no"] = "yes"
    stream: Stream = "auto"

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"`size` must be two numbers above 0. Received: size={self.size}")

    def __call__(self) -> Data:
        home = user_path(self.dir)
        parts = _parts(home)
        labels = tuple(path.name for path in _subfolders(parts["train"]))
        found = self._splits({part: _labelled(folder, labels) for part, folder in parts.items()})
        missing = [part for part in ("validation", "test") if part not in found]
        train, *drawn = tenths(*found["train"], len(missing), "folder", self.seed)
        found |= dict(zip(missing, drawn, strict=True)) | {"train": train}
        scaling = moments(train[0], (0, 1, 2)) if self.standardise == "yes" else None
        if scaling is not None:
            found = {part: (standardise(x, *scaling), y) for part, (x, y) in found.items()}
        return Data(
            f"folder:{shown_name(home.name)}",
            *(found[part] for part in ("train", "validation", "test")),
            loss=CROSS_ENTROPY,
            metrics=("accuracy",),
            classes=len(labels),
            labels=labels,
            scaling=scaling,
        )

    def _splits(self, files: dict[str, Labelled]) -> dict[str, Split]:
        """Read all images. The size of the first decides how much room is needed, before any is decoded."""
        first = files["train"][0][0]
        size = self.size or _read(first)[1]
        shape = (*size, 3 if self.color == "rgb" else 1)
        count = sum(map(len, files.values()))
        what = f"The {count} images of {shape[:2]} in {shown_name(self.dir)}"
        streamed = to_stream(self.stream, what, count, shape, 1)
        found = {}
        for part, labelled in files.items():
            decoded = self._images([file for file, _ in labelled], shape, first, size)
            if streamed:
                images: Any = StreamedArray.written((image[None] for image in decoded), np.uint8, what)
            else:
                images = np.empty((len(labelled), *shape), np.uint8)
                for n, image in enumerate(decoded):
                    images[n] = image
            found[part] = images, np.array([label for _, label in labelled])
        return found

    def _images(
        self, files: list[Path], shape: tuple[int, ...], first: Path, size: tuple[int, int]
    ) -> Iterator[np.ndarray]:
        """Decode images one after another. Without `self.size`, all must have the size of the first."""
        largest = 0
        for file in files:
            content, own = _read(file)
            if self.size is None and own != size:
                raise DataError(
                    f"All images must have the same size, or be scaled with size=HEIGHTxWIDTH. "
                    f"Received: {shown_name(file)} of {own}, {shown_name(first)} of {size}"
                )
            needed = own[0] * own[1] * shape[2] * _DECODING
            if needed > largest:  # asking for the free memory takes longer than decoding a small image
                check_memory(needed, f"The image {shown_name(file)}", "Scale it down.", DataError)
                largest = needed
            yield self._decoded(file, content, shape)

    def _decoded(self, file: Path, content: bytes, shape: tuple[int, ...]) -> Any:
        import tensorflow as tf

        try:
            image = tf.io.decode_image(content, shape[2], expand_animations=False)
            if self.size is not None:
                image = tf.round(tf.image.resize(image, self.size, antialias=True))
            if image.shape != shape:
                raise ValueError(f"{image.shape[:2]} pixels behind a header of {shape[:2]}")
        except (ValueError, MemoryError, tf.errors.OpError) as error:
            raise _no_image(file, cause(error)) from error
        return np.asarray(image, np.uint8)


def _read(file: Path) -> tuple[bytes, tuple[int, int]]:
    try:
        return read_image_file(file)
    except (OSError, ValueError, MemoryError) as error:
        raise _no_image(file, reason(error)) from error


def _no_image(file: Path, received: str) -> DataError:
    return DataError(
        f"{shown_name(file)} must be a PNG or JPEG image. Received: {shown_name(received)}. Repair or remove it"
    )


def _parts(home: Path) -> dict[str, Path]:
    """The folders of the splits; without a folder `train`, the whole folder is the training split."""
    if not os.path.isdir(home):
        raise DataError(f"`dir` must be a folder. Received: dir={str(home)!r}, which is not a folder")
    parts = {part: home / part for part in ("train", "validation", "test")}
    parts = {part: path for part, path in parts.items() if os.path.isdir(path) and _folders(path)}
    return parts if "train" in parts else {"train": home}


def _entries(folder: Path) -> list[Path]:
    """All entries that are not hidden, sorted by name, so that the order is the same on every machine."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(
            f"{shown_name(folder)} must be a folder that can be read. Received: {reason(error)}"
        ) from error


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if os.path.isdir(path)]


def _subfolders(folder: Path) -> list[Path]:
    """The folders of the classes."""
    found = _folders(folder)
    if not found:
        raise DataError(
            f"{shown_name(folder)} must contain one folder of images per class. Received: no folders in it"
        )
    return found


def _labelled(folder: Path, labels: tuple[str, ...]) -> Labelled:
    """The image files of a split, each with the number of its class."""
    numbers = {label: number for number, label in enumerate(labels)}
    classes = _subfolders(folder)
    if strange := [path for path in classes if path.name not in numbers]:
        known = ", ".join(map(shown_name, labels[:10])) + ", ..." * (len(labels) > 10)
        raise DataError(
            f"Every class must be in train, which has {known}. Received: {shown_name(strange[0])}"
        )
    return [(file, numbers[path.name]) for path in classes for file in _files(path)]


def _files(folder: Path) -> list[Path]:
    names = [path for path in _entries(folder) if path.suffix.lower() in _IMAGES]
    if not names:
        raise DataError(f"{shown_name(folder)} must contain PNG or JPEG images. Received: none in it")
    return names
