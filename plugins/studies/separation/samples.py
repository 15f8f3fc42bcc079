"""What the data sets look like: points and images, in rows as everything that figures show."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kerastickets import registry
from kerastickets_plugins.studies.separation.jobs import TASKS

Row = dict[str, Any]

_POINTS = 400
_IMAGES = 7


def samples(dataset: str) -> Iterator[Row]:
    """Some training examples of a data set with two tasks: for each task its inputs, and the labels of both."""
    if len(TASKS[dataset]) < 2:
        return
    data = registry.create("datasets", dataset)()
    count = _POINTS if dataset == "moons-circles" else _IMAGES
    x, y = data.train[0][:count], np.asarray(data.train[1][:count])
    flat = x.reshape(count, -1)
    for number, (name, task) in enumerate(data.tasks.items()):
        values = flat[:, list(task.inputs)]
        yield {
            "kind": "sample",
            "dataset": dataset,
            "task": name,
            "inputs": np.round(values.astype(float), 2).tolist(),
            "labels": y[:, number].astype(int).tolist(),
            "other_labels": y[:, 1 - number].astype(int).tolist(),
        }
