"""Exporter to ONNX, the format that most other runtimes read."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerastickets.plugin import Data, ExportError, Ticket
from kerastickets_plugins.exporters.frozen_graph import frozen_graph
from kerastickets_plugins.exporters.parts import READERS, Served, quiet

if TYPE_CHECKING:
    import keras

_NEEDED = ("tf2onnx", "onnx")


@dataclass(frozen=True)
class Onnx:
    """Write an ONNX file with the graph and all weights, including zeros.

    The exporter uses tf2onnx. The inputs have the model's names for them; the outputs are `output_0`, ...

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
                content = _converted(served)
        except ExportError:
            raise
        except Exception as error:  # tf2onnx may raise any exception
            raise _refused(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
        path.write_bytes(content)
        return served.facts()


def _converted(served: Served) -> bytes:
    import onnx
    import tf2onnx
    from keras.src.export.tf2onnx_lib import patch_tf2onnx

    patch_tf2onnx()  # what Keras's own export does, for NumPy 2
    frozen = frozen_graph(served)
    names = [one.name for one in served.inputs]
    renamed = dict(zip([*frozen.inputs, *frozen.outputs], [*names, *frozen.names], strict=True))
    model, _ = tf2onnx.convert.from_graph_def(
        frozen.graph, input_names=frozen.inputs, output_names=frozen.outputs, tensors_to_rename=renamed
    )
    unknown = {
        node.op_type for node in model.graph.node if not node.domain and not onnx.defs.has(node.op_type)
    }
    if unknown:
        raise _refused(f"{', '.join(sorted(unknown))}, which ONNX lacks{served.half}")
    content: bytes = model.SerializeToString()
    return content


def _refused(received: str) -> ExportError:
    return ExportError(
        f"ONNX must be able to represent the model. Received: {received}. Export it as saved-model or litert."
    )


@contextlib.contextmanager
def _old_names() -> Iterator[None]:
    """Define `np.object`, which tf2onnx needs and NumPy 2 lacks, and remove it afterwards."""
    there = "object" in vars(np)
    vars(np)["object"] = object
    try:
        yield
    finally:
        if not there:
            del vars(np)["object"]
