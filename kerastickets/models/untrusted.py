"""Check a ticket's architecture before Keras rebuilds it: which names it uses, and how many weights it needs.

A ticket may come from anybody, and rebuilding a model runs the code that its configuration names. So
`refuse_unsafe` reads the configuration as plain JSON, without Keras. It allows only names that are known to
build models or to compute. It is stricter than Keras's `safe_mode` and does not depend on it;
`rebuild_untrusted` applies both.
"""

import math
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from kerastickets.errors import TicketError
from kerastickets.foundations.strangers import printable
from kerastickets.models.build_time import check_build_time
from kerastickets.models.trust import trusted
from kerastickets.models.vocabularies import LOOKUPS, vocabulary_fault

if TYPE_CHECKING:
    import keras

# The parts of Keras with pure functions, and the parts with classes that models consist of. Other parts, such
# as `keras.utils`, `keras.saving` and `keras.applications`, download, read and write files.
_FUNCTIONS = {"activations", "constraints", "initializers", "losses", "metrics", "ops", "regularizers"}
_CLASSES = _FUNCTIONS | {"dtype_policies", "layers", "models", "optimizers", "quantizers", "random"}
# The part of Keras outside these whose modules have layers of their own, such as LayerScale, beside functions that
# download: only the layers themselves are allowed.
_LAYERS_BESIDE = "applications"
# These layers run stored code or load files, or are no layers to use.
_REFUSED = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "IndexLookup"}
# The class names that Keras gives to plain values. `__lambda__` and `__typespec__` are left out on purpose.
_ARRAYS = {"__tensor__", "__numpy__"}
_VALUES = _ARRAYS | {"__keras_tensor__", "__ellipsis__", "__slice__"}
_NUMBERS = re.compile(r"bool|(float|bfloat|int|uint)[0-9]{1,2}")  # a text dtype may claim any size
# A nested model takes about five levels, and Keras itself fails soon after a hundred.
_DEEPEST = 256
# An optimizer keeps at most this many values for each weight. States of recurrent layers are no weights either.
_BESIDES, _STATES = 8, 2**24
# How much of a name or of a text of Keras an error repeats.
_SHOWN = 200
# The way to a part of an architecture: the way to what holds it, and its key or index there.
_Place = tuple[Any, Any]


def refuse_unsafe(architecture: Mapping[str, Any], custom_objects: Collection[str] = ()) -> None:
    """Raise an error unless `architecture` names only classes and functions that are safe to build.

    Allowed: layers, operations, initializers and other parts of models in `keras` and `kerastickets`; Keras's
    functions by name; and the names in `custom_objects`. Always refused: `Lambda`; layers of other frameworks
    (`TFSMLayer`, `TorchModuleWrapper`, `JaxLayer`, `FlaxLayer`); and layers whose vocabulary is in a file.

    Args:
        architecture: a Keras configuration as JSON, such as `Ticket.architecture`.
        custom_objects: names of classes and functions that the caller trusts: `"MyLayer"`, or the registered
            name `"package>MyLayer"`. It is not enough that a class is registered in this process.

    Raises:
        TicketError: something is refused. The message names the first such thing and where it stands.

    Example:
        >>> refuse_unsafe({"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}})
        >>> refuse_unsafe({"module": "keras.layers", "class_name": "Lambda", "config": {}})
        Traceback (most recent call last):
        ...
        kerastickets.errors.TicketError: A ticket may not hold keras.layers.Lambda. Received: architecture.
    """
    for where, node in [*_objects(architecture)]:
        if not _allowed(node, custom_objects):
            advice = (
                ""
                if _REFUSED & {*_names(node)}
                else (" If it is your own, pass it in `custom_objects` (`--custom` on the command line).")
            )
            raise TicketError(f"A ticket may not hold {_title(node)}. Received: {_shown(where)}.{advice}")
        if LOOKUPS & {*_names(node)} and (fault := vocabulary_fault(node.get("config"))):
            raise TicketError(
                f"A layer that looks words up must have its vocabulary as a list. Received: {_title(node)} with "
                f"{fault}, at {_shown(where)}."
            )
        # A call on constants only would run at once, on data of any size, and not become part of the model.
        calls = node.get("inbound_nodes") or []
        if not all(map(_symbolic, calls if isinstance(calls, list) else [calls])):
            raise TicketError(
                f"{_title(node)} must be called on inputs of its model. Received: {_shown(where)}."
            )


