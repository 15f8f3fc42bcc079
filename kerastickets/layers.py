"""Mask-aware layers, for models whose layers carry their masks themselves.

They are Keras layers with masks as non-trainable weights: seen in `summary()`, saved with the `.keras`
file and found by the trainer. `aware` makes one of any layer class.

A plain `fit` keeps their zeros by itself. `kerastickets.callbacks.KeepMasks()` also keeps gradients of pruned
weights out of the optimizer's moments and clipping, and is needed where it averages weights (`use_ema`).
"""

import functools
from typing import Any

import keras

from kerastickets.errors import RecipeError
from kerastickets.models.architecture import is_keras, mark_aware
from kerastickets.models.masking import attach, weight_reports
from kerastickets.models.variables import mask_of, paths, walk


class Masks(keras.layers.Layer):
    """Holds the masks of one mask-aware layer, as a sublayer.

    Being a layer of its own, it is saved and loaded by Keras, whatever the outer layer's own
    `save_own_variables` does with its weights (Dense, for one, leaves extra variables out).
    """

    def cover(self, layer: keras.Layer) -> None:
        """Give each kernel and embedding of a built `layer` and its sublayers a mask of ones."""
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
    """A mask-aware version of any Keras layer class.

    A `.keras` file with such layers loads after `aware` has been called for their classes.

    Args:
        layer_class: a subclass of `keras.Layer`.

    Returns:
        A subclass of the same name that holds masks; the same class on every call.

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
        # Somebody's own `Dense` must not take the place of Keras's in files.
        name = made.__name__ if is_keras(layer_class) else f"{layer_class.__module__}.{made.__name__}"
        _made[layer_class] = keras.saving.register_keras_serializable("kerastickets", name)(made)
        mark_aware(made, layer_class)
    return _made[layer_class]


def _members(layer_class: Any) -> dict[str, Any]:
    # Keras reads the names of `build`'s arguments to know which shapes to pass, so they must stay.
    @functools.wraps(layer_class.build)
    def build(self: Any, *args: Any, **kwargs: Any) -> None:
        _build_sublayers(self, *args, **kwargs)
        layer_class.build(self, *args, **kwargs)
        self.masks = Masks(name="masks")
        self.masks.cover(self)

    doc = f"`{layer_class.__name__}` with a mask of its own for each kernel and embedding; same arguments."
    return {"__doc__": doc, "__module__": __name__, "build": build}


def _build_sublayers(layer: keras.Layer, *args: Any, **kwargs: Any) -> None:
    """Build what a layer without `build` would build when called, so that there are weights to mask."""
    if not getattr(layer.build, "_is_default", False):
        return
    shape = next(iter((*args, *kwargs.values())), None)
    unbuilt = [inner for path, inner in paths(layer) if path and not inner.built]
    if unbuilt and not layer._build_by_run_for_single_pos_arg(shape):
        raise RecipeError(
            f"A mask-aware layer must build its sublayers in `build`. Received: {type(layer).__name__}, which "
            f"has none, and could not be called on the shape {shape}"
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
