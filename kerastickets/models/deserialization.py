"""Let Keras build a model from its configuration, in a time that grows with the number of layers and not its square.

`keras.Sequential.from_config` adds the layers one by one and builds the whole model anew after each. Here, a stand-in
for the class adds all layers first and builds the model once. Keras itself is left unchanged.
"""

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import keras

# No class can be registered under this name by accident: Keras forms names as `package>name`.
_NAME = "built once>"


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Do what `keras.saving.deserialize_keras_object` does, but build each `Sequential` model only once.

    Args:
        config: a Keras configuration as JSON; it is not changed.
        custom_objects: the caller's own classes and functions by name.

    Returns:
        The object: a new model, layer or other part of Keras. Lambdas are refused.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")], name="net")
        >>> again = deserialize(keras.saving.serialize_keras_object(model))
        >>> again.name, again.layers[0].name, again.output_shape
        ('net', 'out', (None, 1))
    """
    custom = dict(custom_objects or {})
    stand_ins: dict[str, _BuiltOnce] = {}
    swapped = _swapped(dict(config), custom, stand_ins)
    return keras.saving.deserialize_keras_object(swapped, custom_objects=custom | stand_ins, safe_mode=True)


class _BuiltOnce:
    """Stands in for a `Sequential` class while Keras reads a configuration."""

    def __init__(self, model_class: type[keras.Sequential]) -> None:
        self.model_class = model_class

    def from_config(
        self, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> keras.Sequential:
        """What `Sequential.from_config` returns."""
        if not isinstance(config.get("layers"), list) or "name" not in config:
            return self.model_class.from_config(config, custom_objects)  # raises the error that fits
        read = keras.saving.deserialize_keras_object
        layers = [read(layer, custom_objects=custom_objects) for layer in config["layers"]]
        model = self.model_class(name=config["name"])
        for layer in layers[:-1]:
            model.add(layer, rebuild=False)
        for layer in layers[-1:]:
            model.add(layer)
        shape = config.get("build_input_shape")
        if not model._functional and shape and isinstance(shape, list | tuple):
            model.build(shape)
        return model


def _swapped(node: Any, custom: Mapping[str, Any], stand_ins: dict[str, _BuiltOnce]) -> Any:
    """A copy of `node` that names the stand-ins of its Sequential classes. It adds them to `stand_ins`."""
    if isinstance(node, list | tuple):
        items = [_swapped(item, custom, stand_ins) for item in node]
        return tuple(items) if isinstance(node, tuple) else items
    if not isinstance(node, Mapping):
        return copy.deepcopy(node)
    if not isinstance(node.get("class_name"), str) or "config" not in node:
        return {key: _swapped(value, custom, stand_ins) for key, value in node.items()}
    found, plain = _class(node, custom)
    # A class of the caller may keep its configuration and show it later, so it gets the one that was stored.
    kept = () if plain else ("config",)
    result = {
        key: copy.deepcopy(value) if key in kept else _swapped(value, custom, stand_ins)
        for key, value in node.items()
    }
    if plain and found is not None and issubclass(found, keras.Sequential):
        name = f"{_NAME}{id(found)}"
        stand_ins[name] = _BuiltOnce(found)
        # Where there is no key `module`, Keras reads an older format and ignores the registered name.
        result |= {"module": node.get("module"), "registered_name": name}
    return result


def _class(node: Mapping[str, Any], custom: Mapping[str, Any]) -> tuple[type | None, bool]:
    """The model class that Keras finds for `node`, if it is one, and whether only Keras's own code reads `node`."""
    kind, module = node["class_name"], node.get("module")
    registered = node.get("registered_name", kind)
    found = keras.saving.get_registered_object(registered, custom_objects=custom)
    if found is None:
        builtin = isinstance(module, str) and module.partition(".")[0] == "keras"
        sequential = builtin and kind == "Sequential" and registered in (None, kind)
        return keras.Sequential if sequential else None, builtin
    if not isinstance(found, type) or not issubclass(found, keras.Model):
        return None, False
    base = keras.Sequential if issubclass(found, keras.Sequential) else keras.Model
    methods = ("from_config", "add") if base is keras.Sequential else ("from_config",)
    return found, all(
        inspect.getattr_static(found, name) is inspect.getattr_static(base, name) for name in methods
    )
