"""The gate: what a ticket's architecture may name and allocate before Keras rebuilds it.

A ticket may come from anybody, and rebuilding a model runs the code that its configuration names. `refuse`
reads the configuration as plain JSON, without Keras, and lets through only names that are known to build
and compute. It is stricter than Keras's `safe_mode` and does not depend on it: `rebuild` applies both.
"""

import copy
import math
import re
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from kerastickets.errors import TicketError

if TYPE_CHECKING:
    import keras

# The parts of Keras whose functions are pure, and those whose classes make up models. The other parts, such
# as `keras.utils`, `keras.saving` and `keras.applications`, download, read and write files.
_FUNCTIONS = {"activations", "constraints", "initializers", "losses", "metrics", "ops", "regularizers"}
_CLASSES = _FUNCTIONS | {"dtype_policies", "layers", "models", "optimizers", "quantizers", "random"}
# These run stored code, load files, or need tables of words that no ticket stores.
_REFUSED = {
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("IndexLookup", "StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing"),
}
# Keras's marks for plain values. `__lambda__` and `__typespec__` are missing on purpose.
_ARRAYS = {"__tensor__", "__numpy__"}
_VALUES = _ARRAYS | {"__keras_tensor__", "__ellipsis__", "__slice__"}
_NUMBERS = re.compile(r"bool|(float|bfloat|int|uint)[0-9]{1,2}")  # a text dtype may claim any size
# A nested model takes about five levels, and Keras itself gives up soon after a hundred.
_DEEPEST = 256


def refuse_unsafe(architecture: Mapping[str, Any], custom_objects: Collection[str] = ()) -> None:
    """Raise unless `architecture` names only what is safe to build.

    Let through are the layers, operations, initializers and other parts of models in `keras` and
    `kerastickets`, Keras's functions by name, and what `custom_objects` names. Always refused are `Lambda`,
    layers of other frameworks (`TFSMLayer`, `TorchModuleWrapper`, `JaxLayer`, `FlaxLayer`), and layers for
    text: lookup, hashing and vectorization.

    Args:
        architecture: a Keras configuration as JSON, such as `Ticket.architecture`.
        custom_objects: names of the classes and functions that the caller vouches for: `"MyLayer"`, or
            `"package>MyLayer"` as it was registered. Being registered in this process is not enough.

    Raises:
        TicketError: naming the first place that is refused, and what it names.

    Example:
        >>> refuse_unsafe({"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}})
        >>> refuse_unsafe({"module": "keras.layers", "class_name": "Lambda", "config": {}})
        Traceback (most recent call last):
        ...
        kerastickets.errors.TicketError: A ticket may not hold keras.layers.Lambda. Received: architecture.
    """
    for where, node in [*_objects(architecture)]:
        if not _allowed(node, custom_objects):
            advice = "" if _REFUSED & {*_names(node)} else " If it is your own, pass it in `custom_objects`."
            raise TicketError(f"A ticket may not hold {_title(node)}. Received: {where}.{advice}")
        # Called on constants alone, it would compute now, on any size it likes, instead of joining the model.
        calls = node.get("inbound_nodes") or []
        if not all(map(_symbolic, calls if isinstance(calls, list) else [calls])):
            raise TicketError(f"{_title(node)} must be called on inputs of its model. Received: {where}.")


