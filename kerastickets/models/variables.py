"""Name a model's variables by keys that are equal in every build, and read or set weights by key.

`variable.path` and the layer names that Keras makes up differ between two builds, after loading and in
clones. Keys do not. A key is a path such as `block/dense/kernel`: one segment per layer from the model down,
then the variable's own name. A segment is the layer's name if the user chose it; otherwise it is the layer's
class in snake case.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from kerastickets.errors import AlignError, RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.models.derived_state import derive
from kerastickets.tickets.layer_names import numbered, stable_names


class Mask(keras.constraints.Constraint):
    """The mask of one variable: a constraint that sets the pruned entries to zero.

    A live model holds a mask only in `variable.constraint`. `kerastickets.models.masking.guard` finds it
    there and makes the optimizer mask gradients too.

    Args:
        value: float variable of the weight's shape and dtype, 1 where kept and 0 where pruned.
        inner: the constraint that the variable had before; it is applied first.
    """

    def __init__(self, value: keras.Variable, inner: Any = None) -> None:
        self.value = value
        self.inner = inner

    def __call__(self, w: Any) -> Any:
        """Apply the inner constraint to `w`, then set pruned entries to zero."""
        return (self.inner(w) if self.inner else w) * self.value.value

    def get_config(self) -> dict[str, Any]:
        """Raises an error: a mask belongs to one variable and cannot be part of a layer's config."""
        raise NotImplementedError("A Mask is attached to a variable by sparsify, not passed to a layer.")


class Place(NamedTuple):
    """A variable, its key and the layer that owns it."""

    key: str
    variable: keras.Variable
    layer: keras.Layer


def walk(model: keras.Layer) -> Iterator[Place]:
    """Go through every variable of `model` once, with its key and layer.

    A shared variable gets the key of the first place where it is found. Seeds of random layers, optimizer
    slots, metrics and masks are not weights and are left out.

    Args:
        model: a built Keras model or layer.

    Yields:
        One `Place` per variable, in creation order.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> [place.key for place in walk(model)]
        ['dense/kernel', 'dense/bias']
    """
    places = list(_walk(model, (), set()))
    masks = {id(place.variable.constraint.value) for place in places if mask_of(place.variable)}
    yield from (place for place in places if id(place.variable) not in masks)


def mask_of(variable: keras.Variable) -> Mask | None:
    """The mask attached to `variable`, or None."""
    constraint = getattr(variable, "constraint", None)
    return constraint if isinstance(constraint, Mask) else None


def _walk(model: keras.Layer, prefix: tuple[str, ...], seen: set[int]) -> Iterator[Place]:
    for path, layer in paths(model, prefix):
        for key, variable in _own(path, layer):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield Place(key, variable, layer)


def _own(path: tuple[str, ...], layer: keras.Layer) -> Iterator[tuple[str, keras.Variable]]:
    """The variables that a layer itself holds, with their keys."""
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    names = numbered(re.sub(r"^variable_\d+$", "variable", v.name) for v in own)
    return (("/".join((*path, name)), variable) for name, variable in zip(names, own, strict=True))


def shared_keys(model: keras.Layer) -> set[tuple[str, ...]]:
    """The weights that stand at several places in `model`: for each, the keys of its places in sorted order.

    Example:
        >>> dense = keras.layers.Dense(2)
        >>> shared_keys(keras.Sequential([keras.Input((2,)), dense, keras.layers.Dense(2)]))
        set()
    """
    found: dict[int, set[str]] = {}
    for path, layer in paths(model):
        for key, variable in _own(path, layer):
            found.setdefault(id(variable), set()).add(key)
    return {tuple(sorted(keys)) for keys in found.values() if len(keys) > 1}


def paths(
    model: keras.Layer, prefix: tuple[str, ...] = (), above: tuple[keras.Layer, ...] = ()
) -> Iterator[tuple[tuple[str, ...], keras.Layer]]:
    """Go through `model` and all its layers, each with its path of segments.

    A shared layer appears more than once.

    Args:
        model: a Keras model or layer.
        prefix: the segments of the path to `model`.
        above: layers not to enter again, because a layer may hold a reference to its parent.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> [path for path, layer in paths(model)]
        [(), ('dense',)]
    """
    yield prefix, model
    above = (*above, model)
    children = [child for child in _children(model) if not any(child is layer for layer in above)]
    names = stable_names((child.name, type(child).__name__) for child in children)
    for segment, child in zip(names, children, strict=True):
        yield from paths(child, (*prefix, segment), above)


