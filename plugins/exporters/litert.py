"""Exporter to LiteRT (formerly TensorFlow Lite), for phones, browsers and microcontrollers."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerastickets.plugin import Data, DataError, ExportError, Ticket, generator
from kerastickets_plugins.exporters.parts import READERS, Served, quiet, raw_inputs, write_archive
from kerastickets_plugins.exporters.sparse_rows import by_rows

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class LiteRT:
    """Write a LiteRT file (`.tflite`). It takes any batch size once its input is resized.

    Args:
        sparse: whether to store mostly-zero weights without their zeros. The file becomes smaller from a
            sparsity of about one half. LiteRT unpacks the weights when it loads the file, so nothing runs
            faster.
        int8: whether to quantise weights and activations to 8-bit integers (full integer quantisation), a
            quarter of the size. Inputs and outputs keep their types.
        raw: whether the export takes raw inputs, as bytes or floats, and standardises them itself.
        calibration: number of training examples from which `int8` learns the ranges of the activations, at
            least 1. They are drawn at random, but are the same every time.

    Raises:
        DataError: `raw` is set and the data was not made of standardised bytes, or `int8` is set without
            data.
        ExportError: LiteRT cannot represent the model.

    Example:
        >>> import tempfile
        >>> from kerastickets.testing import toy_ticket
        >>> facts = LiteRT()(toy_ticket(), Path(tempfile.mkdtemp(), "toy.tflite"))
        >>> facts["input"]
        {'name': 'input_layer', 'shape': [None, 8, 8, 1], 'dtype': 'float32'}

    Reference:
        B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference, section 2 (`int8`).
    """

    suffix: ClassVar[str] = ".tflite"
    reader: ClassVar[Path] = READERS / "litert.py"
    sparse: bool = False
    int8: bool = False
    raw: bool = False
    calibration: int = 200

    def __post_init__(self) -> None:
        if self.sparse and self.int8:
            raise ValueError(
                "`sparse` and `int8` exclude each other: LiteRT's default interpreter does not load files that are "
                "both. Received: sparse=True, int8=True"
            )
        if self.calibration < 1:
            raise ValueError(f"`calibration` must be at least 1. Received: calibration={self.calibration}")

    @property
    def tolerance(self) -> float:
        """The largest allowed difference from the model's outputs, as a fraction of the model's largest output."""
        # An int8 layer cuts off values beyond the range that calibration saw; this affects the largest output most.
        # LeNet-300-100 and a small convolutional net were off by 0.06 on digits, 0.2 on MNIST and 0.3 on CIFAR-10,
        # with accuracies within 0.5 points. An export with a wrong scale or layout is off by more than 0.5.
        return 0.5 if self.int8 else 1e-4

    def inputs(self, x: np.ndarray, data: Data) -> np.ndarray:
        """Convert inputs of the data set to inputs of the export."""
        return raw_inputs(x, data) if self.raw else x

    def __call__(
        self, ticket: Ticket, path: Path, *, model: "keras.Model | None" = None, data: Data | None = None
    ) -> Mapping[str, Any]:
        served = Served.of(ticket, model, data, self.raw)
        examples = self._examples(data) if self.int8 else None
        with tempfile.TemporaryDirectory() as folder:
            try:
                with quiet():
                    write_archive(served, Path(folder, "model"))
                    content = self._converted(
                        Path(folder, "model"), served.single.name if self.int8 else "", examples
                    )
            except Exception as error:  # the converter has no exception class of its own
                raise ExportError(
                    f"LiteRT must be able to represent the model. Received: {_cause(error)}{served.half}. "
                    "Export it as saved-model or onnx."
                ) from error
        path.write_bytes(content)
        return {
            **served.facts(),
            "sparse": self.sparse,
            "int8": self.int8,
            "calibration": 0 if examples is None else len(examples),
        }

    def _examples(self, data: Data | None) -> np.ndarray:
        """Training examples for calibration; test examples would leak into the weights."""
        if data is None:
            raise DataError(
                "int8=true needs a data set, to learn ranges from its training examples. Received: no data."
            )
        x = data.train[0]
        chosen = generator("litert", "calibration").permutation(len(x))[: self.calibration]
        return self.inputs(x[chosen], data)

    def _converted(self, model: Path, name: str, examples: np.ndarray | None) -> bytes:
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_saved_model(str(model), signature_keys=["serve"])
        if self.sparse:
            plain = converter.convert()
            converter = tf.lite.TFLiteConverter.from_saved_model(str(model), signature_keys=["serve"])
            converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
            return by_rows(converter.convert(), plain)
        if examples is not None:

            def representative() -> Iterator[dict[str, np.ndarray]]:
                yield from ({name: example[None]} for example in examples)

            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = representative
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return converter.convert()


def _cause(error: Exception) -> str:
    """The reason why the converter failed, in one line."""
    # The converter buries the operation's name in a page-long location in its own graph.
    if operation := re.search(r'fused\["(\w+):"', str(error)):
        return f"{operation[1]}, an operation that it lacks or cannot resize"
    return " ".join(str(error).split())[:300] or type(error).__name__
