"""Copy a model so that Keras alone can rebuild it: no mask-aware layers, no optimizer, no foreign classes."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kerastickets.plugin import KerasTicketsError

if TYPE_CHECKING:
    import keras


def plain_copy(model: "keras.Model") -> tuple["keras.Model", dict[str, Any]]:
    """Rebuild a model from its architecture and copy its weights.

    Args:
        model: a built model; it stays unchanged.

    Returns:
        The copy, made of Keras's own classes and not compiled, and its architecture, from which
        `keras.saving.deserialize_keras_object` can build it.

    Raises:
        KerasTicketsError: Keras alone cannot build the model. The message names the layer and what the layer
            needs.

    Example:
        >>> import keras
        >>> copy, config = plain_copy(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
        >>> copy.compiled, config["class_name"]
        (False, 'Sequential')
    """
    from kerastickets.plugin import architecture, assign, rebuild, snapshot

    config = architecture(model)
    if not config:
        raise _refused(f"a {type(model).__name__} without a config")
    for layer, needed in strangers(config):
        raise _refused(f"layer '{layer}', which needs {needed}")
    try:
        copy = rebuild(config)
    except Exception as error:  # whatever the classes that the config names may raise
        cause = str(error).partition(" Full object config")[0][:300]
        raise _refused(f"one that Keras cannot build, {type(error).__name__}: {cause}") from error
    assign(copy, snapshot(model))
    return copy, config


def _refused(received: str) -> KerasTicketsError:
    return KerasTicketsError(
        f"The model must load with Keras alone. Received: {received}. Export it as saved-model, litert or onnx, "
        "which hold the graph instead of classes."
    )


def strangers(node: Any, layer: str = "") -> Iterator[tuple[str, str]]:
    """The layers of an architecture that Keras cannot build by itself, each with the class or function it needs.

    Args:
        node: an architecture as JSON, or a part of one.
        layer: the name of the layer that the part belongs to.

    Example:
        >>> config = {"name": "lrn"}
        >>> [*strangers({"module": "mine", "class_name": "Norm", "registered_name": "my>Norm", "config": config})]
        [('lrn', 'mine.Norm')]
    """
    if isinstance(node, Mapping):
        config = node.get("config")
        if isinstance(node.get("class_name"), str):
            layer = config.get("name", layer) if isinstance(config, Mapping) else layer
            if needed := _needed(node):
                yield layer, needed
        for child in node.values():
            yield from strangers(child, layer)
    elif isinstance(node, list):
        for child in node:
            yield from strangers(child, layer)


def _needed(node: Mapping[str, Any]) -> str | None:
    """The class or code besides Keras that a part of an architecture needs; None if it needs nothing."""
    name, module, registered = node["class_name"], node.get("module"), node.get("registered_name")
    if name == "Lambda":
        return "Python code that its Lambda stores"
    if name == "function":  # stored without its module, for Keras's functions as for others
        return None if _known(node["config"]) else f"the function {node['config']}"
    if module is None:
        # Keras's markers for special values have no registered name; a class of the main program has one.
        return name if registered else None
    # If the registered name has a package, Keras looks the class up there and not in the module.
    known = module in ("builtins", "keras") or module.startswith("keras.")
    return None if known and ">" not in (registered or "") else f"{module}.{name}"


def _known(function: str) -> bool:
    import keras

    homes = (keras.activations, keras.constraints, keras.initializers, keras.losses, keras.metrics, keras.ops)
    return any(hasattr(home, function) for home in (*homes, keras.regularizers))
