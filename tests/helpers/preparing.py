"""Image sets as TensorFlow Datasets prepares them, made up here: no network, and no real image."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from kerastickets.foundations.tree import generator


def picture(label, number, shape):
    """An image that tells its label: the first pixel's first channel; the rest is noise of its own."""
    image = generator("picture", label, number).integers(0, 256, shape).astype(np.uint8)
    image[0, 0, 0] = label
    return image


def prepare(
    home: Path,
    name: str,
    sizes: Mapping[str, int],
    labels: list[str],
    shape=(32, 32, 3),
    version="3.0.2",
    features=None,
    stated=None,
):
    """Write the folder `home/name/version` with `sizes` examples by split, labels in turn; returns it."""
    folder = home / name / version
    folder.mkdir(parents=True)
    features = features or tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=stated or shape),
            "label": tfds.features.ClassLabel(names=labels),
        }
    )
    short = name.partition("/")[0]
    for part, size in sizes.items():
        with tf.io.TFRecordWriter(str(folder / f"{short}-{part}.tfrecord-00000-of-00001")) as file:
            for number in range(size):
                label = number % len(labels)
                example = {
                    "image": picture(label, (part, number).__repr__(), shape),
                    "label": label,
                }
                file.write(features.serialize_example(features.encode_example(example)))
    splits = [
        tfds.core.SplitInfo(
            name=part,
            shard_lengths=[size],
            num_bytes=0,
            filename_template=tfds.core.ShardedFileTemplate(
                dataset_name=short, data_dir=folder, split=part, filetype_suffix="tfrecord"
            ),
        )
        for part, size in sizes.items()
    ]
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder), features=features, split_infos=splits, check_data=False
    )
    return folder
