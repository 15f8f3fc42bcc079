"""A data set of your own images, read from a folder with one subfolder per class."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kerastickets.plugin import CROSS_ENTROPY, Data, DataError, Split, moments, standardise, tenths
from kerastickets_plugins.datasets.prepared import cause

_IMAGES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Folder:
    """Images in a folder, as `folder:DIR`, standardised per channel on the training split.

    DIR contains one subfolder per class. Or it contains `train` and optionally `validation` and `test`, each
    with one subfolder per class. Classes are numbered in the order of their sorted names. Each missing split
    is a stratified tenth of the training images. Only PNG and JPEG files are read; other files and hidden
    files are ignored.

    Args:
        dir: path of the folder.
        size: height and width to scale all images to, such as `32x32`; none requires that all images have one
            size.
        color: `rgb` reads images with three channels, `gray` with one.
        seed: random seed for drawing missing splits.

    Raises:
        DataError: there is no such folder, a class has no image, an image cannot be read or has another size
            than the first, or a split has a class that is missing in train.
    """

    dir: str
    size: tuple[int, int] | None = None
    color: Literal["rgb", "gray"] = "rgb"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"`size` must be two numbers above 0. Received: size={self.size}")

    def __call__(self) -> Data:
        home = Path(self.dir).expanduser()
        parts = _parts(home)
        labels = tuple(path.name for path in _subfolders(parts["train"]))
        found = {part: self._split(folder, labels) for part, folder in parts.items()}
        missing = [part for part in ("validation", "test") if part not in found]
        train, *drawn = tenths(*found["train"], len(missing), "folder", self.seed)
        found |= dict(zip(missing, drawn, strict=True)) | {"train": train}
        mean, std = moments(train[0], (0, 1, 2))
        return Data(
            f"folder:{home.name}",
            *((standardise(x, mean, std), y) for x, y in map(found.get, ("train", "validation", "test"))),
            loss=CROSS_ENTROPY,
            metrics=("accuracy",),
            classes=len(labels),
            labels=labels,
            scaling=(mean, std),
        )

    def _split(self, folder: Path, labels: tuple[str, ...]) -> Split:
        classes = _subfolders(folder)
        if strange := [path for path in classes if path.name not in labels]:
            raise DataError(
                f"Every class must be in train, which has {', '.join(labels)}. Received: {strange[0]}"
            )
        files = [(file, labels.index(path.name)) for path in classes for file in _files(path)]
        first = self._image(files[0][0])
        images = np.empty((len(files), *first.shape), np.uint8)
        for n, (file, _) in enumerate(files):
            image = self._image(file)
            if image.shape != first.shape:
                raise DataError(
                    f"All images must have the same size, or be scaled with size=HEIGHTxWIDTH. "
                    f"Received: {file} of {image.shape[:2]}, {files[0][0]} of {first.shape[:2]}"
                )
            images[n] = image
        return images, np.array([label for _, label in files])

    def _image(self, file: Path) -> Any:
        import tensorflow as tf

        try:
            channels = 3 if self.color == "rgb" else 1
            image = tf.io.decode_image(file.read_bytes(), channels, expand_animations=False)
        except (OSError, tf.errors.OpError) as error:
            raise DataError(f"{file} must be a PNG or JPEG image. Received: {cause(error)}") from error
        if self.size is not None:
            image = tf.round(tf.image.resize(image, self.size, antialias=True))
        return np.asarray(image, np.uint8)


def _parts(home: Path) -> dict[str, Path]:
    """The folders of the splits; without a folder `train`, the whole folder is the training split."""
    if not home.is_dir():
        raise DataError(f"`dir` must be a folder. Received: dir={str(home)!r}, which is not a folder")
    parts = {part: home / part for part in ("train", "validation", "test")}
    parts = {part: path for part, path in parts.items() if path.is_dir() and list(_folders(path))}
    return parts if "train" in parts else {"train": home}


def _folders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _subfolders(folder: Path) -> list[Path]:
    """The folders of the classes, sorted by name, so that the order is the same on every machine."""
    found = sorted(_folders(folder), key=lambda path: path.name)
    if not found:
        raise DataError(f"{folder} must contain one folder of images per class. Received: no folders in it")
    return found


def _files(folder: Path) -> list[Path]:
    names = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _IMAGES and not path.name.startswith(".")
    )
    if not names:
        raise DataError(f"{folder} must contain PNG or JPEG images. Received: none in it")
    return names
