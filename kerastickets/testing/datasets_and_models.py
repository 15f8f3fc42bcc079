"""Check that data sets and models keep their contracts."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from kerastickets.cutting.cut_scores import ones
from kerastickets.data.dataset import Data
from kerastickets.models.objective import Objective
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import walk
from kerastickets.models.weight_roles import kinds, output_keys
from kerastickets.pruning.schedule import plan
from kerastickets.testing.expect import called, check_form, class_name, difference, expect
from kerastickets.testing.toys import toy_data
from kerastickets.training.model_source import data_digest, model_recipe, source_of
from kerastickets.training.recipe import Recipe


def check_dataset(make: Callable[[], Data]) -> None:
    """Check that a data set can be trained on, is the same in every call, and keeps its splits apart.

    Args:
        make: an instance; it is called twice.

    Raises:
        AssertionError: the result is not a `Data`; the second call gives different arrays; more than half of
            a split's examples also occur in another split; Keras cannot compute the loss or a metric on its
            labels; or its batches have another shape than its inputs, or differ for equal seeds.

    Example:
        >>> from kerastickets import registry
        >>> check_dataset(registry.create("datasets", "digits"))
    """
    check_form(make)
    name = class_name(make)
    data = called(f"{name} must load", make)
    expect(isinstance(data, Data), f"{name} must give a kerastickets.Data", type(data).__name__)
    digest = data_digest(data)
    del data  # image sets are large: keep only one in memory
    data = make()
    expect(data_digest(data) == digest, f"{name} must give equal arrays each time", data_digest(data))
    _check_apart(name, data)
    model = keras.Sequential(
        [keras.Input(data.input_shape), keras.layers.Flatten(), keras.layers.Dense(data.outputs)]
    )
    logs = called(f"Keras must know the loss and metrics of {name}", _logs, data, model)
    expect(all(map(np.isfinite, logs.values())), f"Loss and metrics of {name} must be finite", logs)
    if data.batches is not None:
        one, two = (next(iter(data.batches(0))) for _ in range(2))
        shape = tuple(one[0].shape[1:])
        expect(shape == data.input_shape, f"Batches of {name} must have inputs {data.input_shape}", shape)
        same = all(bool((np.asarray(a) == np.asarray(b)).all()) for a, b in zip(one, two, strict=True))
        expect(same, f"Batches of {name} must be equal for equal seeds", "different ones")


def check_model(factory: Callable[[Data], keras.Model], data: Data | None = None) -> None:
    """Check that a model can be rebuilt, pruned, and trained with its own recipe.

    Args:
        factory: an instance.
        data: the data set to build the model for; by default toy data, 8x8x1 images of ten classes.

    Raises:
        AssertionError: the result is not a model; its outputs do not fit the data or are not finite; keys
            occur twice or differ between builds; the initial weights do not depend on the seed alone; there
            is no architecture; no weight can be pruned; or the recipe has a setting that does not exist or is
            out of range.

    Example:
        >>> from kerastickets import registry
        >>> check_model(registry.create("models", "mlp:8"))
    """
    check_form(factory)
    name, data = class_name(factory), data or toy_data()
    source = called(f"{name} must build a model", source_of, factory, data, name)
    expect(bool(source.architecture), f"{name} must be a model that its own config rebuilds", "no config")
    model = source.build()
    one, two = (
        [(place.key, tuple(place.variable.shape)) for place in walk(net)] for net in (model, source.build())
    )
    expect(
        len({key for key, _ in one}) == len(one), f"{name} must have a key of its own for each weight", one
    )
    expect(one == two, f"Two builds of {name} must have equal keys and shapes", f"{one} and {two}")
    first, second = source.init(0), source.init(0)
    changed = difference(first, second)
    expect(
        changed is None, f"Initial weights of {name} must depend on the seed alone", f"a changed {changed}"
    )
    outputs = np.asarray(model(data.train[0][:2]))
    expect(outputs.shape == (2, data.outputs), f"{name} must have {data.outputs} outputs", outputs.shape)
    expect(bool(np.isfinite(outputs).all()), f"Outputs of {name} must be finite", outputs)
    _check_recipe(name, model, *model_recipe(factory))


def _check_apart(name: str, data: Data) -> None:
    examples = {
        split: {hash(row.tobytes()) for row in getattr(data, split)[0]}
        for split in ("train", "validation", "test")
    }
    for split, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
        # Real data sets contain some examples twice.
        both, own = len(examples[split] & examples[other]), len(examples[split])
        expect(2 * both <= own, f"{split} of {name} must not be part of {other}", f"{both} of {own} in both")


def _logs(data: Data, model: keras.Model) -> dict[str, float]:
    objective = Objective.of(data, model)
    model.compile(loss=objective.loss, metrics=objective.metrics())
    x, y = data.train
    return model.test_on_batch(x[:8], y[:8], return_dict=True)


def _check_recipe(name: str, model: keras.Model, recipe: dict[str, Any], pruning: dict[str, Any]) -> None:
    shapes = {entry.key: entry.shape for entry in weight_reports(model) if entry.masked}
    expect(
        bool(shapes), f"{name} must have a weight to prune", [entry.key for entry in weight_reports(model)]
    )
    rate = pruning.get("rate")
    called(f"The recipe of {name} must have valid training settings", Recipe.of, recipe)
    if rate is None:
        return
    # A rate of 0 means that the weight is not prunable.
    rate = {pattern: share for pattern, share in rate.items() if share} if isinstance(rate, Mapping) else rate
    outputs = output_keys(model, shapes) if isinstance(rate, Mapping) and "output" in rate else set()
    what = f"The rates of {name} must fit its weights"
    scope, own_kinds = pruning.get("scope"), kinds(model, shapes)
    called(what, lambda: plan(ones(shapes), rate=rate, scope=scope, kinds=own_kinds, outputs=outputs))
