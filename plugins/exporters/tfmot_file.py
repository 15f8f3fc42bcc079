"""TensorFlow Model Optimization's own model, for its tools; and its int8 file, whose zeros stay zeros."""

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
    """An H5 file of a tf_keras model (Keras 2), for TensorFlow Model Optimization; with `int8`, a LiteRT file.

    `tf_keras.models.load_model` gives the model for `quantize_apply`, `cluster_weights` or LiteRT's converter. H5
    is what TFMOT's guides save and every `tf.keras` since TensorFlow 2.0 loads; a `.keras` file of tf_keras would
    look like one of Keras 3 and not load there. TFMOT runs in a process of its own, since importing it turns
    `tf.keras` over to tf_keras; this one stays as it is.

    Args:
        wrapped: whether TFMOT's pruning wrappers stay around the layers, under exactly the ticket's masks, to train
            on: load it within `tfmot.sparsity.keras.prune_scope()`, fit with its `UpdatePruningStep`. Weights of
            layers that TFMOT does not prune are zero where the ticket prunes them, but nothing keeps them so; the
            report lists them under `unguarded`.
        int8: whether to write a LiteRT file of TFMOT's prune-preserving quantisation. Inputs and outputs stay
            float32. The report has the share of pruned weights that are zero in the file, by key.
        steps: with `int8`, batches of 128 training examples to fine-tune on, at least 0. What is learned is the
            model's own outputs, not the labels: the export is to compute what the model does.
        seed: with `int8`, keys which examples those are.

    Raises:
        ExportError: a layer that tf_keras lacks, or TFMOT cannot quantise, or an operation that is no layer; lists
            them.
        DataError: `int8` without data.

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
        """How the file's name ends."""
        return ".tflite" if self.int8 else ".h5"

    @property
    def reader(self) -> Path:
        """The script that runs the file."""
        return READERS / ("litert.py" if self.int8 else "tfmot_file.py")

    @property
    def tolerance(self) -> float:
        """How far outputs may be from the model's, as a share of its largest."""
        return 0.2 if self.int8 else 1e-5

    def __call__(
        self, ticket: Ticket, path: Path, *, model: "keras.Model | None" = None, data: Data | None = None
    ) -> Mapping[str, Any]:
        served = Served.of(ticket, model, data)
        with tempfile.TemporaryDirectory() as folder:
            write_plan(served.model, ticket, Path(folder), self._examples(data) if self.int8 else None)
            told = self._written(Path(folder), path)
        if layers := told.pop("refused", None):
            raise refused(layers, quantising=told["quantising"])
        return {**served.facts(), "wrapped": self.wrapped, "int8": self.int8, **told}

    def _examples(self, data: Data | None) -> np.ndarray:
        if data is None:
            raise DataError(
                "int8=true needs data, whose training examples it learns from. Received: no data."
            )
        x = data.train[0]
        return x[generator("tfmot", self.seed).permutation(len(x))[:_EXAMPLES]].astype("float32")

    def _written(self, folder: Path, path: Path) -> dict[str, Any]:
        """Have the other process write the file; what it told."""
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
                f"TFMOT must have a form for the model. Received: exit code {done.returncode}, {said}. "
                "Export it as litert or saved-model."
            )
        return json.loads(done.stdout.strip().splitlines()[-1])
