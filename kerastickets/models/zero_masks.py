"""Masks read off from the weights: what a plain file keeps of a pruned model is its zeros."""

from collections.abc import Collection, Mapping

import keras
import numpy as np

from kerastickets.errors import RecipeError


def masks_of_zeros(
    own: Mapping[str, keras.Variable], keys: Collection[str], asked: str = "zeros"
) -> dict[str, np.ndarray]:
    """The masks that prune what is exactly zero.

    Args:
        own: variables by key.
        keys: the keys of the weights to make masks of.
        asked: what the caller asked for instead of masks; must be `zeros`.

    Returns:
        Boolean arrays by key, True where a weight is not zero.

    Raises:
        RecipeError: `asked` is something else, or a weight is zero everywhere.

    Example:
        >>> masks_of_zeros({"a": keras.Variable([0.0, -2.0])}, ["a"])
        {'a': array([False,  True])}
    """
    if asked != "zeros":
        raise RecipeError(f'`masks` must be boolean arrays by key, "zeros" or None. Received: {asked!r}')
    masks = {key: keras.ops.convert_to_numpy(own[key].value) != 0 for key in keys}
    empty = [key for key, mask in masks.items() if not mask.any()]
    if empty:
        raise RecipeError(
            "A weight whose zeros become its mask must not be zero everywhere, as one that was not trained yet. "
            f"Received: {', '.join(empty)}. Leave it out, as in sparsify(model, "
            f'"zeros", exclude=[{empty[0]!r}]), or give masks.'
        )
    return masks


def zeros_of(own: Mapping[str, keras.Variable], keys: Collection[str]) -> int:
    """How many of the weights under `keys` are exactly zero.

    Example:
        >>> zeros_of({"a": keras.Variable([0.0, -2.0])}, ["a"])
        1
    """
    return sum(int(np.count_nonzero(keras.ops.convert_to_numpy(own[key].value) == 0)) for key in keys)
