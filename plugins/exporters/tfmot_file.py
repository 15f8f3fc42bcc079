"""Exporter to TensorFlow Model Optimization: a model for its tools, or its int8 file, in which zeros stay zero."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.plugin import Data, DataError, ExportError, Ticket, generator
from kerastickets_plugins.exporters.parts import READERS, Served
from kerastickets_plugins.exporters.tfmot_plan import refused, write_plan

if TYPE_CHECKING:
    import keras

_WRITER = Path(__file__).with_name("tfmot_writer.py")
_EXAMPLES = 4096


@dataclass(frozen=True)
class Tfmot:
    """Write an H5 file of a tf_keras (Keras 2) model for TensorFlow Model Optimization.

    With `int8`, write a LiteRT file instead.

    `tf_keras.models.load_model` loads the model for `quantize_apply`, `cluster_weights` or LiteRT's
    converter. TFMOT's guides save H5 files, and every `tf.keras` since TensorFlow 2.0 loads them. A `.keras`
    file of tf_keras would look like a Keras 3 file but would not load there. TFMOT runs in a separate
    process, because importing it switches `tf.keras` to tf_keras; the calling process stays unchanged.

    Args:
        wrapped: whether to keep TFMOT's pruning wrappers around the layers, with exactly the ticket's masks,
            for further training. Load the file within `tfmot.sparsity.keras.prune_scope()` and fit with
            TFMOT's `UpdatePruningStep`. In layers that TFMOT does not prune, pruned weights start at zero but
            may change in training; the report lists these weights under `unguarded`.
        int8: whether to write a LiteRT file with TFMOT's prune-preserving quantisation. Inputs and outputs
            stay float32. The report has the fraction of pruned weights that are zero in the file, by key.
        steps: number of batches of 128 training examples for fine-tuning, at least 0; for `int8` only.
            Fine-tuning imitates the model's own outputs, not the labels, because the export must compute what
            the model does.
        seed: random seed for the choice of these examples; for `int8` only.

    Raises:
        ExportError: tf_keras lacks a layer, TFMOT cannot quantise a layer, or the model has an operation that
            is not a layer; the message lists them.
        DataError: `int8` is set without data.

    Example:
        >>> Tfmot().suffix, Tfmot(int8=True).suffix
        ('.h5', '.tflite')

    Reference:
        M. Zhu, S. Gupta, To prune, or not to prune, section 3 (what TFMOT implements). B. Jacob et al.,
        Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, section 3.
    """

    wrapped: bool = False
    int8: bool = False
    steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.wrapped and self.int8:
            raise ValueError(
                "`wrapped` and `int8` exclude each other: LiteRT has no wrappers. Received: wrapped=True, int8=True"
            )
        if self.steps < 0:
            raise ValueError(f"`steps` must be at least 0. Received: steps={self.steps}")

    @property
    def suffix(self) -> str:
        """The suffix of the file's name."""
        return ".tflite" if self.int8 else ".h5"

    @property
    def reader(self) -> Path:
        """The script that runs the file."""
        return READERS / ("litert.py" if self.int8 else "tfmot_file.py")

    @property
    def tolerance(self) -> float:
        """The largest allowed difference from the model's outputs, as a fraction of the model's largest output."""
        return 0.2 if self.int8 else 1e-5

    def __call__(
        self, ticket: Ticket, path: Path, *, model: "keras.Model | None" = None, data: Data | None = None
    ) -> Mapping[str, Any]:
        served = Served.of(ticket, model, data)
        _ = served.single  # TFMOT wraps models with one input
        with tempfile.TemporaryDirectory() as folder:
            write_plan(served.model, ticket, Path(folder), self._examples(data) if self.int8 else None)
            told = self._written(Path(folder), path)
        if layers := told.pop("refused", None):
            raise refused(layers, quantising=told["quantising"])
        return {**served.facts(), "wrapped": self.wrapped, "int8": self.int8, **told}

    def _examples(self, data: Data | None) -> np.ndarray:
        if data is None:
            raise DataError(
                "int8=true needs a data set, to learn from its training examples. Received: no data."
            )
        x = data.train[0]
        return x[generator("tfmot", self.seed).permutation(len(x))[:_EXAMPLES]].astype("float32")

    def _written(self, folder: Path, path: Path) -> dict[str, Any]:
        """Let the other process write the file; returns the facts that it printed."""
        options = {
            "wrapped": self.wrapped,
            "int8": self.int8,
            "steps": self.steps if self.int8 else 0,
            "seed": self.seed,
        }
        command = [sys.executable, "-I", str(_WRITER), str(folder), str(path.absolute()), json.dumps(options)]
        environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
            raise ExportError(
                f"TFMOT must be able to represent the model. Received: exit code {done.returncode}, {said}. "
                "Export it as litert or saved-model."
            )
        return json.loads(done.stdout.strip().splitlines()[-1])
