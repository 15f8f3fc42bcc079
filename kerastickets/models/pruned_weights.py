"""Masks and weights that agree: find pruned weights that something else wrote to, and set them to zero again."""

import warnings

import keras
import numpy as np

from kerastickets.errors import RecipeError
from kerastickets.models.variables import mask_of, variables, walk


def held_masks(model: keras.Layer) -> dict[str, np.ndarray]:
    """The masks that `model` holds, without a look at its weights."""
    own = ((key, mask_of(variable)) for key, variable in variables(model).items())
    return {key: keras.ops.convert_to_numpy(mask.value.value) != 0 for key, mask in own if mask}


def reconcile(model: keras.Layer) -> dict[str, int]:
    """Set pruned weights to zero where something else wrote other values, and warn.

    Only optimizers respect masks. Loading weights, restoring the best weights and averages of an own loop write to
    variables without asking.

    Returns:
        How many pruned weights had other values than zero, by key; keys without any are left out.

    Raises:
        RecipeError: a layer computes with other weights than the masked ones, as after `enable_lora`.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> from kerastickets.models.masking import sparsify
        >>> _ = sparsify(model, {"dense/kernel": np.array([[True], [False]])})
        >>> _ = model.layers[0].kernel.assign([[1.0], [2.0]])
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     reconcile(model), float(model.layers[0].kernel[1, 0])
        ({'dense/kernel': 1}, 0.0)
    """
    found: dict[str, int] = {}
    for key, variable, layer in walk(model):
        mask = mask_of(variable)
        if mask is None:
            continue
        if getattr(layer, "lora_enabled", False):
            raise RecipeError(
                f"A mask acts on {key} alone, but the layer adds a product of LoRA matrices to it, so pruned weights "
                "come back. Prune after merging: save the model and load it again, or prune without enable_lora."
            )
        value = keras.ops.convert_to_numpy(variable.value)
        back = (value != 0) & (keras.ops.convert_to_numpy(mask.value.value) == 0)
        if back.any():
            found[key] = int(np.count_nonzero(back))
            variable.assign(np.where(back, 0, value))
    if found:
        counts = ", ".join(f"{count:,} of {key}" for key, count in found.items())
        warnings.warn(
            f"Something wrote to pruned weights, such as load_weights or restore_best_weights: {counts} were not zero. "
            "They are zero again. What was measured before may not hold any more.",
            RuntimeWarning,
            stacklevel=3,
        )
    return found
