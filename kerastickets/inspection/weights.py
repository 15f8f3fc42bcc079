"""What pruning does with each weight of a model, and why."""

from collections.abc import Collection

import keras
import numpy as np

from kerastickets.errors import KerasTicketsError
from kerastickets.inspection.findings import WeightFinding
from kerastickets.models.masking import weight_reports
from kerastickets.models.pruned_weights import held_masks
from kerastickets.models.variables import walk
from kerastickets.models.weight_roles import depthwise_keys, output_keys


def weights_of(
    model: keras.Model, include: Collection[str] = (), exclude: Collection[str] = ()
) -> tuple[tuple[WeightFinding, ...], str]:
    """Every variable of a model, and why pruning by channel cannot tell its units; empty if it can.

    Args:
        model: a built model.
        include: as for `weight_reports`.
        exclude: as for `weight_reports`.

    Raises:
        RecipeError: a pattern matches no trainable variable.

    Example:
        >>> found, why = weights_of(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
        >>> [(weight.key, weight.pruned, weight.why) for weight in found], why
        ([('dense/kernel', True, 'kernel'), ('dense/bias', False, 'not a kernel or embedding')], '')
    """
    reports = {entry.key: entry for entry in weight_reports(model, include, exclude)}
    held = held_masks(model)
    pruned = {key for key, entry in reports.items() if entry.masked} | held.keys()
    left, units_why = _left_alone(model, pruned)
    found = []
    for key, variable, _ in walk(model):
        value = keras.ops.convert_to_numpy(variable.value)
        entry = reports.get(key)
        why = "it has a mask" if key in held else entry.why if entry else "not trainable"
        units = value.shape[-1] if key in pruned and left is not None and key not in left else None
        zeros = int(np.count_nonzero(value == 0))
        shape, masked = tuple(value.shape), key in held
        found.append(WeightFinding(key, shape, value.size, zeros, key in pruned, masked, why, units))
    return tuple(found), units_why


def _left_alone(model: keras.Model, keys: Collection[str]) -> tuple[set[str] | None, str]:
    """The weights that pruning by channel leaves alone; None, and why, if it cannot tell."""
    try:
        # A channel of an output layer is a class, and the last axis of a depthwise kernel is not a channel.
        return output_keys(model, keys) | depthwise_keys(model, keys), ""
    except KerasTicketsError:
        return None, (
            f"A {type(model).__name__} does not say which layers give its outputs, as a Sequential or Functional "
            "model does."
        )
