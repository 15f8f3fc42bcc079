"""What pruning does with each weight of a model, and why."""

from collections.abc import Collection

import keras
import numpy as np

from kerastickets.errors import KerasTicketsError
from kerastickets.inspection.findings import WeightFinding
from kerastickets.models.masking import weight_reports
from kerastickets.models.pruned_weights import held_masks
from kerastickets.models.variables import walk
from kerastickets.models.weight_roles import output_keys
from kerastickets.pruning.unit_groups import UnitGroups


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
    going, units_why = _units_that_can_go(model, pruned)
    found = []
    for key, variable, _ in walk(model):
        value = keras.ops.convert_to_numpy(variable.value)
        entry = reports.get(key)
        why = "it has a mask" if key in held else entry.why if entry else "not trainable"
        units = going.get(key) if key in pruned else None
        zeros = int(np.count_nonzero(value == 0))
        shape, masked = tuple(value.shape), key in held
        found.append(WeightFinding(key, shape, value.size, zeros, key in pruned, masked, why, units))
    return tuple(found), units_why


def _units_that_can_go(model: keras.Model, keys: Collection[str]) -> tuple[dict[str, int], str]:
    """How many units of each weight pruning by channel may remove; empty, and why, if it cannot tell."""
    try:
        masks = {key: np.ones(tuple(variable.shape), bool) for key, variable, _ in walk(model) if key in keys}
        groups = UnitGroups.of(model, masks, output_keys(model, keys)).groups
    except KerasTicketsError:
        return {}, (
            f"A {type(model).__name__} does not say which layers give its outputs, as a Sequential or Functional "
            "model does."
        )
    units = {key: np.concatenate([axis.units for axis in axes]) for key, axes in groups.items()}
    return {key: len(np.unique(names[names >= 0])) for key, names in units.items()}, ""