def _objects(architecture: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every JSON object that has a `class_name`, and where it is. A loop, since recursion could overflow."""
    pending: list[tuple[str, Any, int]] = [("architecture", architecture, 0)]
    while pending:
        where, node, depth = pending.pop()
        if depth > _DEEPEST:
            raise TicketError(f"An architecture is at most {_DEEPEST} levels deep. Received: {where[:80]}...")
        if isinstance(node, Mapping):
            if "class_name" in node:
                yield where, node
            pending += [(f"{where}.{key}", node[key], depth + 1) for key in reversed(node)]
        elif isinstance(node, (list, tuple)):
            pending += [(f"{where}[{i}]", node[i], depth + 1) for i in reversed(range(len(node)))]


def _allowed(node: Mapping[str, Any], custom_objects: Collection[str]) -> bool:
    kind, name, registered, module = (
        node["class_name"],
        _name(node),
        node.get("registered_name"),
        node.get("module"),
    )
    if not all(isinstance(text, str) for text in (kind, name, registered or "", module or "")):
        return False
    if kind in _VALUES:
        return kind not in _ARRAYS or bool(_NUMBERS.fullmatch(_dtype(node.get("config"))))
    if _REFUSED & {*_names(node)}:
        return False
    # Keras looks for a registered class before it looks at the module: that name decides what is built.
    custom = name if kind == "function" else registered or name
    if custom in custom_objects or _plain(custom) in custom_objects:
        return True
    # "layers.Lambda" of module "keras" would be one, too. Keras finds functions where it looks for classes.
    if not name.isidentifier() or not (kind == "function" or name[0].isupper()):
        return False
    if (module or "").partition(".")[0] == "kerastickets":
        return custom in (name, f"kerastickets>{name}")
    return registered in (None, kind, name) and _buildable(module or "", function=kind == "function")


def _buildable(module: str, function: bool) -> bool:
    """Whether `module` is a part of Keras that models are made of: `keras.layers`, `keras.src.ops.numpy`."""
    if module in ("builtins", "keras"):
        return function == (module == "builtins")
    part = module.removeprefix("keras.").removeprefix("src.").partition(".")[0]
    return module.startswith("keras.") and part in (_FUNCTIONS if function else _CLASSES)


def _dtype(config: Any) -> str:
    return str(config.get("dtype")) if isinstance(config, Mapping) else ""


def _symbolic(node: Any) -> bool:
    """Whether there is a tensor of the model among the arguments of a call."""
    if isinstance(node, Mapping) and "class_name" in node:
        return node["class_name"] == "__keras_tensor__"
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    return any(map(_symbolic, children))


def _name(node: Mapping[str, Any]) -> Any:
    """What Keras would look up: the name of a function is in `config`."""
    return node.get("config") if node["class_name"] == "function" else node["class_name"]


def _names(node: Mapping[str, Any]) -> Iterator[str]:
    """Every name by which Keras could know it, without the package that it was registered for."""
    found = (node["class_name"], _name(node), node.get("registered_name"))
    return (_plain(name) for name in found if isinstance(name, str))


def _plain(name: str) -> str:
    return name.rpartition(">")[2]


def _title(node: Mapping[str, Any]) -> str:
    name, module, registered = _name(node), node.get("module"), node.get("registered_name")
    title = f"{module}.{name}" if module else f"{name}"
    return title if registered in (None, name, node["class_name"]) else f"{title} ({registered})"


def rebuild_untrusted(
    architecture: Mapping[str, Any], limit: int, custom_objects: Mapping[str, Any] | None = None
) -> "keras.Model":
    """The Keras model of an architecture that may come from a stranger.

    Args:
        architecture: a Keras configuration as JSON.
        limit: how many weights it may have; checked before any of them is allocated.
        custom_objects: the caller's own classes and functions by name.

    Returns:
        A new model with freshly drawn weights.

    Raises:
        TicketError: `refuse` does, the model is larger than `limit`, or Keras cannot follow the architecture.
    """
    custom = dict(custom_objects or {})
    refuse_unsafe(architecture, custom)
    # Keras keeps variables that it deferred for the next scope of the same thread: this thread has no next.
    with ThreadPoolExecutor(1) as thread:
        size = thread.submit(_size, architecture, custom).result()
    if size > limit:
        raise TicketError(f"The architecture must need at most the {limit} values stored. Received: {size}.")
    return _deserialize(architecture, custom)


def _size(architecture: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> int:
    """How many weights the model would have, found without allocating any: this scope defers them."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        model = _deserialize(architecture, custom_objects)
        return sum(math.prod(map(int, weight.shape)) for weight in model.weights)


def _deserialize(architecture: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> "keras.Model":
    import keras

    # Keras finds our own layers by the names that these modules register on import.
    from kerastickets.models import normalization as normalizing

    assert normalizing
    config = copy.deepcopy(dict(architecture))  # Keras empties what it is given
    try:
        model = keras.saving.deserialize_keras_object(config, custom_objects=custom_objects, safe_mode=True)
    except Exception as error:  # whatever Keras, or a custom class, raises for what it cannot follow
        # Keras repeats the whole configuration at every level; the cause comes last.
        cause = str(error).rpartition("Exception encountered: ")[2].partition(" Full object config")[0]
        raise TicketError(
            f"Keras cannot rebuild the architecture. {type(error).__name__}: {cause}"
        ) from error
    if not isinstance(model, keras.Model):
        raise TicketError(f"An architecture must be that of a model. Received: a {type(model).__name__}.")
    return model
