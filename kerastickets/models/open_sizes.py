"""The inputs that a model states, and the size that stands in for every axis that it leaves open.

The size is for where no example tells the length.
"""

from functools import partial
from typing import Any

import keras

from kerastickets.models.label_fit import input_specs

#: The sizes that are tried. The first is long enough for the interior of an image to differ from its borders after
#: several layers. The others are for models with a longest sequence, as those with position embeddings.
OPEN_SIZES = (96, 32, 8)


def has_open_sizes(model: keras.Model) -> bool:
    """Whether an input of a model has an axis of open length besides the batch axis.

    Example:
        >>> has_open_sizes(keras.Sequential([keras.Input((None, 3)), keras.layers.ReLU()]))
        True
    """
    specs = input_specs(model)
    return specs is not None and any(None in tensor.shape[1:] for tensor in keras.tree.flatten(specs))


def open_size(model: keras.Model) -> int:
    """The size that is used for all open axes of a model: the first of `OPEN_SIZES` that the model can take.

    Every part of the library asks here, so that all of them mean the same size.

    Args:
        model: a built model. Its shapes are only inferred; nothing is computed.

    Returns:
        The size. The first one if the model has no open axis, or takes none of the sizes.

    Example:
        >>> open_size(keras.Sequential([keras.Input((None, 3)), keras.layers.GlobalMaxPooling1D()]))
        96
    """
    if has_open_sizes(model):
        for size in OPEN_SIZES:
            try:
                model.compute_output_spec(
                    keras.tree.map_structure(partial(_closed, size=size), input_specs(model))
                )
                return size
            except Exception:  # a layer may raise anything where a size does not suit it
                continue
    return OPEN_SIZES[0]


def _closed(spec: Any, *, size: int) -> keras.KerasTensor:
    return keras.KerasTensor((spec.shape[0], *(axis or size for axis in spec.shape[1:])), spec.dtype)
