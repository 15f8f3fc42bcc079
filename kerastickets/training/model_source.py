"""Where models come from: names, files, functions, and objects a caller already has. (And data: `dataspec`.)"""

import importlib
import inspect
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kerastickets import registry
from kerastickets.data.dataset import Data
from kerastickets.data.spec import data_digest, data_files, data_name, data_of, file_digest, find_data
from kerastickets.errors import AlignError, PluginError, RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.models.untrusted import refuse_unsafe
from kerastickets.registry.plugin_options import unknown
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.recipe import TrainSettings

if TYPE_CHECKING:
    import keras

    from kerastickets.models.objective import Objective

__all__ = [
    "Source",
    "data_digest",
    "data_files",
    "data_name",
    "data_of",
    "file_digest",
    "find_data",
    "find_model",
    "model_recipe",
    "source_of",
    "ticket_recipe",
]


@dataclass(frozen=True)
class Source:
    """A model that can be built any number of times.

    Args:
        name: what provenance records: a plugin's spec, or a file's base name.
        build: makes the model.
        architecture: its config; empty where it has none.
        init: initial weights for an init seed; a source that brings its own weights ignores the seed.
        recipe: its own dials of training.
        objective: loss and metrics it was compiled with, if any.
        files: sha256 by base name of the files it came from.
        masks: those that a live or saved model held already; what they prune stays pruned.
    """

    name: str
    build: Callable[[], "keras.Model"]
    architecture: Mapping[str, Any]
    init: Callable[[int], Tree]
    recipe: Mapping[str, Any]
    objective: "Objective | None" = None
    files: Mapping[str, str] = field(default_factory=dict)
    masks: Tree = field(default_factory=dict)


def find_model(spec: Any) -> Any:
    """Check a model's spec without importing TensorFlow, as far as that goes.

    Args:
        spec: a registered `NAME` or `NAME:k=v`, a `.keras` file, `package.module:function`, or an object.

    Returns:
        For a registered name an instance of its plugin; for a function the function; for a file its
        path; anything else as it is.

    Raises:
        PluginError: nothing of that name; suggests the nearest.
        RecipeError: a file or function that is not there.
    """
    if not isinstance(spec, (str, Path)):
        return spec
    if isinstance(spec, Path) or spec.endswith((".keras", ".h5")):
        if not Path(spec).is_file():
            raise RecipeError(f"A model file must exist. Received: {spec}")
        return Path(spec)
    name, _, rest = spec.partition(":")
    if name in registry.names("models") or not rest.isidentifier():
        return registry.create("models", spec)
    module = _module(name, spec)
    if not callable(getattr(module, rest, None)):
        raise PluginError(f"The module {name} must have a function {rest!r}. Received: {spec!r}")
    return getattr(module, rest)


def _module(name: str, spec: str) -> Any:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a module may do anything while it is imported
        missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
        if missing and f"{name}.".startswith(f"{missing}."):
            message = unknown("model", name, registry.names("models"))
            message = message.replace("'.", "' and no module of that name.", 1)
            raise PluginError(f"{message} Received: {spec!r}") from error
        raise PluginError(
            f"The module {name!r} must import. Received: {spec!r}, {type(error).__name__}: {error}"
        ) from error


