"""Make layers that hold their own masks, and rebuild a model of them."""

import functools
from collections.abc import Mapping
from typing import Any

import keras

from kerastickets.errors import AlignError, RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.models.architecture import (
    check_twin,
    custom_classes,
    is_keras,
    mark_aware,
    plain_class,
    plain_config,
    rebuild,
)
from kerastickets.models.masking import assign_masks, attach, masks_of
from kerastickets.models.prunable_weights import kernels
from kerastickets.models.variables import check_built, mask_of, paths, walk


class Masks(keras.layers.Layer):
    """The sublayer that holds the masks of one mask-aware layer.

    The masks are in a separate layer so that Keras always saves and loads them. The outer layer's own
    `save_own_variables` may leave extra variables out, as the one of Dense does.
    """

    def cover(self, layer: keras.Layer) -> None:
        """Add a mask of ones for each unmasked kernel and embedding of a built `layer` and its sublayers.

        Frozen ones get a mask as well: a layer must have the same masks in every process, and it can be frozen later.
        """
        own = {place.key: place.variable for place in walk(layer)}
        for key in [key for key in kernels(layer) if mask_of(own[key]) is None]:
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

    def load_own_variables(self, store: Any) -> None:
        """Read the masks from a file. A file from before frozen layers had masks keeps the ones."""
        if len(store.keys()):
            super().load_own_variables(store)


# The module that files name as the home of these classes.
_HOME = "kerastickets.layers"
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
    return {"__doc__": doc, "__module__": _HOME, "build": build}


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


def convert(
    model: keras.Model, custom_objects: Mapping[str, Any] | None = None, masks: Tree | None = None
) -> keras.Model:
    """Make the same model of mask-aware layers: its masks are weights, and `.keras` files keep them.

    A plain `fit` keeps the zeros, also after `keras.models.load_model` in another process that has imported
    `kerastickets.layers`. Layers that Keras does not define become mask-aware by `aware` as well. To load a file with
    them, first call `aware` for each of their classes.

    Args:
        model: a built Sequential or Functional model, with masks or without; models inside it may be nested and layers
            shared. It is not changed.
        custom_objects: your functions by name, if the model's config names any. Its layer classes are known.
        masks: booleans by key for kernels and embeddings, True where kept. None takes the masks that the model holds.

    Returns:
        A new model, not compiled, with the same weights and layer names. Every kernel and embedding has a mask: the
        one that it has in `model`, or ones.

    Raises:
        AlignError: the model or a model inside it is subclassed, so that its layers cannot be exchanged; it has masks
            of other weights than kernels and embeddings, such as biases; or the model made from its config differs.
        RecipeError: the model is not built.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
        >>> model.layers[0].kernel.constraint, [w.name for w in convert(model).layers[0].weights]
        (None, ['kernel', 'bias', 'kernel_mask'])
    """
    check_built(model)
    masks = masks_of(model) if masks is None else masks
    wanted = kernels(model)
    config = plain_config(model)
    names = {} if _subclassed(model) or not config else _exchanged(model)
    _exchange(config, names)
    twin = rebuild(config, custom_classes(model) | dict(custom_objects or {})) if names else None
    held = {} if twin is None else masks_of(twin)
    if twin is None or not held.keys() >= {*wanted}:
        raise AlignError(
            "Layers are made mask-aware by building a Sequential or Functional model again from its config. Received: "
            f"a {type(model).__name__} that is subclassed, or holds a subclassed model. Build it of layers of "
            "kerastickets.layers, or keep its masks in a ticket."
        )
    if others := sorted(masks.keys() - held.keys()):
        raise AlignError(
            f"Mask-aware layers hold masks of kernels and embeddings. Received: a mask of {others[0]}. Leave it out, "
            "or keep the masks in a ticket."
        )
    check_twin(model, twin)
    assign_masks(twin, masks)
    return twin


def _subclassed(model: keras.Model) -> bool:
    """Whether the model, or a model inside it, does not say which layers it is made of."""
    models = [layer for _, layer in paths(model) if isinstance(layer, keras.Model)]
    return any(not hasattr(getattr(one, "_functional", one), "_nodes_by_depth") for one in models)


def _exchanged(model: keras.Model) -> dict[tuple[Any, ...], dict[str, Any]]:
    """For each layer class with kernels: what configs call it, and what they call its mask-aware version."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for _, layer in paths(model):
        if isinstance(layer, keras.Model | Masks) or not kernels(layer):
            continue
        own = plain_class(type(layer))
        module, registered = ("keras.layers", None) if is_keras(own) else (own.__module__, _registered(own))
        made = aware(own)
        found[module, own.__name__, registered] = {
            "module": made.__module__,
            "class_name": made.__name__,
            "registered_name": _registered(made),
        }
    return found


def _registered(layer_class: type) -> str:
    return str(keras.saving.get_registered_name(layer_class))


def _exchange(node: Any, names: Mapping[tuple[Any, ...], Mapping[str, Any]]) -> None:
    """Name the mask-aware classes in a config, in place."""
    if isinstance(node, dict):
        key = tuple(node.get(part) for part in ("module", "class_name", "registered_name"))
        node.update(names.get(key, {}) if all(isinstance(part, str | None) for part in key) else {})
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _exchange(child, names)
