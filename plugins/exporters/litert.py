"""LiteRT, formerly TensorFlow Lite: for phones, browsers and microcontrollers."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerastickets.plugin import Data, DataError, ExportError, Ticket, generator
from kerastickets_plugins.exporters.parts import READERS, Served, quiet, raw_bytes, write_archive
from kerastickets_plugins.exporters.sparse_rows import by_rows

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class LiteRT:
    """A LiteRT file (`.tflite`), which takes any batch size once its input is resized.

    Args:
        sparse: whether weights that are mostly zero are stored without their zeros. Smaller from about half
            sparse on; LiteRT unpacks them when it loads the file, so nothing runs faster.
        int8: whether weights and what layers pass on are bytes, a quarter of the size: full integer
            quantisation. Inputs and outputs stay as they are.
        raw: whether images go in raw, as uint8, and are standardised inside.
        calibration: how many training examples, drawn at random and always the same, tell `int8` the ranges
            of what layers pass on.

    Raises:
        DataError: `raw` without data that were bytes, or `int8` without data.
        ExportError: LiteRT has no form for the model.

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
        """How far outputs may be from the model's, as a share of its largest."""
        # An int8 layer cuts off what is beyond the range that calibration saw, and the largest output most of all:
        # LeNet-300-100 and a small convolutional net were off by 0.06 on digits, 0.2 on MNIST, 0.3 on CIFAR-10, at
        # accuracies within 0.5 points. An export with a wrong scale or layout is off by more than this.
        return 0.5 if self.int8 else 1e-4

    def inputs(self, x: np.ndarray, data: Data) -> np.ndarray:
        """What the export takes for inputs of the data set."""
        return raw_bytes(x, data) if self.raw else x

    def __call__(
        self, ticket: Ticket, path: Path, *, model: "keras.Model | None" = None, data: Data | None = None
    ) -> Mapping[str, Any]:
        served = Served.of(ticket, model, data, self.raw)
        examples = self._examples(data) if self.int8 else None
        with tempfile.TemporaryDirectory() as folder:
            try:
                with quiet():
                    write_archive(served, Path(folder, "model"))
                    content = self._converted(Path(folder, "model"), served.name, examples)
            except Exception as error:  # the converter has no class of its own
                raise ExportError(
                    f"LiteRT must have a form for the model. Received: {_cause(error)}. "
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
        """Training examples to calibrate with: test ones would leak into the weights."""
        if data is None:
            raise DataError(
                "int8=true needs data, whose training examples tell the ranges. Received: no data."
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
    """What the converter could not do, in one line."""
    # It names the operation inside the place in its own graph, which is a page long.
    if operation := re.search(r'fused\["(\w+):"', str(error)):
        return f"{operation[1]}, an operation that it lacks or cannot resize"
    return " ".join(str(error).split())[:300] or type(error).__name__