def model_recipe(found: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A model's own recipe, or its plugin's: dials of training, and how to prune.

    Args:
        found: what `find_model` found; a ticket stands for the model plugin that it came from.

    Returns:
        TrainSettings of training by name (none for a ticket, see `ticket_recipe`); `rate` and `scope`, where given.

    Example:
        >>> model_recipe(find_model("resnet-20"))[1]
        {'rate': {'*': 0.2, 'dense': 0}, 'scope': 'global'}
    """
    if isinstance(found, Ticket):
        return {}, _ticket_pruning(found)
    recipe = dict(getattr(found, "recipe", {}))
    return recipe, {name: recipe.pop(name) for name in ("rate", "scope") if name in recipe}


def source_of(found: Any, data: Data, name: str, custom_objects: Mapping[str, Any] | None = None) -> Source:
    """The source that `find_model` found.

    Args:
        found: a model plugin, a function `(data) -> keras.Model` or `() -> keras.Model`, a `.keras` path, a
            `keras.Model` (its weights are the initial ones), or a `Ticket`.
        data: what the model is for.
        name: the spec, for provenance.
        custom_objects: classes and functions by name, for models and tickets that Keras must rebuild.

    Raises:
        RecipeError: an object that is none of these, or a model that cannot be built again.
        AlignError: the model's config gives another model.
    """
    import keras

    from kerastickets.tickets.layer_names import made_up

    if isinstance(found, Ticket):
        return _from_ticket(found, custom_objects)
    if isinstance(found, Path):
        model = _load(found, custom_objects)
        return _from_model(model, data, found.name, custom_objects, {found.name: file_digest(found)})
    if isinstance(found, keras.Model):
        # `sequential_7` counts the models that this process made before: another name for each run.
        name = made_up(found.name, type(found).__name__) or found.name
        return _from_model(found, data, name, custom_objects)
    if callable(found):
        return _from_function(found, data, name)
    raise RecipeError(
        f"A model must be a name, a .keras file, package.module:function, a keras.Model or a function. "
        f"Received: {found!r}"
    )


def _from_function(function: Callable[..., Any], data: Data, name: str) -> Source:
    import keras

    from kerastickets.models.initial_weights import fresh
    from kerastickets.models.objective import Objective
    from kerastickets.models.variables import snapshot

    takes_data = _takes_data(function)

    def build() -> keras.Model:
        model = function(data) if takes_data else function()
        if not isinstance(model, keras.Model):
            raise RecipeError(f"{name} must return a keras.Model. Received: {type(model).__name__}")
        if not model.built:
            model(data.train[0][:1])
        return model

    model = fresh(build, 0)
    recipe = model_recipe(function)[0] or _compiled_recipe(model)
    return Source(
        name,
        build,
        _architecture_or_none(model),
        lambda seed: snapshot(fresh(build, seed)),
        recipe,
        Objective.compiled(model, data),
    )


def _takes_data(function: Callable[..., Any]) -> bool:
    """Whether the first argument is the data: one that must be given, is called so, or may be anything."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind in (first.VAR_KEYWORD, first.KEYWORD_ONLY):
        return False
    return first.default is first.empty or first.name == "data"


def _architecture_or_none(model: "keras.Model") -> Mapping[str, Any]:
    """A function can build what no config can: its tickets then need it again (`--model`)."""
    from kerastickets.models.architecture import faithful_architecture

    try:
        return faithful_architecture(model)
    except AlignError:
        return {}


def _from_model(
    model: "keras.Model",
    data: Data,
    name: str,
    custom_objects: Mapping[str, Any] | None,
    files: Mapping[str, str] = MappingProxyType({}),
) -> Source:
    from kerastickets.models.architecture import custom_classes, faithful_architecture, rebuild
    from kerastickets.models.masking import masks_of
    from kerastickets.models.objective import Objective
    from kerastickets.models.variables import snapshot

    custom = custom_classes(model) | dict(custom_objects or {})
    architecture = faithful_architecture(model, custom)
    if not architecture:
        raise RecipeError(
            f"A model must have a config that Keras can build it from. Received: a {type(model).__name__}. Pass a "
            "function that builds it, give the class get_config, or name its parts in custom_objects."
        )
    weights = snapshot(model)
    return Source(
        name,
        lambda: rebuild(architecture, custom),
        architecture,
        lambda seed: weights,
        _compiled_recipe(model),
        Objective.compiled(model, data),
        files,
        masks_of(model),
    )


def _from_ticket(ticket: Ticket, custom_objects: Mapping[str, Any] | None) -> Source:
    return Source(
        str(ticket.provenance.get("model") or "ticket"),
        lambda: ticket.build(custom_objects),
        ticket.architecture,
        lambda seed: ticket.weights("init"),
        ticket_recipe(ticket, custom_objects or {}),
    )


def _ticket_pruning(ticket: Ticket) -> dict[str, Any]:
    """How the model plugin that a ticket came from prunes; nothing where it came from no such plugin.

    Only registered names are looked up: importing what a stranger's ticket names would run it.
    """
    spec = str(ticket.provenance.get("model"))
    if spec.partition(":")[0] not in registry.names("models"):
        return {}
    return model_recipe(registry.create("models", spec))[1]


def ticket_recipe(ticket: Ticket, custom_objects: Collection[str] = ()) -> dict[str, Any]:
    """The training dials that a ticket was found with; entries that are no dials here are left out.

    Args:
        ticket: any ticket.
        custom_objects: names of classes that its optimizer may need besides Keras's own.

    Raises:
        TicketError: its optimizer's config names what a ticket may not.
    """
    recipe = ticket.provenance.get("recipe") or {}
    optimizer = recipe.get("optimizer")
    if isinstance(optimizer, Mapping):
        # Without a module it can only be one of Keras's own, by name; its config can still hold anything.
        refuse_unsafe(optimizer if "module" in optimizer else optimizer.get("config") or {}, custom_objects)
    return {name: value for name, value in recipe.items() if name in TrainSettings.__annotations__}


def _compiled_recipe(model: "keras.Model") -> dict[str, Any]:
    import keras

    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return {}
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return {"optimizer": keras.optimizers.serialize(inner)}


def _load(path: Path, custom_objects: Mapping[str, Any] | None) -> "keras.Model":
    import keras

    import kerastickets.layers  # noqa: F401 - mask-aware layers must be registered before a file names them

    try:
        with warnings.catch_warnings():
            # The slots of a saved optimizer are not wanted: every level starts with fresh ones.
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer", UserWarning)
            return keras.models.load_model(path, custom_objects=dict(custom_objects or {}), safe_mode=True)
    except Exception as error:  # a damaged file, or a custom class, fails in its own way
        raise RecipeError(f"{path} must be a model saved by Keras. Received: {error}") from error
