"""Verify an export: run it in a separate process and compare its outputs with the model's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerastickets.data.dataset import BINARY_CROSS_ENTROPY, Data
from kerastickets.data.splits import rows, size
from kerastickets.errors import DataError, ExportError
from kerastickets.foundations.structure import is_nested, leaves, map_leaves
from kerastickets.foundations.tree import generator

if TYPE_CHECKING:
    import keras

#: The largest number of examples to compare, and the number of random examples to use without data.
MOST, MADE_UP = 10_000, 64
_BATCH = 500


def examples(model: "keras.Model", data: Data | None) -> Any:
    """The inputs on which to verify an export.

    Args:
        model: the model to export; gives the input shapes if there is no data.
        data: gives its first test examples, at most 10 000. Without data, 64 standard-normal examples are
            used, the same in every call; integer inputs are 0 or 1.

    Returns:
        Inputs `(n, ...)`; for several inputs, arrays in the structure that the model takes.

    Raises:
        DataError: there is no data, and the model does not state its input shapes.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> examples(toy_ticket().build(), None).shape
        (64, 8, 8, 1)
    """
    from kerastickets.models.label_fit import arranged, input_specs
    from kerastickets.models.open_sizes import open_size

    if data is not None:
        return arranged(model, rows(data.test[0], slice(MOST)))
    specs = input_specs(model)
    if specs is None:
        raise DataError(
            f"A model without an input shape must be verified on data. Received: a {type(model).__name__} and no "
            "data. Give a data set."
        )
    several, free = is_nested(specs) and len(leaves(specs)) > 1, open_size(model)
    return map_leaves(lambda spec: _made_up(spec, free, *([spec.name] if several else [])), specs)


def _made_up(spec: Any, free: int, *name: str) -> np.ndarray:
    shape = (MADE_UP, *(size or free for size in spec.shape[1:]))
    random = generator("export", *name, *shape)
    # Integer inputs are indices, such as word numbers. 0 and 1 are valid in any vocabulary.
    whole = "int" in str(spec.dtype)
    return (random.integers(0, 2, shape) if whole else random.standard_normal(shape)).astype("float32")


def outputs_of(model: "keras.Model", x: Any) -> np.ndarray:
    """What a model makes of inputs `x`, as float32 `(n, outputs)`; computed without XLA, in batches.

    Several outputs stand side by side, in the order of Keras.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> outputs_of(toy_ticket().build(), toy_data().test[0]).shape
        (30, 10)
    """
    import tensorflow as tf

    signature = [map_leaves(lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), x)]
    run = tf.function(lambda part: model(part, training=False), input_signature=signature)
    count = size(x)
    parts = [_flat(run(rows(x, slice(at, at + _BATCH)))) for at in range(0, count, _BATCH)]
    return np.concatenate(parts)


def _flat(outputs: Any) -> np.ndarray:
    import tensorflow as tf

    arrays = [np.asarray(output, "float32") for output in tf.nest.flatten(outputs)]
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


class Reading(NamedTuple):
    """The result of a reader: outputs `(n, outputs)`, the runtime's name, and the peak memory in bytes."""

    outputs: np.ndarray
    runtime: str
    peak_bytes: int


def read_back(reader: Path, path: Path, x: Any, folder: Path) -> Reading:
    """Run an export in a separate, isolated process (`python -I`) and in another working folder.

    Args:
        reader: the exporter's script, see `kerastickets.plugin.Exporter`.
        path: the export.
        x: inputs in the form that the export takes; several as a dict from their names to arrays.
        folder: an empty folder; the process runs there and writes its outputs there.

    Raises:
        ExportError: the reader fails, or its output is incomplete. The message has the last line of its
            stderr.
    """
    several = isinstance(x, dict)
    given, made = folder.absolute() / ("in.npz" if several else "in.npy"), folder.absolute() / "out.npy"
    if several:
        np.savez(given, **x)
    else:
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
    """The largest absolute difference between the outputs of a model and of its export.

    Args:
        expected: outputs of the model, `(n, outputs)`.
        received: outputs of the export.
        tolerance: largest allowed difference, as a fraction of the model's largest absolute output.

    Raises:
        ExportError: the difference is larger or not a number, or the shapes differ.

    Example:
        >>> largest_difference(np.array([[1.0, -4.0]]), np.array([[1.0, -3.5]]), tolerance=0.2)
        0.5
    """
    if not np.isfinite(expected).all():
        raise ExportError(
            "The model's own outputs must be finite. Received: NaN or infinite outputs. Train the ticket again."
        )
    if expected.shape != received.shape:
        raise ExportError(
            f"The export must give outputs of shape {expected.shape}. Received: {received.shape}. "
            "Nothing was written."
        )
    difference = float(np.abs(expected - received).max(initial=0))
    allowed = tolerance * float(np.abs(expected).max(initial=0))
    if not difference <= allowed:  # also true if the difference is NaN
        raise ExportError(
            f"The export's outputs must equal the model's within {allowed:.3g} ({tolerance:g} of its largest output). "
            f"Received: a difference of {difference:.3g}. Nothing was written; use other options or another format."
        )
    return difference


def accuracy(
    outputs: np.ndarray,
    data: Data | None,
    probabilities: bool,
    classes: int | None = None,
    counted: np.ndarray | None = None,
) -> float | None:
    """The accuracy on the first test examples, in [0, 1]; None if the data has no right answers.

    Args:
        outputs: outputs `(n, outputs)` for the first n test examples.
        data: a data set with classes (for one or several tasks) or with yes-or-no targets. None, or data with
            any other target or with labels for several outputs, gives None.
        probabilities: whether a single unit for two classes, or a yes-or-no output, is a probability and no logit.
        classes: the number of classes if the data does not declare it.
        counted: True for each label that counts, where the net masks padding; None if all count.

    Example:
        >>> from kerastickets.testing import toy_data
        >>> accuracy(np.eye(10)[toy_data().test[1]], toy_data(), probabilities=False)
        1.0
    """
    if data is None or is_nested(data.test[1]):
        return None
    y: Any = data.test[1][: len(outputs)]
    above = 0.5 if probabilities else 0
    if isinstance(data.classes, int) or classes:
        each = outputs.reshape(y.size, -1)
        predicted = each[:, 0] > above if each.shape[1] == 1 else each.argmax(1)
        right = predicted == y.reshape(-1)
        return float((right if counted is None else right[np.broadcast_to(counted, y.shape).ravel()]).mean())
    if data.classes is not None:
        tasks = np.split(outputs, np.cumsum(data.classes)[:-1], axis=1)
        return float(np.mean([task.argmax(1) == y[:, n] for n, task in enumerate(tasks)]))
    if data.loss in (BINARY_CROSS_ENTROPY, "binary_crossentropy"):
        return float(((outputs > above) == (y.reshape(outputs.shape) > 0.5)).mean())
    return None
