"""A model's config as JSON that is equal for equal models, and building a model from it."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from kerastickets.errors import AlignError
from kerastickets.models.initial_weights import python_random
from kerastickets.models.variables import check_aligned, variables
from kerastickets.tickets.layer_names import made_up, numbered

# The places of a Keras config that hold layer names.
_PLACES = {"name", "keras_history", "input_layers", "output_layers"}
# Filled by `kerastickets.layers.aware`: the plain class of each mask-aware one.
_plain: dict[type, type] = {}


def plain_class(layer_class: type) -> type:
    """The Keras class that a mask-aware layer class was made of; any other class is its own."""
    return _plain.get(layer_class, layer_class)


def is_keras(layer_class: type) -> bool:
    """Whether Keras itself defines this class."""
    return layer_class.__module__.startswith("keras.")


def mark_aware(layer_class: type, base: type) -> None:
    """Record that `layer_class` is `base` with masks, so that architectures name `base`."""
    _plain[layer_class] = base


def architecture(model: keras.Model) -> dict[str, Any]:
    """The config of the plain model, with made-up layer names renumbered in reading order.

    Two builds of one model give the same value; mask-aware layers appear as their base class.

    Args:
        model: a built model.

    Returns:
        A JSON object for `rebuild`; empty where the model has no config (a subclassed model without
        `get_config`).

    Example:
        >>> build = lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> architecture(build()) == architecture(build())
        True
    """
    try:
        node = json.loads(json.dumps(keras.saving.serialize_keras_object(model), sort_keys=True))
    except (NotImplementedError, TypeError, ValueError):
        return {}
    build = node.get("build_config")
    _clean(node)
    if not isinstance(model, keras.Sequential) and not hasattr(model, "_nodes_by_depth"):
        # A subclassed model is built by its input shape, which only its build_config knows.
        node["build_config"] = build
    return _rename(node, _new_names(node))


def _clean(node: Any) -> None:
    """Drop compile state, and give mask-aware layers back their base class."""
    if isinstance(node, dict):
        node.pop("compile_config", None)
        node.pop("build_config", None)
        for aware, base in _plain.items():
            if node.get("registered_name") == keras.saving.get_registered_name(aware):
                own = (base.__module__, keras.saving.get_registered_name(base))
                module, registered = ("keras.layers", None) if is_keras(base) else own
                node.update(module=module, class_name=base.__name__, registered_name=registered)
    for child in _children(node):
        _clean(child)


def _new_names(node: Any) -> dict[str, str]:
    """What every made-up layer name becomes; names that somebody chose are never given to another layer."""
    stems: dict[str, str | None] = {}
    for name, class_name in _named(node):
        stems.setdefault(name, made_up(name, class_name))
    own = [name for name, stem in stems.items() if stem is None]
    invented = {name: stem for name, stem in stems.items() if stem is not None}
    labels = [*numbered([*own, *invented.values()])]
    return dict(zip(invented, labels[len(own) :], strict=True))


def _named(node: Any) -> Iterator[tuple[str, str]]:
    """The name and class of every layer, in reading order."""
    if isinstance(node, dict):
        config = node.get("config")
        name = node.get("name") or (config.get("name") if isinstance(config, dict) else None)
        if isinstance(name, str) and isinstance(node.get("class_name"), str):
            yield name, node["class_name"]
    for child in _children(node):
        yield from _named(child)


def _children(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _rename(node: Any, names: Mapping[str, str], here: bool = False) -> Any:
    if isinstance(node, dict):
        # Outputs may be a mapping, whose values name layers as a list's would.
        return {key: _rename(value, names, here or key in _PLACES) for key, value in node.items()}
    if isinstance(node, list):
        return [_rename(value, names, here) for value in node]
    return names.get(node, node) if here and isinstance(node, str) else node


def rebuild(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> keras.Model:
    """A fresh model from an `architecture` that this process made itself.

    Architectures that came from a file go through `Ticket.build`, which checks what they name first.

    Args:
        config: what `architecture` returned.
        custom_objects: classes by name, for layers that are not Keras's.

    Returns:
        A built model with freshly drawn weights.
    """
    # Keras empties the config it is given.
    config = copy.deepcopy(dict(config))
    with python_random():
        return keras.saving.deserialize_keras_object(config, custom_objects=dict(custom_objects or {}))


def custom_classes(model: keras.Model) -> dict[str, type]:
    """The layer classes of a live model that are not Keras's own, by both names Keras looks up."""
    layers = model._flatten_layers() if isinstance(model, keras.Layer) else []
    own = {plain_class(type(layer)) for layer in layers}
    strangers = [cls for cls in own if not is_keras(cls)]
    return {name: cls for cls in strangers for name in (cls.__name__, keras.saving.get_registered_name(cls))}


def faithful_architecture(
    model: keras.Model, custom_objects: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`architecture(model)`, after rebuilding it once and comparing keys and shapes.

    Args:
        model: a built model.
        custom_objects: its classes and functions by name, besides the classes of its layers.

    Returns:
        The architecture; empty where the model cannot be rebuilt from a config at all.

    Raises:
        AlignError: the rebuilt model has other keys or shapes, as when Keras un-shares a layer that a
            nested and an outer model share.
    """
    config = architecture(model)
    if not config:
        return {}
    try:
        twin = rebuild(config, custom_classes(model) | dict(custom_objects or {}))
    except Exception:  # any fault of a stranger's from_config means "not rebuildable"
        return {}
    if not twin.built:
        return {}
    try:
        check_aligned(_shapes(twin), _shapes(model))
    except AlignError as error:
        raise AlignError(
            f"The model rebuilt from its own config differs: {error} A layer shared between a nested and an"
            " outer model does this; build the model without sharing across that border, or pass a function."
        ) from error
    return config


def _shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    return {key: tuple(variable.shape) for key, variable in variables(model).items()}
