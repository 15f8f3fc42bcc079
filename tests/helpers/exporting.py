"""A small convolutional net that is right about digits without training, and a process that runs readers alone."""

import json
import subprocess
import sys

import keras
import numpy as np

from kerastickets import registry
from kerastickets.models.initial_weights import fresh

# One process for many readers: each would import TensorFlow again.
_ALONE = """import json, runpy, sys
for reader, *arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    runpy.run_path(reader, run_name="__main__")
assert not [name for name in sys.modules if name.startswith("kerastickets")]
"""


def digits():
    return registry.create("datasets", "digits")()


def conv_net(data):
    """Random features, and above them a linear regression on the classes, half of whose weights are zero."""
    layers = keras.layers

    def build():
        body = [layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU(), layers.DepthwiseConv2D(3)]
        rest = [layers.Dropout(0.3), layers.Flatten(), layers.Dense(10)]
        return keras.Sequential([keras.Input((8, 8, 1)), *body, *rest])

    model = fresh(build, 0)
    x, y = data.train
    features = keras.Sequential(model.layers[:-1]).predict(x, verbose=0)
    size = features.std(0)
    kept = np.random.default_rng(0).random((features.shape[1], 10)) < 0.5
    kernel = np.zeros(kept.shape, "float32")
    for label, rows in enumerate(kept.T):
        part = features[:, rows] / size[rows]
        gram = part.T @ part + np.eye(rows.sum())
        kernel[rows, label] = np.linalg.solve(gram, part.T @ (y == label)) / size[rows]
    model.layers[-1].set_weights([10 * kernel, np.zeros(10)])
    return model


def read_alone(jobs, folder):
    """What readers print and save, run one after another where nothing of ours is loaded.

    Args:
        jobs: of each the reader, the export and its inputs.
        folder: where to put arrays.
    """
    calls = []
    for number, (reader, path, x) in enumerate(jobs):
        given, made = folder / f"in{number}.npy", folder / f"out{number}.npy"
        np.save(given, x)
        calls.append([str(part) for part in (reader, path, given, made)])
    done = subprocess.run(
        [sys.executable, "-I", "-c", _ALONE, json.dumps(calls)], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return [(facts, np.load(made)) for facts, (*_, made) in zip(told, calls, strict=True)]