def _children(layer: keras.Layer) -> list[keras.Layer]:
    # Use the public `layers` of a model: its `_layers` also holds objects for internal use.
    listed = layer.layers if isinstance(layer, keras.Model) else layer._layers
    return [child for child in listed if isinstance(child, keras.Layer)]


def variables(model: keras.Layer) -> dict[str, keras.Variable]:
    """The variables of `model` by key: trainable weights and statistics, but no masks and no seeds."""
    return {place.key: place.variable for place in walk(model)}


def snapshot(model: keras.Layer) -> dict[str, np.ndarray]:
    """Copy the values of all variables of `model` into arrays, by key. bfloat16 becomes float32.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> snapshot(model)["dense/bias"]
        array([0., 0.], dtype=float32)
    """
    return {key: _array(variable) for key, variable in variables(model).items()}


def _array(variable: keras.Variable) -> np.ndarray:
    value = keras.ops.convert_to_numpy(variable.value)
    return value.astype("float32") if value.dtype.name == "bfloat16" else np.array(value)


def assign(model: keras.Layer, weights: Tree) -> str:
    """Set the variables of `model` to `weights`, and let its layers derive from them what they derive.

    Args:
        model: a built model.
        weights: arrays by key: one for each variable of `model`, of the same shape, and no others.

    Returns:
        A digest of what layers derive, see `derive`: compiled functions must be traced again if it changes.

    Raises:
        AlignError: keys or shapes differ. The message names the first mismatch.
    """
    own = variables(model)
    check_aligned({key: v.shape for key, v in own.items()}, {key: a.shape for key, a in weights.items()})
    for key, variable in own.items():
        variable.assign(weights[key])
    return derive(layer for _, layer in paths(model))


def check_built(model: keras.Layer) -> None:
    """Refuse a model that has no weights yet, and say how to build it; and what is no model of Keras.

    Raises:
        RecipeError: the model is not built, or no model.

    Example:
        >>> check_built(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    """
    if not isinstance(model, keras.Layer):
        raise RecipeError(
            f"`model` must be a live Keras model. Received: {type(model).__name__}. Load a file by "
            "keras.models.load_model, and build a ticket by ticket.build()."
        )
    if not model.built:
        raise RecipeError(
            "A model must be built, so that it has weights. Received: "
            f"{model.name}, a {type(model).__name__} that is not built. Give it keras.Input(shape) as its first layer, "
            "or call it once on a batch of inputs."
        )


def check_aligned(expected: Mapping[str, tuple[int, ...]], received: Mapping[str, tuple[int, ...]]) -> None:
    """Check that a model and a ticket have the same keys and shapes.

    Args:
        expected: the model's shapes by key.
        received: the ticket's shapes by key.

    Raises:
        AlignError: keys or shapes differ. The message names the first difference.

    Example:
        >>> check_aligned({"a": (2,)}, {"a": (3,)})
        Traceback (most recent call last):
        ...
        kerastickets.errors.AlignError: The model has a of shape (2,). Received: a of shape (3,).
    """
    for key, shape in expected.items():
        if key not in received:
            raise AlignError(f"The model has {key}. Received: no such key; keys are {_some(received)}.")
        check_shapes(key, shape, key, received[key])
    for key in received:
        if key not in expected:
            raise AlignError(f"The model has the keys {_some(expected)}. Received: {key}.")


def check_shapes(ours: str, shape: tuple[int, ...], theirs: str, other: tuple[int, ...]) -> None:
    """Raise `AlignError` if a variable of the model and a weight of the ticket differ in shape."""
    if tuple(shape) != tuple(other):
        raise AlignError(
            f"The model has {ours} of shape {tuple(shape)}. Received: {theirs} of shape {tuple(other)}."
        )


def _some(names: Mapping[str, Any], most: int = 6) -> str:
    shown = ", ".join(list(names)[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
