"""A model as Keras alone can rebuild it: no mask-aware layers, no optimizer, no classes of anybody else."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kerastickets.plugin import KerasTicketsError

if TYPE_CHECKING:
    import keras


def plain_copy(model: "keras.Model") -> tuple["keras.Model", dict[str, Any]]:
    """The model built anew from its architecture, with its weights, and that architecture.

    Args:
        model: a built model; it stays as it is.

    Returns:
        A model of Keras's own classes that is not compiled, and what `keras.saving.deserialize_keras_object`
        makes it of.

    Raises:
        KerasTicketsError: it cannot be built by Keras alone; names the layer and what that needs.

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
    except Exception as error:  # any fault of what the config names
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
    """The layers of an architecture that Keras cannot build by itself, each with what it needs.

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
    """What a part of an architecture needs besides Keras; None if nothing."""
    name, module, registered = node["class_name"], node.get("module"), node.get("registered_name")
    if name == "Lambda":
        return "Python code that its Lambda stores"
    if name == "function":  # written without its module, whosever it is
        return None if _known(node["config"]) else f"the function {node['config']}"
    if module is None:
        # Keras's marks for values have no registered name; a class of the main program has.
        return name if registered else None
    # Where a registered name has a package, Keras looks there and not at the module.
    known = module in ("builtins", "keras") or module.startswith("keras.")
    return None if known and ">" not in (registered or "") else f"{module}.{name}"


def _known(function: str) -> bool:
    import keras

    homes = (keras.activations, keras.constraints, keras.initializers, keras.losses, keras.metrics, keras.ops)
    return any(hasattr(home, function) for home in (*homes, keras.regularizers))
