"""Where models come from: names, files, functions, and objects of the caller. (`data.spec` does this for data.)"""

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
from kerastickets.data.splits import rows
from kerastickets.errors import AlignError, PluginError, RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.models.keras_archive import check_archive
from kerastickets.models.untrusted import refuse_unsafe
from kerastickets.registry.plugin_options import unknown
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.recipe import OF_TEACHERS, TrainSettings

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
        name: the name that provenance records: a plugin's spec, or a file's base name.
        build: makes the model.
        architecture: the model's config; empty if it has none.
        init: gives the initial weights for an init seed. A source with its own weights ignores the seed.
        recipe: the model's own training settings.
        objective: the loss and metrics that the model was compiled with, if any.
        files: the sha256 of each file that the model came from, by base name.
        masks: the masks that a live or saved model already had. Weights that they prune stay pruned.
    """

    name: str
    build: Callable[[], "keras.Model"]
    architecture: Mapping[str, Any]
    init: Callable[[int], Tree]
    recipe: Mapping[str, Any]
    objective: "Objective | None" = None
    files: Mapping[str, str] = field(default_factory=dict)
    masks: Tree = field(default_factory=dict)

    def compiled(self) -> dict[str, Any]:
        """For provenance: the loss and metrics that the model was compiled with. Empty if the data decides them."""
        return {"compiled": self.objective.record()} if self.objective else {}


def find_model(spec: Any) -> Any:
    """Find a model by its spec, and check as much as is possible without importing TensorFlow.

    Args:
        spec: a registered `NAME` or `NAME:k=v`, a `.keras` file, `package.module:function`, or an object.

    Returns:
        For a registered name, an instance of its plugin; for `package.module:function`, the function; for a file,
        its path. Any other object is returned unchanged.

    Raises:
        PluginError: there is no model of that name, or the module does not import or has no such function. For a
            name, the message suggests the nearest.
        RecipeError: the file does not exist.
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
    except (Exception, SystemExit) as error:  # importing a module can raise anything
        missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
        if missing and f"{name}.".startswith(f"{missing}."):
            message = unknown("model", name, registry.names("models"))
            message = message.replace("'.", "' and no module of that name.", 1)
            raise PluginError(f"{message} Received: {spec!r}") from error
        raise PluginError(
            f"The module {name!r} must import. Received: {spec!r}, {type(error).__name__}: {error}"
        ) from error


