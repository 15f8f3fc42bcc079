"""Write losses, metrics and optimizers as JSON into tickets, and read them back, whoever the tickets come from."""

import inspect
import json
from collections.abc import Mapping
from typing import Any

import keras

from kerastickets.errors import RecipeError, TicketError
from kerastickets.models.untrusted import refuse_unsafe

# The key of a loss or metric that is recorded by its name alone.
_BY_NAME = "by_name"


def record_part(part: Any) -> Any:
    """A loss, a metric, or a structure of them, as JSON.

    What no file can hold, such as a lambda or a function of one's own, is recorded by its name.

    Example:
        >>> record_part({"a": "mse", "b": lambda y, p: p})
        {'a': 'mse', 'b': {'by_name': '<lambda>'}}
    """
    if isinstance(part, Mapping):
        return {str(key): record_part(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [record_part(value) for value in part]
    if part is None or isinstance(part, str | int | float):
        return part
    name = getattr(part, "__name__", None) or type(part).__name__
    if name == "<lambda>":
        return {_BY_NAME: name}
    try:
        found = json.loads(json.dumps(keras.saving.serialize_keras_object(part)))
    except (TypeError, ValueError, NotImplementedError, AttributeError):
        return {_BY_NAME: name}
    if not isinstance(found, dict):
        return found if isinstance(found, str) and _keras_has(found) else {_BY_NAME: name}
    if isinstance(found.get("config"), dict):
        found["config"] |= lost_options(part, found["config"])
    own = str(found.get("module") or "").partition(".")[0] not in ("keras", "kerastickets", "builtins")
    own = own or (found.get("class_name") == "function" and not _keras_has(str(found.get("config"))))
    by_name = own and _is_function(part)
    return {_BY_NAME: name} if by_name else found


def compiled_recipe(model: keras.Model) -> dict[str, Any]:
    """The optimizer that a model was compiled with, as a setting of training; empty if there is none."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return {}
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return {"optimizer": keras.optimizers.serialize(inner)}


def _is_function(part: Any) -> bool:
    """Whether a loss or a metric is a plain function, which has no config."""
    return callable(part) and not hasattr(part, "get_config")


def _keras_has(name: str) -> bool:
    for get in (keras.losses.get, keras.metrics.get):
        try:
            return get(name) is not None
        except (ValueError, TypeError):
            continue
    return False


def lost_options(thing: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a loss or a metric that its class takes but leaves out of its config.

    Keras's own Huber leaves out `delta`, and CosineSimilarity `axis`: made again from their configs, they would compute
    something else.

    Args:
        thing: the loss or the metric.
        config: its config.

    Example:
        >>> huber = keras.losses.Huber(delta=2.0)
        >>> lost_options(huber, huber.get_config())
        {'delta': 2.0}
    """
    kept = vars(thing) | (vars(thing).get("_fn_kwargs") or {})
    return {
        name: kept[name]
        for name in inspect.signature(type(thing).__init__).parameters
        if name not in config and isinstance(kept.get(name), int | float | str)
    }


def again(thing: Any) -> Any:
    """A new copy of a loss or a metric, without the values that a metric has accumulated."""
    config = thing.get_config()
    return type(thing).from_config(config | lost_options(thing, config))


def read_part(part: Any, name: str, custom_objects: Mapping[str, Any]) -> Any:
    """Read what `record_part` wrote.

    Args:
        part: the JSON, which may come from anybody.
        name: what it is, for messages.
        custom_objects: the caller's losses and metrics by name.

    Raises:
        RecipeError: a part is recorded by its name, and is not among `custom_objects`.
        TicketError: the JSON names something that a ticket may not name, or Keras cannot read it.
    """
    if missing := _unknown(part, custom_objects):
        raise RecipeError(
            f"The ticket's net was compiled with a {name} that its file cannot hold. Received: {', '.join(missing)}. "
            "Give it in custom_objects (--custom MODULE:NAME), or give the compiled model (--model)."
        )
    refuse_unsafe({"compiled": part}, custom_objects)
    try:
        return _loaded(part, custom_objects)
    except Exception as error:  # a stranger's config can make Keras raise anything
        cause = " ".join(str(error).split())[:200]
        raise TicketError(
            f"The {name} of a ticket must be one that Keras can read. Received: {cause}"
        ) from error


def _unknown(part: Any, custom_objects: Mapping[str, Any]) -> list[str]:
    """The names of what a record holds by its name alone and the caller does not give."""
    if isinstance(part, Mapping):
        if set(part) == {_BY_NAME}:
            return [] if str(part[_BY_NAME]) in custom_objects else [str(part[_BY_NAME])[:80]]
        return [name for value in part.values() for name in _unknown(value, custom_objects)]
    return (
        [name for value in part for name in _unknown(value, custom_objects)] if isinstance(part, list) else []
    )


def _loaded(part: Any, custom_objects: Mapping[str, Any]) -> Any:
    if isinstance(part, Mapping):
        if set(part) == {_BY_NAME}:
            return custom_objects[part[_BY_NAME]]
        if "class_name" in part:
            return keras.saving.deserialize_keras_object(dict(part), dict(custom_objects))
        return {key: _loaded(value, custom_objects) for key, value in part.items()}
    if isinstance(part, list):
        return [_loaded(value, custom_objects) for value in part]
    return part
