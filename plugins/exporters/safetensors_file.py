"""Exporter to the smallest file: it stores only the kept weights and their positions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from kerastickets.plugin import Data, Ticket, canonical
from kerastickets_plugins.exporters.parts import READERS, Served
from kerastickets_plugins.exporters.plain import plain_copy

if TYPE_CHECKING:
    import keras

FORMAT, VERSION = "kerastickets.weights", 1


@dataclass(frozen=True)
class SafeTensors:
    """Write a safetensors file with the kept weights and the architecture.

    A few lines of NumPy make it dense again.

    A weight of rank above 1 that contains zeros is stored sparsely. `KEY:values` holds its nonzero values.
    Their positions in C order are stored in the smaller of two forms. `KEY:mask` has one bit per weight.
    `KEY:gaps` has one byte per stored value: its distance from the previous stored value. Where a distance is
    above 255, zeros are stored in between. A weight that would not become smaller is stored unchanged, as
    `KEY`. Equal models give equal bytes.

    The only metadata entry, `kerastickets`, is JSON. It has `format`, `version`, `architecture` (for
    `keras.saving.deserialize_keras_object`) and `weights`: the `key`, `shape` and `encoding` (`dense`, `mask`
    or `gaps`) of each weight, in the order of the model's `set_weights`.

    Raises:
        KerasTicketsError: the model needs a class that is not Keras's own. The message names the class, and
            the formats that do not need it.

    Example:
        >>> import tempfile
        >>> from kerastickets.testing import toy_ticket
        >>> facts = SafeTensors()(toy_ticket(), Path(tempfile.mkdtemp(), "toy.safetensors"))
        >>> facts["encodings"]
        {'dense/kernel': 'mask', 'dense/bias': 'dense', 'dense_1/kernel': 'mask', 'dense_1/bias': 'dense'}

    Reference:
        S. Han, H. Mao, W. J. Dally, Deep Compression, section 2: positions as differences, filled with zeros
        where they are too large.
    """

    suffix: ClassVar[str] = ".safetensors"
    reader: ClassVar[Path] = READERS / "safetensors_file.py"

    def __call__(
        self, ticket: Ticket, path: Path, *, model: "keras.Model | None" = None, data: Data | None = None
    ) -> Mapping[str, Any]:
        from safetensors.numpy import save_file

        from kerastickets.plugin import snapshot, variables

        served = Served.of(ticket, model, data)
        copy, architecture = plain_copy(served.model)
        values, keys = snapshot(copy), {id(variable): key for key, variable in variables(copy).items()}
        # The order of `set_weights` is Keras's own.
        encoded = {key: encode(values[key]) for key in (keys[id(weight)] for weight in copy.weights)}
        weights = [
            {"key": key, "shape": [*values[key].shape], "encoding": each.encoding}
            for key, each in encoded.items()
        ]
        about = {"format": FORMAT, "version": VERSION, "architecture": architecture, "weights": weights}
        tensors = {
            f"{key}{part}": array for key, each in encoded.items() for part, array in each.parts.items()
        }
        # Write one metadata entry only, because safetensors writes several entries in random order.
        save_file({name: tensors[name] for name in sorted(tensors)}, path, {"kerastickets": canonical(about)})
        stored = sum(array.nbytes for array in tensors.values())
        return {
            **served.facts(),
            "encodings": {key: each.encoding for key, each in encoded.items()},
            "tensor_bytes": stored,
            "header_bytes": path.stat().st_size - stored,
        }


class Encoded(NamedTuple):
    """One weight in stored form: the name of the encoding, and arrays by the suffix that follows the weight's key."""

    encoding: str
    parts: dict[str, np.ndarray]


def encode(weight: np.ndarray) -> Encoded:
    """Encode a weight in its smallest form; if forms are equally small, in the simplest of them.

    Args:
        weight: values of any shape.

    Example:
        >>> encode(np.array([[0, 3, 0, 0], [0, 0, 0, 5]], "float32"))
        Encoded(encoding='mask', parts={':values': array([3., 5.], dtype=float32), ':mask': array([65], dtype=uint8)})
    """
    # Not `ascontiguousarray`, which turns a single number into an array of one axis.
    forms = [Encoded("dense", {"": np.asarray(weight, order="C")})]
    if weight.ndim > 1 and not weight.all():
        flat = weight.ravel()
        forms.append(Encoded("mask", {":values": flat[flat != 0], ":mask": np.packbits(flat != 0)}))
        forms.append(Encoded("gaps", _gaps(flat)))
    return min(forms, key=lambda form: sum(part.nbytes for part in form.parts.values()))


def _gaps(flat: np.ndarray) -> dict[str, np.ndarray]:
    """The nonzero values and the distance of each from the previous one.

    The first is counted from the beginning.
    """
    at = np.flatnonzero(flat)
    distances = np.diff(at, prepend=0)
    # A distance of 600 becomes 255 + 255 + 90, with zeros stored at the first two positions.
    stones = np.maximum(distances - 1, 0) // 255
    last = np.cumsum(stones + 1) - 1  # the index of each kept value among all stored values
    gaps = np.full(len(at) + stones.sum(), 255, np.uint8)
    values = np.zeros(len(gaps), flat.dtype)
    gaps[last], values[last] = distances - 255 * stones, flat[at]
    return {":values": values, ":gaps": gaps}
