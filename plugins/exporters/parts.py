"""Code that exporters share: a model with one input, raw images, quiet converters and SavedModels."""

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
    """A model ready to be served, with one input and one output.

    Args:
        model: the model to export.
        name: name of its input.
        shape: the shape of one example, with None for each open size.
        dtype: the type that it takes: the type of the model's input, or that of the data's raw inputs.
        scaling: mean and standard deviation by which raw inputs are standardised; None if inputs are not raw.
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
        """Prepare the model that an exporter was given.

        Args:
            ticket: the ticket to build the model from if `model` is None.
            model: the model to export, or None.
            data: fills in sizes that the model leaves open, and gives the scaling of raw inputs.
            raw: whether the export takes raw inputs.

        Raises:
            TicketError: the ticket is not trained, or cannot be built.
            KerasTicketsError: the model has several inputs or outputs.
            DataError: `raw` is set, and the data set was not standardised.
        """
        model = trained_model(ticket) if model is None else model
        scaling = scaling_of(data) if raw else None
        name, shape, dtype = _input(model, data)
        return cls(model, name, shape, data.raw if raw and data else dtype, scaling)

    def __call__(self, x: Any) -> Any:
        """The outputs for inputs `(n, ...)` of type `dtype`, in inference mode."""
        import tensorflow as tf

        if self.scaling is not None:
            # Exactly the arithmetic of `kerastickets.data.arrays.standardise`, so that results agree to the bit.
            x = (tf.cast(x, "float32") - self.scaling[0]) / self.scaling[1]
        return self.model(x, training=False)

    @property
    def signature(self) -> list[Any]:
        """The input signature for `tf.function`, for any batch size."""
        import tensorflow as tf

        return [tf.TensorSpec((None, *self.shape), self.dtype, self.name)]

    def facts(self) -> dict[str, Any]:
        """The input as JSON: its name, its shape with an open batch axis, and its dtype."""
        return {"input": {"name": self.name, "shape": [None, *self.shape], "dtype": self.dtype}}


def _input(model: "keras.Model", data: Data | None) -> tuple[str, tuple[int | None, ...], str]:
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if (inputs and len(inputs) > 1) or (outputs and len(outputs) > 1):
        raise KerasTicketsError(
            "A model to export must have one input and one output. "
            f"Received: {len(inputs or ())} inputs and {len(outputs or ())} outputs"
        )
    if inputs:
        # Use the Input layer's name, because users know that one; the tensor's name may differ.
        name = inputs[0]._keras_history.operation.name
        shape, dtype = inputs[0].shape, inputs[0].dtype
    else:  # a subclassed model knows only the shape that it was built with
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
    """The mean and standard deviation by which the inputs of a data set were standardised.

    Raises:
        DataError: there is no data, or it was not standardised.
    """
    if data is None or data.scaling is None:
        given = "no data" if data is None else f"data set '{data.name}', which has no `scaling`"
        raise DataError(
            f"raw=true needs a data set whose inputs were standardised. Received: {given}. "
            "Leave out `raw`, or give such a data set."
        )
    return data.scaling


def raw_inputs(x: np.ndarray, data: Data) -> np.ndarray:
    """Turn standardised inputs of a data set back into the raw ones.

    Args:
        x: standardised inputs `(n, ...)` of the data set.
        data: the data set; gives the `scaling`.

    Returns:
        The inputs `(n, ...)` of the type `data.raw`; floats up to rounding.

    Raises:
        DataError: the data set was not standardised.

    Example:
        >>> from kerastickets.plugin import create
        >>> digits = create("datasets", "digits")()
        >>> raw_inputs(digits.test[0][:1], digits)[0, 2, :, 0].tolist()
        [0, 0, 0, 3, 15, 2, 0, 0]
    """
    mean, std = scaling_of(data)
    raw = x * std + mean
    return raw.astype(np.float32) if data.raw == "float32" else np.clip(np.rint(raw), 0, 255).astype(np.uint8)


def named_classes(data: Data | None) -> tuple[str, ...]:
    """The class names of a data set with one task, or their numbers as text; empty if it has no classes."""
    if data is None or not isinstance(data.classes, int):
        return ()
    return data.labels or tuple(map(str, range(data.classes)))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide from the terminal all output of the converters, including output from C++."""
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
        logging.root.handlers[:] = handlers  # undo tf2onnx, which sets up logging for the whole program


def write_archive(
    served: Served, path: Path, more: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})
) -> None:
    """Write a SavedModel with the signature `serve` (also called `serving_default`) and optional other signatures.

    Args:
        served: the model to serve.
        path: the folder to create.
        more: other signatures by name; each is a function of the same input.
    """
    import keras
    import tensorflow as tf

    # Do not call `archive.track(model)`: the variables are found anyway, and would then be stored twice.
    archive = keras.export.ExportArchive()
    for name, function in {"serve": served.__call__, **more}.items():
        archive.add_endpoint(name, function, served.signature)
    # Leave out gradient functions: they would double the graph, and nobody trains a SavedModel.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    archive.write_out(str(path), options=options, verbose=False)
