"""Code that exporters share: a model with its inputs, raw images, quiet converters and SavedModels."""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.plugin import (
    Data,
    DataError,
    KerasTicketsError,
    Ticket,
    compute_dtypes,
    is_nested,
    leaves,
    map_leaves,
    trained_model,
)

if TYPE_CHECKING:
    import keras

READERS = Path(__file__).parent / "readers"


@dataclass(frozen=True)
class Input:
    """An input of an export.

    Args:
        name: its name.
        shape: the shape of one example, with None for each open size.
        dtype: the type that it takes: the type of the model's input, or that of the data's raw inputs.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    def facts(self) -> dict[str, Any]:
        """The input as JSON, its shape with an open batch axis."""
        return {"name": self.name, "shape": [None, *self.shape], "dtype": self.dtype}


@dataclass(frozen=True)
class Served:
    """A model ready to be served.

    Args:
        model: the model to export.
        inputs: its inputs, in the order of Keras.
        structure: the structure of arrays that the model takes; None for a single input.
        outputs: the names of its outputs, in the order of Keras; empty if there is one, or if they are not known.
        scaling: mean and standard deviation by which raw inputs are standardised; None if inputs are not raw.
    """

    model: "keras.Model"
    inputs: tuple[Input, ...]
    structure: Any = None
    outputs: tuple[str, ...] = ()
    scaling: tuple[np.ndarray, np.ndarray] | None = None

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
            KerasTicketsError: the model is not built, or takes text.
            DataError: `raw` is set, and the data set was not standardised.
        """
        model = trained_model(ticket) if model is None else model
        scaling = scaling_of(data) if raw else None
        inputs, structure = _inputs(model, data)
        if raw and data:
            inputs = tuple(replace(one, dtype=data.raw) for one in inputs)
        names = [str(name) for name in getattr(model, "output_names", None) or ()]
        return cls(model, inputs, structure, tuple(names) if len(names) > 1 else (), scaling)

    @property
    def single(self) -> Input:
        """The input of a model with one input.

        Raises:
            KerasTicketsError: the model has several.
        """
        if self.structure is not None:
            names = ", ".join(one.name for one in self.inputs)
            raise KerasTicketsError(f"This export must have one input. Received: a model with {names}")
        return self.inputs[0]

    def __call__(self, x: Any) -> Any:
        """The outputs for inputs `(n, ...)`, in inference mode. Several are a dict `output_0`, `output_1`, ..."""
        import tensorflow as tf

        if self.scaling is not None:
            # Exactly the arithmetic of `kerastickets.data.arrays.standardise`, so that results agree to the bit.
            x = (tf.cast(x, "float32") - self.scaling[0]) / self.scaling[1]
        outputs = tf.nest.flatten(self.model(x, training=False))
        return outputs[0] if len(outputs) == 1 else {f"output_{n}": one for n, one in enumerate(outputs)}

    @property
    def half(self) -> str:
        """Words for messages if the model computes in other types than float32; empty if not."""
        others = sorted(compute_dtypes(self.model) - {"float32"})
        return f", in a model that computes in {', '.join(others)}" if others else ""

    @property
    def signature(self) -> list[Any]:
        """The input signature for `tf.function`, for any batch size."""
        import tensorflow as tf

        specs = [tf.TensorSpec((None, *one.shape), one.dtype, one.name) for one in self.inputs]
        return specs if self.structure is None else [tf.nest.pack_sequence_as(self.structure, specs)]

    def facts(self) -> dict[str, Any]:
        """The inputs as JSON, and the names of several outputs in the order of `output_0`, `output_1`, ..."""
        if self.structure is None:
            facts: dict[str, Any] = {"input": self.inputs[0].facts()}
        else:
            facts = {"inputs": [one.facts() for one in self.inputs]}
        return facts | ({"outputs": [*self.outputs]} if self.outputs else {})


def _inputs(model: "keras.Model", data: Data | None) -> tuple[tuple[Input, ...], Any]:
    """The inputs of a model, and the structure that it takes them in; None for a single one."""
    from kerastickets.plugin import arranged, input_names, input_specs  # they import Keras

    tensors, given = getattr(model, "inputs", None), None if data is None else arranged(model, data.test[0])
    if tensors:
        specs, names = [(one.shape, str(one.dtype)) for one in tensors], input_names(model, given)
        structure = input_specs(model)
    else:  # a subclassed model knows only the shape that it was built with
        specs, structure = _specs(model, given), given
        names = input_names(model, given) if is_nested(given) else ["inputs"]
    several = is_nested(structure) and len(specs) > 1
    sizes = [array.shape[1:] for array in leaves(given)] if given is not None else [()] * len(specs)
    inputs = tuple(
        Input(name, _filled(tuple(shape[1:]), own), dtype)
        for name, (shape, dtype), own in zip(names, specs, sizes, strict=True)
    )
    if "string" in [one.dtype for one in inputs]:
        raise KerasTicketsError(
            "A model to export must take numbers. Received: a model that takes text. Export the part behind the layer "
            "that turns text into numbers."
        )
    return inputs, map_leaves(lambda spec: None, structure) if several else None


def _specs(model: "keras.Model", given: Any) -> list[tuple[tuple[int | None, ...], str]]:
    if is_nested(given):
        return [((None, *array.shape[1:]), str(array.dtype)) for array in leaves(given)]
    shape = (model.get_build_config() or {}).get("input_shape") or (
        None,
        *(() if given is None else given.shape[1:]),
    )
    if len(shape) < 2 or not all(length is None or isinstance(length, int) for length in shape):
        raise KerasTicketsError("A model to export must be built. Received: one that is not; call it on data")
    return [(tuple(shape), "float32")]


def _filled(shape: tuple[int | None, ...], own: tuple[int, ...]) -> tuple[int | None, ...]:
    """A shape whose open sizes have the sizes of the data."""
    if len(shape) != len(own):
        return shape
    return tuple(open_ or mine for open_, mine in zip(shape, own, strict=True))


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
