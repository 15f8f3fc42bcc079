"""Check that a model which Keras quantised still computes with zeros where it was pruned."""

from typing import Any

import keras
import numpy as np

from kerastickets.errors import AlignError
from kerastickets.foundations.tree import Tree
from kerastickets.models.variables import Place, check_built, walk

# These store a kernel with its output axis first.
_TRANSPOSED = ("gptq", "awq")


def lost_zeros(model: keras.Model, masks: Tree) -> dict[str, int]:
    """Count the pruned weights that a model does not compute with as exactly zero, as after `model.quantize(...)`.

    Quantising replaces a layer's weights by whole numbers, scales and, in some modes, a whole number that stands for
    zero. `int8` and `int4` round each weight alone, so that zero stays zero. `gptq` and `awq` also change weights to
    make up for the rounding of others, so that a pruned weight may come back: this function tells.

    Args:
        model: a model, quantised or not.
        masks: booleans by key, True where kept, as `masks_of(model)` gives them before quantising.

    Returns:
        The number by key. Keys without any are left out, so that an empty dict means that all zeros are there.

    Raises:
        AlignError: a key names no weight of the model, or a layer stores its weights in a form that is not known.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> mask = {"dense/kernel": np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool)}
        >>> lost_zeros(model, mask)
        {'dense/kernel': 4}
        >>> from kerastickets.models.masking import sparsify, strip
        >>> _ = sparsify(model, mask)
        >>> strip(model).quantize("int8")
        >>> lost_zeros(model, mask)
        {}
    """
    check_built(model)
    places = {place.key: place for place in walk(model)}
    found: dict[str, int] = {}
    for key, mask in masks.items():
        if key not in places:
            raise AlignError(f"Masks must name weights of the model: {', '.join(places)}. Received: {key!r}")
        away = _is_not_zero(places[key])
        if away.size != mask.size:
            raise AlignError(
                f"The weight {key} must have {mask.size} entries, as its mask. Received: {away.size}, stored by "
                f"{type(places[key].layer).__name__} in a form that is not known here."
            )
        if lost := int(np.count_nonzero(away.reshape(mask.shape) & ~np.asarray(mask, bool))):
            found[key] = lost
    return found


def _is_not_zero(place: Place) -> np.ndarray:
    """Where a weight is not zero, in the order of its entries before it was quantised."""
    layer, name = place.layer, place.variable.name
    mode = getattr(layer, "quantization_mode", None)
    codes = _array(getattr(layer, name, place.variable) if mode else place.variable)
    zero = getattr(layer, f"{name}_zero", None)
    if zero is None:
        away: np.ndarray = codes != 0
        return away
    group = _array(layer.g_idx).astype(int)
    flat, levels = codes.reshape(len(codes), -1).astype(int), _array(zero).astype(int)
    # Groups lie along the axis whose entries `g_idx` counts. The zero of a group serves all of its entries.
    last = flat.shape[1] == len(group) and levels.shape[0] == flat.shape[0]
    if not last:
        flat = codes.reshape(len(group), -1).astype(int)
    away = flat != np.take(levels, group, axis=-1 if last else 0)
    return away.T if mode in _TRANSPOSED else away


def _array(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))
