"""Find the caller's own classes and functions by their modules, for Keras models that are made of them."""

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import keras

from kerastickets.errors import PluginError

# What a model may consist of. A module's public classes of these kinds are taken without being registered.
_KINDS = (
    keras.Layer,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.initializers.Initializer,
    keras.constraints.Constraint,
    keras.regularizers.Regularizer,
)
# Classes of these packages need not be named: a ticket may use them anyway.
_KNOWN = {"keras", "kerastickets", "builtins"}


def own_objects(specs: Iterable[str]) -> dict[str, Any]:
    """Import classes and functions of your own, so that models made of them can be built.

    Args:
        specs: `package.module:Name` for one class or function. `package.module` or `package` for all of it: what it
            registers with `keras.saving.register_keras_serializable`, and its public classes of layers, models,
            losses, metrics, optimizers, schedules, initializers, constraints and regularizers.

    Returns:
        The objects by every name that Keras or a ticket may look up: the name in the module, the object's own, and
        the registered one.

    Raises:
        PluginError: a module does not import, has no such name or nothing to take, or two objects share a name.

    Example:
        >>> sorted(own_objects(["kerastickets.layers:Dense"]))
        ['Dense', 'kerastickets>Dense']
    """
    found: dict[str, Any] = {}
    for spec in specs:
        for name, thing in _objects(spec):
            if found.setdefault(name, thing) is not thing:
                raise PluginError(
                    f"Each name of --custom must mean one thing. Received: {name!r} of {found[name].__module__} and "
                    f"of {thing.__module__}. Name the one that the model uses, as MODULE:NAME."
                )
    return found


def _objects(spec: str) -> Iterator[tuple[str, Any]]:
    path, colon, name = spec.partition(":")
    if not all(part.isidentifier() for part in path.split(".")) or (colon and not name.isidentifier()):
        raise PluginError(
            f"Own classes must be given as package.module:Name or package.module. Received: {spec!r}"
        )
    module = _module(path, spec)
    if not colon:
        yield from _all_of(module, spec)
        return
    thing = getattr(module, name, None)
    if not callable(thing):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        near = difflib.get_close_matches(name, known, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise PluginError(
            f"The module {path} must have a class or function {name!r}. Received: {spec!r}.{guess}"
        )
    yield name, thing
    yield from _names(thing)


def _module(path: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(path)
    except (Exception, SystemExit) as error:  # importing a module can raise anything
        missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
        if missing and f"{path}.".startswith(f"{missing}."):
            raise PluginError(
                f"The module of an own class must be in the current folder or installed. Received: {spec!r}, and there "
                f"is no module {missing!r}."
            ) from error
        cause = " ".join(str(error).split())[:200]
        raise PluginError(
            f"The module {path!r} must import. Received: {spec!r}, {type(error).__name__}: {cause}"
        ) from error


def _all_of(module: ModuleType, spec: str) -> Iterator[tuple[str, Any]]:
    things = _loaded(module.__name__)
    if not things:
        # A package whose `__init__` imports nothing has its classes in its modules.
        for inner in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{module.__name__}."):
            if not inner.name.rpartition(".")[2].startswith("_"):
                _module(inner.name, spec)
        things = _loaded(module.__name__)
    if not things:
        raise PluginError(
            f"The module {module.__name__} must register classes or have public classes of Keras's kinds. Received: "
            f"{spec!r}, which has none. Name the class or function, as {module.__name__}:NAME."
        )
    for thing in things:
        yield from _names(thing)


def _loaded(root: str) -> list[Any]:
    """What the imported modules of `root` register, and their public classes; each once."""
    registered = [
        thing for thing in keras.saving.get_custom_objects().values() if _inside(_home(thing), root)
    ]
    modules = [module for name, module in sorted(sys.modules.items()) if module and _inside(name, root)]
    public = [
        value
        for module in modules
        for name, value in vars(module).items()
        if not name.startswith("_") and isinstance(value, type) and issubclass(value, _KINDS)
    ]
    things = {id(thing): thing for thing in (*registered, *public)}
    foreign = _KNOWN - {root.partition(".")[0]}
    return [thing for thing in things.values() if _home(thing).partition(".")[0] not in foreign]


def _home(thing: Any) -> str:
    return str(getattr(thing, "__module__", ""))


def _inside(name: str, root: str) -> bool:
    return name == root or name.startswith(f"{root}.")


def _names(thing: Any) -> Iterator[tuple[str, Any]]:
    yield getattr(thing, "__name__", type(thing).__name__), thing
    # Only registered objects have a second name; for others Keras returns the plain one.
    if isinstance(thing, type) or hasattr(thing, "__name__"):
        yield keras.saving.get_registered_name(thing), thing
