"""Any labelled image set that TensorFlow Datasets (TFDS) has prepared."""

import re
from dataclasses import dataclass

import numpy as np

from kerastickets.plugin import CROSS_ENTROPY, Data, DataError, Split, Stream, moments, standardise, tenths
from kerastickets_plugins.datasets.prepared import damaged, find, read


@dataclass(frozen=True)
class Tfds:
    """An image set prepared by TensorFlow Datasets, as `tfds:NAME`, standardised per channel on the training split.

    The data set must have the features `image` and `label`. It is read from `TFDS_DATA_DIR`, or else TFDS's
    default folder; never downloaded. Each missing split (validation, test, or both) is a stratified tenth of
    the training examples; the draw depends only on the data set's name.

    Args:
        name: name of the data set in TFDS, such as `kmnist`.
        config: name of its configuration, for data sets that have several.
        size: height and width to scale the images to, such as `32x32`; none keeps their size.
        splits: TFDS splits to use for train; train and test; or train, validation and test, such as
            `train-test`. None takes the splits named train, validation and test.
        stream: `yes` decodes the images once into a temporary file (in TMPDIR) and reads them from there while it
            trains, with the same results. `no` keeps them in memory. `auto` streams only what does not fit there.

    Raises:
        DataError: the data set is not prepared, is damaged, has no labelled images, lacks a split, or has
            images of several sizes although `size` is none; or the images fit neither into memory nor on the disk.
    """

    name: str
    config: str | None = None
    size: tuple[int, int] | None = None
    splits: tuple[str, ...] | None = None
    stream: Stream = "auto"

    def __post_init__(self) -> None:
        for part in (self.name, self.config):
            # The name becomes part of a path, which must stay inside the folder of data sets.
            if part is not None and not re.fullmatch(r"\w[\w.-]*", part):
                raise ValueError(f"a TFDS name must have letters, digits and underscores. Received: {part!r}")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"`size` must be two numbers above 0. Received: size={self.size}")
        if self.splits is not None and not 1 <= len(self.splits) <= 3:
            raise ValueError(
                f"`splits` must be train, train-test or train-validation-test. Received: splits={self.splits}"
            )

    def __call__(self) -> Data:
        folder = find(f"{self.name}/{self.config}" if self.config else self.name)
        found = read(folder, self.splits, self.size, self.stream)
        name = f"tfds:{self.name}"
        train, validation, test = _three(name, found.splits, self.splits)
        if train[0].ndim != 4:
            raise damaged(folder, f"images of shape {train[0].shape}")
        mean, std = moments(train[0], (0, 1, 2))
        return Data(
            name,
            *((standardise(x, mean, std), y) for x, y in (train, validation, test)),
            loss=CROSS_ENTROPY,
            metrics=("accuracy",),
            classes=len(found.labels),
            labels=found.labels,
            scaling=(mean, std) if found.dtype == np.uint8 else None,
        )


def _three(name: str, found: dict[str, Split], chosen: tuple[str, ...] | None) -> tuple[Split, Split, Split]:
    """Train, validation and test; missing splits are drawn from train."""
    roles = {2: ("train", "test"), 3: ("train", "validation", "test")}.get(len(chosen or ()), ("train",))
    by_role = {role: found[part] for role, part in zip(roles, chosen, strict=True)} if chosen else found
    if "train" not in by_role:
        raise DataError(
            f"Data set '{name}' must have a split to train on. Received: {', '.join(found) or 'no train split'}. "
            "Name its splits with splits=TRAIN-TEST"
        )
    missing = [role for role in ("validation", "test") if role not in by_role]
    train, *drawn = tenths(*by_role["train"], len(missing), name)
    by_role = by_role | dict(zip(missing, drawn, strict=True))
    return train, by_role["validation"], by_role["test"]
