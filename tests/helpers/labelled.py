"""A data set with labels for two tasks."""

import numpy as np

from kerastickets import CROSS_ENTROPY, Data, Task, task_cross_entropy
from kerastickets.data.metrics import TaskAccuracy


def two_tasks(count=60):
    x = np.random.default_rng(0).normal(size=(count, 4)).astype("float32")
    y = np.stack([np.arange(count) % 2, np.arange(count) % 3], 1)
    x[:, 0] += 2 * y[:, 0]
    tasks = {
        "left": Task((0, 1), (0, 1), CROSS_ENTROPY),
        "right": Task((2, 3), (2, 3, 4), CROSS_ENTROPY),
    }
    metrics = (lambda: TaskAccuracy((2, 3)), lambda: TaskAccuracy((2, 3), 0, name="left_accuracy"))
    split = x, y
    return Data("two", split, split, split, task_cross_entropy(2, 3), metrics, classes=(2, 3), tasks=tasks)
