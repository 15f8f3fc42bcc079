"""Count the multiplications with weights that a model does per example, with and without zero weights."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from kerastickets.models.architecture import is_keras
from kerastickets.models.open_sizes import open_size
from kerastickets.models.variables import paths

_CONV = tuple(getattr(keras.layers, f"{kind}Conv{n}D") for kind in ("", "Depthwise") for n in (1, 2))
_CONV += (keras.layers.Conv3D, keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_TRANSPOSED = tuple(getattr(keras.layers, f"Conv{n}DTranspose") for n in (1, 2, 3))


def multiply_adds(model: keras.Model, inputs: Any = None) -> dict[str, int]:
    """Count the multiply-adds of weights with activations for one example.

    The model runs once on one example. So a shared layer counts at every call, and subclassed models work
    like any other. A kernel counts once per position at which it is applied:

    - convolution: every output position, positions that overlap padding included;
    - transposed convolution: every input position;
    - dense layer: every position of the axes between batch and last axis;
    - recurrent layer: every step.

    Biases, normalisation, pooling, table look-ups and products of activations with each other do not count.

    Args:
        model: a built model; it is not changed.
        inputs: one example with its batch axis, or a list of such arrays for several inputs. None uses zeros
            of the model's input shapes, with the size that `open_size` gives for every open axis. A subclassed model
            needs `inputs`.

    Returns:
        A dict of two counts: `dense` counts every entry of every kernel, `theoretical` only nonzero entries.

    Raises:
        ValueError: a subclassed model without `inputs`.

    Example:
        >>> layers = [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(5)]
        >>> multiply_adds(keras.Sequential(layers))["dense"]  # 6 * 6 * 18 + 72 * 5
        1008
    """
    inputs = _zeros(model) if inputs is None else inputs
    counts: dict[str, int] = {"dense": 0, "theoretical": 0}

    def count(layer: keras.Layer, given: Any, result: Any) -> None:
        for weights, times in _applied(layer, given, result):
            counts["dense"] += weights.size * times
            counts["theoretical"] += int(np.count_nonzero(weights)) * times

    with _watched(model, count):
        model(inputs, training=False)
    return counts


def _zeros(model: keras.Model) -> Any:
    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise ValueError(
            f"Counting needs an example where a model has no input shape. Received: a {type(model).__name__} and "
            "inputs=None. Give `inputs`."
        )
    size = open_size(model)
    made = [keras.ops.zeros((1, *(axis or size for axis in t.shape[1:])), t.dtype) for t in tensors]
    return made[0] if len(made) == 1 else keras.tree.pack_sequence_as(model._inputs_struct, made)


@contextmanager
def _watched(model: keras.Model, seen: Callable[[keras.Layer, Any, Any], None]) -> Iterator[None]:
    """Within the body, call `seen(layer, inputs, outputs)` whenever a layer of `model` is called."""
    layers = {id(layer): layer for _, layer in paths(model)}.values()
    # Bypass Keras's own __setattr__, which would track the value as part of the layer.
    for layer in layers:
        object.__setattr__(layer, "call", _telling(layer, layer.call, seen))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _telling(layer: keras.Layer, call: Callable[..., Any], seen: Callable[..., None]) -> Callable[..., Any]:
    def told(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        seen(layer, args[0] if args else next(iter(kwargs.values()), None), result)
        return result

    return told


def _applied(layer: keras.Layer, given: Any, result: Any) -> Iterator[tuple[np.ndarray, int]]:
    """The layer's own kernels, each with the number of positions at which it is applied."""
    if isinstance(layer, keras.layers.RNN):
        yield from _recurrent(layer, given, result)
    elif isinstance(layer, keras.layers.EinsumDense):
        yield _value(layer.kernel), _einsum_places(layer.equation, given.shape)
    elif isinstance(layer, keras.layers.Dense):
        yield _value(layer.kernel), math.prod(given.shape[1:-1])
    elif isinstance(layer, _CONV + _TRANSPOSED):
        places = math.prod(_space(layer, given if isinstance(layer, _TRANSPOSED) else result))
        names = ("kernel", "depthwise_kernel", "pointwise_kernel")
        yield from ((_value(getattr(layer, name)), places) for name in names if hasattr(layer, name))
    elif not is_keras(type(layer)) and not hasattr(layer, "state_size"):  # the RNN counts its cell
        # A custom layer: assume that it applies its matrices as a dense layer does.
        for variable in layer._trainable_variables:
            if len(variable.shape) > 1 and hasattr(given, "shape"):
                yield _value(variable), math.prod(given.shape[1:-1])


def _recurrent(layer: keras.layers.RNN, given: Any, result: Any) -> Iterator[tuple[np.ndarray, int]]:
    steps = int(given.shape[1])
    for _, cell in paths(layer.cell):
        for variable in cell._trainable_variables:
            rank = len(variable.shape)
            if rank > 1 and variable.name != "bias":  # a GRU has two rows of biases
                # A ConvLSTM applies its kernels at every position of its output.
                output = keras.tree.flatten(result)[0]
                space = math.prod(_space(cell, output)[-(rank - 2) :]) if rank > 2 else 1
                yield _value(variable), steps * space


def _space(layer: keras.Layer, tensor: Any) -> tuple[int, ...]:
    """The sizes of the axes of `tensor` other than batch and channels."""
    first = getattr(layer, "data_format", None) == "channels_first"
    return tuple(tensor.shape[2:] if first else tensor.shape[1:-1])


def _einsum_places(equation: str, shape: Any) -> int:
    """The product of the input axes that the kernel does not have: `a` and `b` in `abc,cd->abd`."""
    given, _, kernel = equation.replace(" ", "").partition("->")[0].partition(",")
    before, dots, after = given.partition("...")
    # Replace `...` by one letter per axis that it stands for; no kernel has that letter.
    letters = [*before, *("." * (len(shape) - len(before) - len(after)) if dots else ""), *after]
    sizes = zip(letters, shape, strict=True)
    return math.prod(size for letter, size in sizes if letter not in kernel)


def _value(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)
