"""Describe a model as JSON that is equal for equal models, and rebuild a model from that JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from kerastickets.errors import AlignError
from kerastickets.models.deserialization import deserialize
from kerastickets.models.initial_weights import python_random
from kerastickets.models.proof import check_copy
from kerastickets.models.variables import assign, check_aligned, shared_keys, snapshot, variables
from kerastickets.models.vocabularies import add_vocabularies
from kerastickets.tickets.layer_names import made_up, numbered

# The keys of a Keras config under which layer names stand.
_PLACES = {"name", "keras_history", "input_layers", "output_layers"}
# Maps each mask-aware class to its plain class. `kerastickets.layers.aware` fills it.
_plain: dict[type, type] = {}


def plain_class(layer_class: type) -> type:
    """The plain class behind a mask-aware layer class; any other class is returned unchanged."""
    return _plain.get(layer_class, layer_class)


def is_keras(layer_class: type) -> bool:
    """Whether Keras itself defines this class."""
    return layer_class.__module__.startswith("keras.")


def mark_aware(layer_class: type, base: type) -> None:
    """Record that `layer_class` is `base` plus masks, so that architectures name `base` instead."""
    _plain[layer_class] = base


def architecture(model: keras.Model) -> dict[str, Any]:
    """Describe a model as JSON: the Keras config of the model without masks.

    Two builds of the same model give equal values, because layer names that Keras made up are renumbered in
    the order in which they appear. Mask-aware layers appear as their plain class.

    Args:
        model: a built model.

    Returns:
        A JSON object that `rebuild` accepts. It is empty if the model has no config, as a subclassed model
        without `get_config`.

    Example:
        >>> build = lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> architecture(build()) == architecture(build())
        True
    """
    node = plain_config(model)
    return _rename(node, _new_names(node)) if node else {}


def plain_config(model: keras.Model) -> dict[str, Any]:
    """`architecture(model)` with the layer names that the model has now.

    Args:
        model: a built model.
    """
    try:
        node: dict[str, Any] = json.loads(
            json.dumps(keras.saving.serialize_keras_object(model), sort_keys=True)
        )
    except (NotImplementedError, TypeError, ValueError):
        return {}
    build = node.get("build_config")
    add_vocabularies(node, model)
    _clean(node)
    if not isinstance(model, keras.Sequential) and not hasattr(model, "_nodes_by_depth"):
        # Building a subclassed model needs its input shape, which only build_config holds.
        node["build_config"] = build
    return node


def _clean(node: Any) -> None:
    """Drop compile and build state, and replace each mask-aware class by its plain class."""
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
    """The new name for each made-up layer name. No new name equals a name that the user chose."""
    stems: dict[str, str | None] = {}
    for name, class_name in _named(node):
        stems.setdefault(name, made_up(name, class_name))
    own = [name for name, stem in stems.items() if stem is None]
    invented = {name: stem for name, stem in stems.items() if stem is not None}
    labels = [*numbered([*own, *invented.values()])]
    return dict(zip(invented, labels[len(own) :], strict=True))


def _named(node: Any) -> Iterator[tuple[str, str]]:
    """The name and class of every layer, in the order in which they appear."""
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
        # Outputs may be a mapping; then its values name layers, as the items of a list do.
        return {key: _rename(value, names, here or key in _PLACES) for key, value in node.items()}
    if isinstance(node, list):
        return [_rename(value, names, here) for value in node]
    return names.get(node, node) if here and isinstance(node, str) else node


def rebuild(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> keras.Model:
    """Build a new model from an `architecture` that this process made itself.

    For an architecture from a file, use `Ticket.build`: it first checks the classes and functions that the
    architecture names.

    Args:
        config: what `architecture` returned.
        custom_objects: your classes by name, for layers that Keras does not define.

    Returns:
        A built model with freshly drawn weights.
    """
    with python_random():
        return deserialize(config, custom_objects)


def custom_classes(model: keras.Model) -> dict[str, type]:
    """The layer classes of a live model that Keras does not define, by both names that Keras may look up."""
    layers = model._flatten_layers() if isinstance(model, keras.Layer) else []
    own = {plain_class(type(layer)) for layer in layers}
    strangers = [cls for cls in own if not is_keras(cls)]
    return {name: cls for cls in strangers for name in (cls.__name__, keras.saving.get_registered_name(cls))}


def faithful_architecture(
    model: keras.Model, custom_objects: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return `architecture(model)`, after checking that it rebuilds a model that computes the same.

    Args:
        model: a built model.
        custom_objects: custom classes and functions by name, besides the classes of the model's layers.

    Returns:
        The architecture. It is empty if the model cannot be rebuilt from a config at all.

    Raises:
        AlignError: the rebuilt model has different keys or shapes, as when a nested model and its outer model share a
            layer, because Keras rebuilds it as two layers; or it computes something else.
    """
    config = architecture(model)
    if not config:
        return {}
    try:
        twin = rebuild(config, custom_classes(model) | dict(custom_objects or {}))
    except Exception:  # any error in a custom from_config means "not rebuildable"
        return {}
    if not twin.built:
        return {}
    check_twin(model, twin)
    return config


def check_twin(model: keras.Model, twin: keras.Model) -> None:
    """Give a model that was rebuilt from a config the weights of the original, and refuse it if it differs.

    Args:
        model: the original.
        twin: the rebuilt model. Its weights are set.

    Raises:
        AlignError: keys, shapes, shared weights or outputs differ.
    """
    try:
        check_aligned(_shapes(twin), _shapes(model))
    except AlignError as error:
        raise AlignError(
            f"The model rebuilt from its own config differs: {error} A layer shared between a nested and an"
            " outer model, or inside another layer, does this; build the model without sharing across that border, or"
            " pass a function."
        ) from error
    if tied := sorted(shared_keys(model) - shared_keys(twin)):
        raise AlignError(
            "Weights that are one variable must be one in the model rebuilt from its config. Received: "
            f"{' and '.join(tied[0])}, which are tied after the layers are made. Tie them in the class of a layer or "
            "of the model, or pass a function that builds the model."
        )
    assign(twin, snapshot(model))
    check_copy(model, twin)


def _shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    return {key: tuple(variable.shape) for key, variable in variables(model).items()}
