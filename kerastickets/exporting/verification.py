"""Whether an export computes what its model does: another process reads it back, and its outputs are compared."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerastickets.data.dataset import BINARY_CROSS_ENTROPY, Data
from kerastickets.errors import DataError, ExportError
from kerastickets.foundations.tree import generator

if TYPE_CHECKING:
    import keras

#: How many examples are compared at most, and how many are made up where there are none.
MOST, MADE_UP = 10_000, 64
_BATCH = 500
#: What a size that the model leaves open is taken as.
_OPEN = 32


def examples(model: "keras.Model", data: Data | None) -> np.ndarray:
    """The inputs that an export is verified on.

    Args:
        model: whose inputs they are.
        data: its test examples are taken, at most 10 000; without it 64 examples of standard-normal numbers,
            always the same, are.

    Returns:
        Float32 inputs `(n, ...)`.

    Raises:
        DataError: neither data nor a model that says what its inputs look like.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> examples(toy_ticket().build(), None).shape
        (64, 8, 8, 1)
    """
    if data is not None:
        return data.test[0][:MOST]
    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise DataError(
            f"A model without an input shape must be verified on data. Received: a {type(model).__name__} and no "
            "data. Give a data set."
        )
    shape = (MADE_UP, *(size or _OPEN for size in tensors[0].shape[1:]))
    random = generator("export", *shape)
    # Whole numbers are numbers of something, such as words: few enough to be known everywhere.
    whole = "int" in str(tensors[0].dtype)
    return (random.integers(0, 2, shape) if whole else random.standard_normal(shape)).astype("float32")


def outputs_of(model: "keras.Model", x: np.ndarray) -> np.ndarray:
    """What a model makes of inputs `x`, as float32 `(n, outputs)`; computed without XLA, in batches.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> outputs_of(toy_ticket().build(), toy_data().test[0]).shape
        (30, 10)
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *x.shape[1:]), tf.float32)]
    run = tf.function(lambda part: model(part, training=False), input_signature=signature)
    parts = [np.asarray(run(x[at : at + _BATCH]), "float32") for at in range(0, len(x), _BATCH)]
    whole = np.concatenate(parts)
    return whole.reshape(len(whole), -1)


class Reading(NamedTuple):
    """What a reader makes of an export: outputs `(n, outputs)`, its runtime, and its memory at most in bytes."""

    outputs: np.ndarray
    runtime: str
    peak_bytes: int


def read_back(reader: Path, path: Path, x: np.ndarray, folder: Path) -> Reading:
    """Run an export in a process of its own, isolated (`python -I`) and in another folder.

    Args:
        reader: the exporter's script, see `kerastickets.plugin.Exporter`.
        path: the export.
        x: inputs as the export takes them.
        folder: an empty folder, where the process runs and puts its outputs.

    Raises:
        ExportError: the reader fails, or does not say what it must; with the last line of its stderr.
    """
    given, made = folder.absolute() / "in.npy", folder.absolute() / "out.npy"
    np.save(given, x)
    command = [sys.executable, "-I", str(reader), str(path.absolute()), str(given), str(made)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    said = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
    if done.returncode:
        raise ExportError(
            f"The export must be readable by {reader.name}. Received: exit code {done.returncode}, {said}"
        )
    try:
        facts = json.loads(done.stdout.strip().splitlines()[-1])
        runtime, peak = str(facts["runtime"]), int(facts["peak_bytes"])
        outputs = np.load(made, allow_pickle=False).astype("float32")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ExportError(
            f"{reader.name} must save its outputs and print one JSON object with runtime and peak_bytes. "
            f"Received: {type(error).__name__}: {error}; {said}"
        ) from error
    return Reading(outputs.reshape(len(outputs), -1) if outputs.ndim else outputs, runtime, peak)


def largest_difference(expected: np.ndarray, received: np.ndarray, tolerance: float) -> float:
    """The largest absolute difference between a model's outputs and its export's.

    Args:
        expected: the model's, `(n, outputs)`.
        received: the export's.
        tolerance: how large it may be, as a share of the largest absolute output of the model.

    Raises:
        ExportError: it is larger, or is no number, or the shapes differ.

    Example:
        >>> largest_difference(np.array([[1.0, -4.0]]), np.array([[1.0, -3.5]]), tolerance=0.2)
        0.5
    """
    if not np.isfinite(expected).all():
        raise ExportError(
            "The model's own outputs must be finite to be compared. Received: others. Train the ticket again."
        )
    if expected.shape != received.shape:
        raise ExportError(
            f"The export must give outputs of shape {expected.shape}. Received: {received.shape}. "
            "Nothing was written."
        )
    difference = float(np.abs(expected - received).max(initial=0))
    allowed = tolerance * float(np.abs(expected).max(initial=0))
    if not difference <= allowed:  # NaN is not, either
        raise ExportError(
            f"The export must compute what the model does, to {allowed:.3g} ({tolerance:g} of its largest output). "
            f"Received: a difference of {difference:.3g}. Nothing was written; use other options or another format."
        )
    return difference


def accuracy(outputs: np.ndarray, data: Data | None, probabilities: bool) -> float | None:
    """The share of right answers on the first test examples, in [0, 1]; None where there are none to be right.

    Args:
        outputs: `(n, outputs)` for the first n test examples.
        data: classes, one or several tasks of them, or yes-or-no targets; None, or any other target, gives None.
        probabilities: whether yes-or-no outputs are probabilities rather than logits.

    Example:
        >>> from kerastickets.testing import toy_data
        >>> accuracy(np.eye(10)[toy_data().test[1]], toy_data(), probabilities=False)
        1.0
    """
    if data is None:
        return None
    y: Any = data.test[1][: len(outputs)]
    if isinstance(data.classes, int):
        return float((outputs.argmax(1) == y).mean())
    if data.classes is not None:
        tasks = np.split(outputs, np.cumsum(data.classes)[:-1], axis=1)
        return float(np.mean([task.argmax(1) == y[:, n] for n, task in enumerate(tasks)]))
    if data.loss in (BINARY_CROSS_ENTROPY, "binary_crossentropy"):
        return float(((outputs > (0.5 if probabilities else 0)) == (y.reshape(outputs.shape) > 0.5)).mean())
    return None