def _objects(architecture: Mapping[str, Any]) -> Iterator[tuple[_Place, Mapping[str, Any]]]:
    """Every JSON object with a `class_name`, and its place. A loop, because recursion could overflow."""
    pending: list[tuple[_Place, Any, int]] = [((None, "architecture"), architecture, 0)]
    while pending:
        where, node, depth = pending.pop()
        if depth > _DEEPEST:
            raise TicketError(
                f"An architecture is at most {_DEEPEST} levels deep. Received: {_shown(where)[:80]}..."
            )
        if isinstance(node, Mapping):
            if "class_name" in node:
                yield where, node
            inner = [((where, key), node[key], depth + 1) for key in reversed(node)]
        else:
            inner = [((where, index), node[index], depth + 1) for index in reversed(range(len(node)))]
        pending += [part for part in inner if isinstance(part[1], Mapping | list | tuple)]


def _shown(place: _Place) -> str:
    """A place as text, such as `architecture.config.layers[1]`."""
    steps: list[str] = []
    above: Any = place
    while above is not None:
        above, step = above
        steps.append(f"[{step}]" if isinstance(step, int) else f".{_short(str(step))}")
    return "".join(reversed(steps))[1:]


def _short(text: str) -> str:
    return printable(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


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
    # Keras looks up the registered name before the module, so the registered name decides what is built.
    custom = name if kind == "function" else registered or name
    if custom in custom_objects or _plain(custom) in custom_objects:
        return True
    # Refuse names with a dot: "layers.Lambda" of module "keras" would be a Lambda, too. A class must begin
    # with a capital letter, because Keras also finds functions where it looks for classes.
    if not name.isidentifier() or not (kind == "function" or name[0].isupper()):
        return False
    if (module or "").partition(".")[0] == "kerastickets":
        return custom in (name, f"kerastickets>{name}")
    if registered not in (None, kind, name):
        return False
    return _buildable(module or "", function=kind == "function") or _layer_beside(module or "", name)


def _buildable(module: str, function: bool) -> bool:
    """Whether `module` is an allowed part of Keras, such as `keras.layers` or `keras.src.ops.numpy`."""
    if module in ("builtins", "keras"):
        return function == (module == "builtins")
    part = module.removeprefix("keras.").removeprefix("src.").partition(".")[0]
    return module.startswith("keras.") and part in (_FUNCTIONS if function else _CLASSES)


def _layer_beside(module: str, name: str) -> bool:
    """Whether `name` is a layer that a module of `keras.applications` defines. Nothing but Keras is imported."""
    if not module.startswith(f"keras.src.{_LAYERS_BESIDE}."):
        return False
    import keras

    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and issubclass(found, keras.Layer) and found.__module__ == module


def _dtype(config: Any) -> str:
    return str(config.get("dtype")) if isinstance(config, Mapping) else ""


def _symbolic(node: Any) -> bool:
    """Whether at least one argument of a call is a tensor of the model."""
    if isinstance(node, Mapping) and "class_name" in node:
        return node["class_name"] == "__keras_tensor__"
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    return any(map(_symbolic, children))


def _name(node: Mapping[str, Any]) -> Any:
    """The name that Keras would look up. For a function, it stands in `config`."""
    return node.get("config") if node["class_name"] == "function" else node["class_name"]


def _names(node: Mapping[str, Any]) -> Iterator[str]:
    """Every name by which Keras could look up this object, without the package of a registered name."""
    found = (node["class_name"], _name(node), node.get("registered_name"))
    return (_plain(name) for name in found if isinstance(name, str))


def _plain(name: str) -> str:
    return name.rpartition(">")[2]


def _title(node: Mapping[str, Any]) -> str:
    name, module, registered = _name(node), node.get("module"), node.get("registered_name")
    title = f"{module}.{name}" if module else f"{name}"
    return _short(title if registered in (None, name, node["class_name"]) else f"{title} ({registered})")


def rebuild_untrusted(
    architecture: Mapping[str, Any], limit: int, custom_objects: Mapping[str, Any] | None = None
) -> "keras.Model":
    """Build the Keras model of an architecture that may come from an untrusted source.

    Args:
        architecture: a Keras configuration as JSON.
        limit: the largest number of weights allowed. It is checked before any weight is allocated.
        custom_objects: the caller's own classes and functions by name.

    Returns:
        A new model with freshly drawn weights.

    Raises:
        TicketError: `refuse_unsafe` refuses the architecture, building it would take minutes, the model has more
            weights than `limit`, or Keras cannot rebuild it.
    """
    custom = trusted(custom_objects)
    refuse_unsafe(architecture, custom)
    check_build_time(architecture)
    # Keras would initialise deferred variables in the next scope of the same thread; this one has no next.
    with ThreadPoolExecutor(1) as thread:
        size = thread.submit(_size, architecture, custom, limit).result()
    if size > limit:
        shown = size if size < 2**63 else "more than any file can store"
        raise TicketError(f"The architecture must need at most the {limit} values stored. Received: {shown}.")
    return _deserialize(architecture, custom)


def _size(architecture: Mapping[str, Any], custom_objects: Mapping[str, Any], limit: int) -> int:
    """How many weights the model would have. None is allocated: in a graph, values are only planned.

    The stateless scope also leaves out the plans of initial values. It refuses variables that are made from a value,
    such as the state of a recurrent layer or of an optimizer; then every variable is planned and counted.
    """
    import keras
    import tensorflow as tf

    try:
        with tf.Graph().as_default(), keras.StatelessScope(initialize_variables=False):
            return _total(_deserialize(architecture, custom_objects).weights)
    except TicketError:
        pass
    try:
        return _planned(architecture, custom_objects, limit)
    except TicketError:
        if not custom_objects:
            raise
    # Classes of the caller may compute with values while they are built, which a graph does not have.
    with keras.StatelessScope(initialize_variables=False):
        return _total(_deserialize(architecture, custom_objects).weights)


def _planned(architecture: Mapping[str, Any], custom_objects: Mapping[str, Any], limit: int) -> int:
    """How many weights the model would have, with a bound on all that it allocates besides them."""
    import tensorflow as tf

    made = []

    def record(create: Any, **options: Any) -> Any:
        made.append(create(**options))
        return made[-1]

    with tf.Graph().as_default(), tf.variable_creator_scope(record):
        size = _total(_deserialize(architecture, custom_objects).weights)
    return size if _total(made) <= _BESIDES * limit + _STATES else max(size, _total(made))


def _total(variables: Iterable[Any]) -> int:
    return sum(math.prod(map(int, variable.shape)) for variable in variables)


def _deserialize(architecture: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> "keras.Model":
    import keras

    # Importing this module registers our own layers, so that Keras finds them by name.
    from kerastickets.models import normalization as normalizing
    from kerastickets.models.deserialization import deserialize

    assert normalizing
    try:
        model = deserialize(architecture, custom_objects)
    except Exception as error:  # Keras and custom classes may raise any error here
        # Keras repeats the whole configuration at every level; the cause comes last.
        cause = str(error).rpartition("Exception encountered: ")[2].partition(" Full object config")[0]
        raise TicketError(
            f"Keras cannot rebuild the architecture. {type(error).__name__}: {_short(cause)}"
        ) from error
    if not isinstance(model, keras.Model):
        raise TicketError(f"The architecture must describe a model. Received: a {type(model).__name__}.")
    return model
