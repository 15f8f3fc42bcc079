"""Mask-aware layers: Keras layers that hold their own masks.

The masks are non-trainable weights: `summary()` shows them, `.keras` files save them, and the trainer finds
them. `aware` makes a mask-aware version of any layer class.

A plain `fit` keeps pruned weights at zero. Adding `kerastickets.callbacks.KeepMasks()` also keeps the
gradients of pruned weights out of the optimizer's moments and clipping. It is required if the optimizer
averages weights (`use_ema`).
"""

import functools
from typing import Any

import keras

from kerastickets.errors import RecipeError
from kerastickets.models.architecture import is_keras, mark_aware
from kerastickets.models.masking import attach
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import mask_of, paths, walk


class Masks(keras.layers.Layer):
    """The sublayer that holds the masks of one mask-aware layer.

    The masks are in a separate layer so that Keras always saves and loads them. The outer layer's own
    `save_own_variables` may leave extra variables out, as the one of Dense does.
    """

    def cover(self, layer: keras.Layer) -> None:
        """Add a mask of ones for each unmasked kernel and embedding of a built `layer` and its sublayers."""
        own = {place.key: place.variable for place in walk(layer)}
        for key in [
            entry.key for entry in weight_reports(layer) if entry.masked and mask_of(own[entry.key]) is None
        ]:
            value = self.add_weight(
                name=key.replace("/", "_") + "_mask",
                shape=own[key].shape,
                initializer="ones",
                dtype=own[key].dtype,
                trainable=False,
                autocast=False,
            )
            attach(own[key], value)
        self.built = True


_made: dict[type, type] = {}


def aware(layer_class: type) -> type:
    """Make a mask-aware version of a Keras layer class.

    To load a `.keras` file with such layers, first call `aware` for each of their classes.

    Args:
        layer_class: a subclass of `keras.Layer`.

    Returns:
        A subclass of the same name whose layers hold masks. Every call with `layer_class` returns this class.

    Example:
        >>> layer = aware(keras.layers.Dense)(3)
        >>> layer.build((None, 2))
        >>> [weight.name for weight in layer.non_trainable_weights]
        ['kernel_mask']
    """
    if layer_class in _made.values():
        return layer_class
    if layer_class not in _made:
        made = type(layer_class.__name__, (layer_class,), _members(layer_class))
        # A custom class `Dense` must not replace Keras's `Dense` in files, so its name includes its module.
        name = made.__name__ if is_keras(layer_class) else f"{layer_class.__module__}.{made.__name__}"
        _made[layer_class] = keras.saving.register_keras_serializable("kerastickets", name)(made)
        mark_aware(made, layer_class)
    return _made[layer_class]


def _members(layer_class: Any) -> dict[str, Any]:
    # Keras reads the argument names of `build` to know which shapes to pass, so `wraps` must keep them.
    @functools.wraps(layer_class.build)
    def build(self: Any, *args: Any, **kwargs: Any) -> None:
        _build_sublayers(self, *args, **kwargs)
        layer_class.build(self, *args, **kwargs)
        self.masks = Masks(name="masks")
        self.masks.cover(self)

    doc = f"`{layer_class.__name__}` with its own mask for each kernel and embedding; same arguments."
    return {"__doc__": doc, "__module__": __name__, "build": build}


def _build_sublayers(layer: keras.Layer, *args: Any, **kwargs: Any) -> None:
    """Build the sublayers of a layer without its own `build`, so that there are weights to mask.

    Keras would otherwise build them only when the layer is called.
    """
    if not getattr(layer.build, "_is_default", False):
        return
    shape = next(iter((*args, *kwargs.values())), None)
    unbuilt = [inner for path, inner in paths(layer) if path and not inner.built]
    if unbuilt and not layer._build_by_run_for_single_pos_arg(shape):
        raise RecipeError(
            f"A mask-aware layer must build its sublayers in `build`. Received: {type(layer).__name__}, which "
            f"has no `build`, and could not be called on the shape {shape}"
        )


Dense = aware(keras.layers.Dense)
EinsumDense = aware(keras.layers.EinsumDense)
Embedding = aware(keras.layers.Embedding)
Conv1D = aware(keras.layers.Conv1D)
Conv2D = aware(keras.layers.Conv2D)
Conv3D = aware(keras.layers.Conv3D)
Conv1DTranspose = aware(keras.layers.Conv1DTranspose)
Conv2DTranspose = aware(keras.layers.Conv2DTranspose)
Conv3DTranspose = aware(keras.layers.Conv3DTranspose)
DepthwiseConv1D = aware(keras.layers.DepthwiseConv1D)
DepthwiseConv2D = aware(keras.layers.DepthwiseConv2D)
SeparableConv1D = aware(keras.layers.SeparableConv1D)
SeparableConv2D = aware(keras.layers.SeparableConv2D)
MultiHeadAttention = aware(keras.layers.MultiHeadAttention)
SimpleRNN = aware(keras.layers.SimpleRNN)
LSTM = aware(keras.layers.LSTM)
GRU = aware(keras.layers.GRU)
