"""Nets whose structure can be worked out by hand, and data of two tasks for them."""

import numpy as np

from kerastickets import Data, Task, Ticket


def mlp(*masks: list[list[int]]) -> Ticket:
    """A net of dense layers with these masks."""
    kernels = [np.array(mask, bool) for mask in masks]
    names = ["dense", *(f"dense_{n}" for n in range(1, len(kernels)))]
    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, len(masks[0])], "name": "input_layer"}}
    ]
    layers += [{"class_name": "Dense", "config": {"name": name, "activation": "relu"}} for name in names]
    weights = {f"{name}/kernel": np.ones(k.shape, "float32") for name, k in zip(names, kernels, strict=True)}
    biases = {f"{name}/bias": np.zeros(k.shape[1], "float32") for name, k in zip(names, kernels, strict=True)}
    return Ticket(
        {"class_name": "Sequential", "module": "keras", "config": {"name": "sequential", "layers": layers}},
        {f"{name}/kernel": kernel for name, kernel in zip(names, kernels, strict=True)},
        {"init": weights | biases},
    )


def two_tasks() -> Data:
    """Inputs 0, 1 and output 0 are task a's, the others task b's."""
    x, y = np.zeros((2, 4)), np.zeros((2, 2))
    tasks = {"a": Task((0, 1), (0,), "mse"), "b": Task((2, 3), (1,), "mse")}
    return Data("two", (x, y), (x, y), (x, y), "mse", (), classes=None, tasks=tasks)


# Two parts that share nothing: inputs 0 and 1 lead to output 0, inputs 2 and 3 to output 1.
APART = mlp([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]], [[1, 0], [1, 0], [0, 1], [0, 0]])
