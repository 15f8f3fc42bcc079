"""Prove that a rebuilt model computes what the original computes, on a batch made from the model's own input specs."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np

from kerastickets.errors import AlignError
from kerastickets.foundations.tree import generator
from kerastickets.models.label_fit import input_specs
from kerastickets.models.open_sizes import open_size

_EXAMPLES = 2
_SHOWN = 200


def check_copy(model: keras.Model, twin: keras.Model) -> None:
    """Refuse a rebuilt model that does not compute what the original computes, bit for bit.

    Both compute one batch in inference mode, without changing any state. A model that differs from itself on two
    calls, as one that samples, is compared by its variables only; so is a model whose input specs are unknown.

    Args:
        model: the original.
        twin: the rebuilt model, which has the same weights.

    Raises:
        AlignError: the outputs differ. The message names the first layer whose outputs differ, if the layers can be
            told apart.

    Example:
        >>> build = lambda: keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(0.5)])
        >>> check_copy(build(), build())
    """
    batch = example_batch(model)
    if batch is None:
        return
    try:
        expected, again = outputs(model, batch), outputs(model, batch)
    except Exception:  # a batch that was made up may not suit the model; then nothing is proven by it
        return
    if not _equal(expected, again):
        return
    try:
        wrong = "" if _equal(expected, outputs(twin, batch)) else "other outputs"
    except Exception as error:  # a layer that lacks its state can raise anything
        wrong = f"{type(error).__name__}: {' '.join(str(error).split())[:_SHOWN]}"
    if wrong:
        layer = _first_difference(model, twin, batch)
        where = f", first in the layer {layer!r}" if layer else ""
        raise AlignError(
            "A model rebuilt from its config and its weights must compute what the original computes. Received: "
            f"{wrong}{where}. It keeps state that is neither in its config nor in its weights: give that layer "
            "get_config, or save_own_variables and load_own_variables, or pass a function that builds the model."
        )


def example_batch(model: keras.Model) -> Any:
    """Two examples made from the model's input specs, in the structure that the model takes; None if it has no specs.

    Floats are drawn from the normal distribution, integers are 0 or 1, texts are words, and `open_size` says how many
    entries an open axis has.
    """
    specs = input_specs(model)
    if specs is None:
        shape = getattr(model, "_build_shapes_dict", None) or {}
        first = [*shape.values()][:1]
        if (
            len(shape) != 1
            or not isinstance(first[0], tuple | list)
            or not all(_size(n) for n in first[0][1:])
        ):
            return None
        specs = keras.KerasTensor((None, *first[0][1:]), model.compute_dtype)
    return keras.tree.map_structure(partial(_example, open_size(model)), specs)


def _size(axis: Any) -> bool:
    return axis is None or isinstance(axis, int)


def _example(free: int, spec: Any) -> Any:
    shape = (spec.shape[0] or _EXAMPLES, *(axis or free for axis in spec.shape[1:]))
    dtype, rng = keras.backend.standardize_dtype(spec.dtype), generator("example batch", *shape)
    if dtype == "string":
        import tensorflow as tf

        return tf.constant(rng.choice(["a", "the", "lottery", "ticket"], shape))
    if dtype == "bool":
        return keras.ops.convert_to_tensor(rng.random(shape) < 0.5)
    if "int" in dtype:
        return keras.ops.convert_to_tensor(rng.integers(2, size=shape), dtype)
    return keras.ops.cast(keras.ops.convert_to_tensor(rng.normal(size=shape).astype("float32")), dtype)


def outputs(model: keras.Model, batch: Any) -> list[np.ndarray]:
    """What a model computes in inference mode, as a flat list. No variable of the model changes."""
    return _flat(_call(model, batch))


def _call(model: keras.Model, batch: Any) -> Any:
    trainable = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    return model.stateless_call(trainable, others, batch, training=False)[0]


def _flat(found: Any) -> list[np.ndarray]:
    return [np.asarray(value) for value in keras.tree.flatten(found)]


def _equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(
        a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(one, other, strict=True)
    )


def _first_difference(model: keras.Model, twin: keras.Model, batch: Any) -> str:
    """The name of the first layer whose output differs; empty if the model does not show its layers' outputs."""
    try:
        pairs = zip(_by_layer(model, batch), _by_layer(twin, batch), strict=True)
        return next((mine[0] for mine, theirs in pairs if not _equal(mine[1], theirs[1])), "")
    except Exception:  # a subclassed model, or a layer with several calls
        return ""


def _by_layer(model: keras.Model, batch: Any) -> Iterator[tuple[str, list[np.ndarray]]]:
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    found = _call(keras.Model(input_specs(model), [layer.output for layer in layers]), batch)
    return ((layer.name, _flat(value)) for layer, value in zip(layers, found, strict=True))