def model_recipe(found: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recipe of a model or its plugin: settings of training, and settings of pruning.

    Args:
        found: the result of `find_model`. A ticket stands for the model plugin that it came from.

    Returns:
        The training settings by name (none for a ticket, see `ticket_recipe`), and `rate` and `scope` if the recipe
        has them.

    Example:
        >>> model_recipe(find_model("resnet-20"))[1]
        {'rate': {'*': 0.2, 'dense': 0}, 'scope': 'global'}
    """
    if isinstance(found, Ticket):
        return {}, _ticket_pruning(found)
    recipe = dict(getattr(found, "recipe", {}))
    return recipe, {name: recipe.pop(name) for name in ("rate", "scope") if name in recipe}


def source_of(found: Any, data: Data, name: str, custom_objects: Mapping[str, Any] | None = None) -> Source:
    """Make a source from the result of `find_model`.

    Args:
        found: a model plugin, a function `(data) -> keras.Model` or `() -> keras.Model`, a `.keras` path, a
            `keras.Model` (its weights are the initial ones), or a `Ticket`.
        data: the data set that the model is for.
        name: the model's spec, for provenance.
        custom_objects: classes and functions by name, for models and tickets that Keras must rebuild.

    Raises:
        RecipeError: the object is none of these, or the model cannot be built again.
        AlignError: the model's config gives a different model.
    """
    import keras

    from kerastickets.tickets.layer_names import made_up

    if isinstance(found, Ticket):
        return _from_ticket(found, data, custom_objects)
    if isinstance(found, Path):
        model = load_file(found, custom_objects)
        return _from_model(model, data, found.name, custom_objects, {found.name: file_digest(found)})
    if isinstance(found, keras.Model):
        # A name such as `sequential_7` counts the models of this process, so it would differ between runs.
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
    from kerastickets.models.recorded_objective import compiled_recipe
    from kerastickets.models.variables import snapshot

    needs = takes_data(function)

    def build() -> keras.Model:
        model = function(data) if needs else function()
        if not isinstance(model, keras.Model):
            raise RecipeError(f"{name} must return a keras.Model. Received: {type(model).__name__}")
        if not model.built:
            model(rows(data.train[0], slice(1)))
        return model

    model = fresh(build, 0)
    recipe = model_recipe(function)[0] or compiled_recipe(model)
    return Source(
        name,
        build,
        _architecture_or_none(model),
        lambda seed: snapshot(fresh(build, seed)),
        recipe,
        Objective.compiled(model, data),
    )


def takes_data(function: Callable[..., Any]) -> bool:
    """Whether a function takes the data as its first argument: the argument has no default, or its name is `data`."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind in (first.VAR_KEYWORD, first.KEYWORD_ONLY):
        return False
    return first.default is first.empty or first.name == "data"


def _architecture_or_none(model: "keras.Model") -> Mapping[str, Any]:
    """The model's config, or an empty one if no config can build the model, as a function can.

    Tickets without a config need the function again (`--model`).
    """
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
    from kerastickets.models.recorded_objective import compiled_recipe
    from kerastickets.models.variables import check_built, snapshot

    check_built(model)
    custom = custom_classes(model) | dict(custom_objects or {})
    architecture = faithful_architecture(model, custom)
    if not architecture:
        raise RecipeError(
            f"A model must have a config that Keras can build it from. Received: a {type(model).__name__}. Pass a "
            "function that builds it, give the class get_config, or name its parts in custom_objects (--custom)."
        )
    weights = snapshot(model)
    return Source(
        name,
        lambda: rebuild(architecture, custom),
        architecture,
        lambda seed: weights,
        compiled_recipe(model),
        Objective.compiled(model, data),
        files,
        masks_of(model),
    )


def _from_ticket(ticket: Ticket, data: Data, custom_objects: Mapping[str, Any] | None) -> Source:
    from kerastickets.models.objective import Objective

    compiled = ticket.provenance.get("compiled")
    return Source(
        str(ticket.provenance.get("model") or "ticket"),
        lambda: ticket.build(custom_objects),
        ticket.architecture,
        lambda seed: ticket.weights("init"),
        ticket_recipe(ticket, custom_objects or {}),
        None if compiled is None else Objective.recorded(compiled, custom_objects or {}, data),
    )


def _ticket_pruning(ticket: Ticket) -> dict[str, Any]:
    """The pruning settings of the model plugin that a ticket came from; empty if it did not come from a plugin.

    Only registered names are looked up. Importing a module that a stranger's ticket names would run its code.
    """
    spec = str(ticket.provenance.get("model"))
    if spec.partition(":")[0] not in registry.names("models"):
        return {}
    return model_recipe(registry.create("models", spec))[1]


def ticket_recipe(ticket: Ticket, custom_objects: Collection[str] = ()) -> dict[str, Any]:
    """The training settings that a ticket was found with. Entries that are not settings are left out, and
    distillation too, which belongs to a teacher that the ticket does not have.

    Args:
        ticket: any ticket.
        custom_objects: names of classes that the ticket's optimizer may use besides Keras's own.

    Raises:
        TicketError: the config of the ticket's optimizer names something that a ticket may not name.
    """
    recipe = ticket.provenance.get("recipe") or {}
    optimizer = recipe.get("optimizer")
    if isinstance(optimizer, Mapping):
        # Without a module, the optimizer can only be one of Keras's own. Its config can still hold anything.
        refuse_unsafe(optimizer if "module" in optimizer else optimizer.get("config") or {}, custom_objects)
    # That a search left the test split alone is no wish of whoever trains its ticket.
    wanted = TrainSettings.__annotations__.keys() - {"no_test", *OF_TEACHERS}
    return {name: value for name, value in recipe.items() if name in wanted}


def load_file(path: Path, custom_objects: Mapping[str, Any] | None = None) -> "keras.Model":
    """Load a model that Keras saved, after checking that the file is a sound archive."""
    import keras

    import kerastickets.layers  # noqa: F401 - mask-aware layers must be registered before a file names them

    try:
        check_archive(path)
        with warnings.catch_warnings():
            # The slots of a saved optimizer are not needed, since every level starts with a fresh optimizer.
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer", UserWarning)
            return keras.models.load_model(path, custom_objects=dict(custom_objects or {}), safe_mode=True)
    except RecipeError:
        raise
    except Exception as error:  # a damaged file or a custom class can raise anything
        raise RecipeError(f"{path} must be a model saved by Keras. Received: {error}") from error
