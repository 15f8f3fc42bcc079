"""Exporter to ONNX, the format that most other runtimes read."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerastickets.plugin import Data, ExportError, Ticket
from kerastickets_plugins.exporters.parts import READERS, Served, quiet

if TYPE_CHECKING:
    import keras

_NEEDED = ("tf2onnx", "onnx")


@dataclass(frozen=True)
class Onnx:
    """Write an ONNX file with the graph and all weights, including zeros.

    The exporter uses Keras's own export and tf2onnx.

    Raises:
        ExportError: tf2onnx or onnx is not installed, or tf2onnx cannot represent the model.
    """

    suffix: ClassVar[str] = ".onnx"
    needs: ClassVar[tuple[str, ...]] = ("tf2onnx", "onnx", "onnxruntime")
    reader: ClassVar[Path] = READERS / "onnx_file.py"

    def __call__(
        self, ticket: Ticket, path: Path, *, model: "keras.Model | None" = None, data: Data | None = None
    ) -> Mapping[str, Any]:
        if missing := [name for name in _NEEDED if find_spec(name) is None]:
            raise ExportError(
                f"The format onnx needs tf2onnx and onnx. Received: no {' and no '.join(missing)}. "
                "Install them: pip install 'kerastickets[export]'"
            )
        served = Served.of(ticket, model, data)
        try:
            with quiet(), _old_names():
                served.model.export(path, format="onnx", verbose=False, input_signature=served.signature)
        except Exception as error:  # tf2onnx may raise any exception
            raise ExportError(
                f"ONNX must be able to represent the model. Received: {type(error).__name__}: {str(error)[:300]}. "
                "Export it as saved-model or litert."
            ) from error
        _name_outputs(path)
        return served.facts()


def _name_outputs(path: Path) -> None:
    """Rename outputs to `output_0`, ..., as in the other formats; tf2onnx names them after the last operation."""
    import onnx

    model = onnx.load(path)
    new = {end.name: f"output_{n}" for n, end in enumerate(model.graph.output)}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new.get(name, name) for name in names]
    for end in model.graph.output:
        end.name = new[end.name]
    onnx.save(model, path)


@contextlib.contextmanager
def _old_names() -> Iterator[None]:
    """Define `np.object`, which tf2onnx needs and NumPy 2 lacks, and remove it afterwards.

    Keras's export defines it too, but would leave it there for good.
    """
    there = "object" in vars(np)
    vars(np)["object"] = object
    try:
        yield
    finally:
        if not there:
            del vars(np)["object"]
