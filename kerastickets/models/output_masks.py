"""Which labels a net counts, where its layers mask padding."""

from typing import Any

import keras
import numpy as np


def output_masks(model: keras.Model, x: Any, batch_size: int = 500) -> list[np.ndarray | None]:
    """The mask of each output, as Keras's losses and metrics use it; empty if no output carries one.

    Args:
        model: a built model.
        x: inputs `(n, ...)` in the structure that the model takes.
        batch_size: examples per step; at least 1.

    Returns:
        For each output, booleans that are True where a label counts, or None if all count.

    Example:
        >>> layers = [keras.Input((3,)), keras.layers.Embedding(5, 2, mask_zero=True), keras.layers.Dense(2)]
        >>> output_masks(keras.Sequential(layers), np.array([[4, 1, 0]]))[0].tolist()
        [[True, True, False]]
    """
    tensors = getattr(model, "outputs", None) or []
    masks = [getattr(tensor, "_keras_mask", None) for tensor in tensors]
    if all(mask is None for mask in masks):
        return []
    found = keras.Model(model.inputs, [mask for mask in masks if mask is not None])
    made = iter(keras.tree.flatten(found.predict(x, batch_size=batch_size, verbose=0)))
    return [None if mask is None else np.asarray(next(made), bool) for mask in masks]
