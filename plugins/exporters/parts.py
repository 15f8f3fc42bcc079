"""What exporters share: the model and its one input, raw images, and quiet converters."""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.plugin import Data, DataError, KerasTicketsError, Ticket, trained_model

if TYPE_CHECKING:
    import keras

READERS = Path(__file__).parent / "readers"


@dataclass(frozen=True)
class Served:
    """A model as it is served: one input, one output.

    Args:
        model: the model to export.
        name: what its input is called.
        shape: the shape of one example, None where a size is open.
        dtype: what it takes: that of its input, or `uint8` where images come raw.
        scaling: mean and standard deviation that raw images are standardised by; None where they are already.
    """

    model: "keras.Model"
    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scaling: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(
        cls, ticket: Ticket, model: "keras.Model | None", data: Data | None, raw: bool = False
    ) -> "Served":
        """What an exporter was given, made ready.

        Args:
            ticket: whose model it is, where `model` is None.
            model: the model to export.
            data: closes sizes that the model leaves open, and says how raw images are standardised.
            raw: whether raw images go in.

        Raises:
            TicketError: the ticket is not trained, or cannot be built.
            KerasTicketsError: the model has several inputs or outputs.
            DataError: `raw`, and the data set is not of standardised bytes.
        """
        model = trained_model(ticket) if model is None else model
        scaling = scaling_of(data) if raw else None
        name, shape, dtype = _input(model, data)
        return cls(model, name, shape, "uint8" if raw else dtype, scaling)

    def __call__(self, x: Any) -> Any:
        """The outputs for inputs `(n, ...)` of `dtype`, as an inference."""
        import tensorflow as tf

        if self.scaling is not None:
            # The arithmetic of `kerastickets.data.dataset.standardise`, to the bit.
            x = (tf.cast(x, "float32") - self.scaling[0]) / self.scaling[1]
        return self.model(x, training=False)

    @property
    def signature(self) -> list[Any]:
        """Its input as `tf.function` takes it, of any batch size."""
        import tensorflow as tf

        return [tf.TensorSpec((None, *self.shape), self.dtype, self.name)]

    def facts(self) -> dict[str, Any]:
        """The input as JSON: its name, the shape with a batch axis that is open, and its dtype."""
        return {"input": {"name": self.name, "shape": [None, *self.shape], "dtype": self.dtype}}


def _input(model: "keras.Model", data: Data | None) -> tuple[str, tuple[int | None, ...], str]:
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if (inputs and len(inputs) > 1) or (outputs and len(outputs) > 1):
        raise KerasTicketsError(
            "A model to export must have one input and one output. "
            f"Received: {len(inputs or ())} inputs and {len(outputs or ())} outputs"
        )
    if inputs:
        # The tensor may have another name than the Input layer, which is what people know.
        name = inputs[0]._keras_history.operation.name
        shape, dtype = inputs[0].shape, inputs[0].dtype
    else:  # a subclassed model knows only what it was built with
        name, shape, dtype = "inputs", (model.get_build_config() or {}).get("input_shape"), "float32"
        shape = shape or (None, *(data.input_shape if data else ()))
        if len(shape) < 2:
            raise KerasTicketsError(
                "A model to export must be built. Received: one that is not; call it on data"
            )
    sizes = tuple(shape[1:])
    if data is not None and len(data.input_shape) == len(sizes):
        sizes = tuple(open_ or own for open_, own in zip(sizes, data.input_shape, strict=True))
    return name, sizes, dtype


def scaling_of(data: Data | None) -> tuple[np.ndarray, np.ndarray]:
    """What the images of a data set were standardised by.

    Raises:
        DataError: there are no data, or they are not bytes that were standardised.
    """
    if data is None or data.scaling is None:
        given = "no data" if data is None else f"data set '{data.name}', which has no `scaling`"
        raise DataError(
            f"raw=true needs data whose inputs are bytes that were standardised. Received: {given}. "
            "Leave out `raw`, or give such a data set."
        )
    return data.scaling


def raw_bytes(x: np.ndarray, data: Data) -> np.ndarray:
    """Standardised inputs of a data set as the bytes that they were.

    Args:
        x: inputs `(n, ...)` of the data set.
        data: knows its `scaling`.

    Returns:
        uint8 `(n, ...)`.

    Raises:
        DataError: the data set is not of standardised bytes.

    Example:
        >>> from kerastickets.plugin import create
        >>> digits = create("datasets", "digits")()
        >>> raw_bytes(digits.test[0][:1], digits)[0, 2, :, 0].tolist()
        [0, 0, 0, 3, 15, 2, 0, 0]
    """
    mean, std = scaling_of(data)
    return np.clip(np.rint(x * std + mean), 0, 255).astype(np.uint8)


def named_classes(data: Data | None) -> tuple[str, ...]:
    """The names of the classes of a data set of one task, their numbers where they have none; empty without classes."""
    if data is None or not isinstance(data.classes, int):
        return ()
    return data.labels or tuple(map(str, range(data.classes)))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep off the user's terminal what converters say there, also from C++."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if stream is not None]
    for stream in streams:
        stream.flush()
    kept, level, handlers = [os.dup(1), os.dup(2)], logging.root.manager.disable, [*logging.root.handlers]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        logging.disable(logging.ERROR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)
        logging.disable(level)
        logging.root.handlers[:] = handlers  # tf2onnx sets up logging for the whole program


def write_archive(
    served: Served, path: Path, more: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})
) -> None:
    """Write a SavedModel with the signature `serve`, also called `serving_default`, and more.

    Args:
        served: what to serve.
        path: the folder to make.
        more: other signatures by name, as functions of the same input.
    """
    import keras
    import tensorflow as tf

    # Not `archive.track(model)`: the variables that functions use are found anyway, and would be stored twice.
    archive = keras.export.ExportArchive()
    for name, function in {"serve": served.__call__, **more}.items():
        archive.add_endpoint(name, function, served.signature)
    # Gradient functions would double the graph, and nobody trains a SavedModel.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    archive.write_out(str(path), options=options, verbose=False)
