"""The model to inspect: found, made, and rebuilt as a ticket would rebuild it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from kerastickets.data.dataset import Data
from kerastickets.data.splits import rows
from kerastickets.errors import KerasTicketsError, RecipeError
from kerastickets.inspection.exports import tried
from kerastickets.inspection.findings import ExportFinding
from kerastickets.models.architecture import custom_classes, faithful_architecture, rebuild
from kerastickets.models.initial_weights import fresh
from kerastickets.models.objective import Objective
from kerastickets.models.recorded_objective import compiled_recipe
from kerastickets.models.variables import paths, snapshot
from kerastickets.training.model_source import (
    find_model,
    load_file,
    model_recipe,
    takes_data,
)

_NO_CONFIG = (
    "A ticket must hold a config that Keras can build the model from. Received: {}. Pass a function that builds it, "
    "give the class get_config, or name its parts in custom_objects."
)
_SHOWN = 200


@dataclass(frozen=True)
class Subject:
    """The model to look at.

    Args:
        name: its name or spec.
        model: the live model.
        function: makes it again; None if it comes from a file or is the caller's own.
        custom: the classes that Keras does not define.
        architecture: its config; empty if no config builds it.
        why: why a ticket alone cannot build it.
        settings: the training settings that the model brings.
    """

    name: str
    model: keras.Model
    function: Callable[[], keras.Model] | None
    custom: Mapping[str, Any]
    architecture: Mapping[str, Any]
    why: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, model: Any, data: Data | None, custom_objects: Mapping[str, Any]) -> "Subject":
        """Find or make the model, and try whether a ticket can build it.

        Args:
            model: what `inspect` takes.
            data: the data set for a function that takes one, or None.
            custom_objects: the caller's classes by name.

        Raises:
            KerasTicketsError: there is no such model, it is not built, or its function needs a data set.
        """
        found = find_model(model)
        name = str(model) if isinstance(model, str | Path) else getattr(model, "name", None) or repr(model)
        function = None
        if isinstance(found, Path):
            live = load_file(found, custom_objects)
        elif isinstance(found, keras.Model):
            live = found
        elif callable(found):
            name = name if isinstance(model, str) else getattr(found, "__name__", name)
            function = _function(found, data, name)
            live = fresh(function, 0)
        else:
            raise RecipeError(
                "A model must be a name, a .keras file, package.module:function, a keras.Model or a function. "
                f"Received: {model!r}"
            )
        if not live.built:
            raise RecipeError(
                f"A model must be built, so that it has weights. Received: the {type(live).__name__} {live.name}, "
                "which is not. Begin it with keras.Input(shape), or call it on one batch."
            )
        own = custom_classes(live)
        config, why = _rebuilt(live, own | dict(custom_objects))
        settings = (model_recipe(found)[0] if function else {}) or compiled_recipe(live)
        return cls(name, live, function, own | dict(custom_objects), config, why, settings)

    def copy(self) -> keras.Model:
        """A new model like this one; its weights are new."""
        if self.function is not None:
            return self.function()
        return rebuild(self.architecture, self.custom)

    def untrained(self, objective: Objective | None, shapes: Mapping[str, Any]) -> str:
        """Why no training can be tried; empty if it can."""
        if self.why and self.function is None:
            return "not measured, since the model cannot be built again"
        if objective is None:
            return "not measured, since the model is not compiled with a loss and no data set names one"
        return "" if shapes else "not measured, since no weight is pruned"

    def recipe(self, batch_size: int) -> dict[str, Any]:
        """The settings of a short training: those of the model, and the batch size."""
        names = ("optimizer", "lr", "momentum", "weight_decay", "epsilon")
        return {name: self.settings[name] for name in names if name in self.settings} | {
            "train": "10it",
            "batch_size": batch_size,
        }

    def exports(self, shapes: Mapping[str, tuple[int, ...]], data: Data | None) -> tuple[ExportFinding, ...]:
        """Try each export, see `tried`."""
        weights = snapshot(self.model)
        return tried(self.architecture, weights, shapes, data, self.custom, self.why)


def _function(found: Callable[..., Any], data: Data | None, name: str) -> Callable[[], keras.Model]:
    needs = takes_data(found)
    if needs and data is None:
        raise RecipeError(
            f"A function that takes a data set must be given one. Received: {name} without. Give data (--dataset)."
        )

    def build() -> keras.Model:
        model = found(data) if needs else found()
        if not isinstance(model, keras.Model):
            raise RecipeError(f"{name} must return a keras.Model. Received: {type(model).__name__}")
        if not model.built and data is not None:
            model(rows(data.train[0], slice(1)))
        return model

    return build


def _rebuilt(model: keras.Model, custom: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The config that builds the model, and why there is none."""
    try:
        config = faithful_architecture(model, custom)
    except KerasTicketsError as error:
        return {}, str(error)
    return config, "" if config else _NO_CONFIG.format(_culprit(model, custom))


def _culprit(model: keras.Model, custom: Mapping[str, Any]) -> str:
    """The first layer that Keras cannot make from its config; the model itself if each layer can be made."""
    for path, layer in paths(model):
        # A layer inside of another is made by that one, so that only layers without any are tried.
        if path and len(list(paths(layer))) == 1:
            try:
                with keras.utils.custom_object_scope(dict(custom)):
                    keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
            except Exception as error:  # an own get_config or from_config may raise anything
                cause = " ".join(str(error).split())[:_SHOWN]
                return f"the layer {'/'.join(path)}, {type(error).__name__}: {cause}"
    return f"a {type(model).__name__} without one"


def named(custom: Mapping[str, Any]) -> tuple[str, ...]:
    """Classes and functions as `module:name`, each once; this library's own are always there."""
    return tuple(
        sorted(
            {
                f"{one.__module__}:{getattr(one, '__qualname__', type(one).__qualname__)}"
                for one in custom.values()
                if one.__module__.partition(".")[0] != "kerastickets"
            }
        )
    )
