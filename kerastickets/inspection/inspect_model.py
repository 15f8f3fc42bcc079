"""`inspect`: say before a run what will work with a model, and what will not and why."""

from collections.abc import Collection, Mapping
from typing import Any

import keras

from kerastickets.data.dataset import Data
from kerastickets.data.own_arrays import data_from_own, is_own
from kerastickets.data.spec import data_name, data_of, find_data
from kerastickets.errors import KerasTicketsError
from kerastickets.inspection.exports import untried
from kerastickets.inspection.findings import Inspection
from kerastickets.inspection.first_step import measure
from kerastickets.inspection.made_up_data import made_up
from kerastickets.inspection.subject import Subject, named
from kerastickets.inspection.weights import weights_of
from kerastickets.models.objective import Objective
from kerastickets.models.variables import paths, snapshot
from kerastickets.training.compilation import use_jit
from kerastickets.training.recipe import Recipe


def inspect(
    model: Any,
    data: Any = None,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
    batch_size: int = 60,
    try_exports: bool = False,
) -> Inspection:
    """Say before a run what will work with a model, and what will not and why.

    Nothing is written, and the model is not changed. Training is tried on a copy of it, for a few steps.

    Args:
        model: as for `prune`: a registered name, a `.keras` file, `"package.module:function"`, a function or a
            `keras.Model`.
        data: as for `prune`; None looks at the model alone. Then its training is tried on a made-up batch of two
            examples, if it is compiled.
        custom_objects: your classes by name, for files.
        include: glob patterns of weights to prune in addition to kernels and embeddings.
        exclude: glob patterns of weights not to prune.
        batch_size: the examples of a training step; at least 1. At most the number of training examples is used.
        try_exports: export the model in every format to a temporary folder, and say which fails and why. It takes
            some seconds for each format.

    Returns:
        An `Inspection`. What does not work is said there.

    Raises:
        KerasTicketsError: there is no such model or data set, a function needs a data set to make its model, or a
            pattern matches no weight.

    Example:
        >>> net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
        >>> found = inspect(net)
        >>> found.rebuilds, found.prunable, [weight.units for weight in found.weights]
        (True, 18, [3, None, None, None])
    """
    on = _data(data)
    subject = Subject.of(model, on, custom_objects or {})
    weights, units_why = weights_of(subject.model, include, exclude)
    shapes = {weight.key: weight.shape for weight in weights if weight.pruned}
    fits_why, objective = _objective(subject.model, on)
    xla, xla_why = _xla(subject.model)
    step, step_why = None, fits_why or subject.untrained(objective, shapes)
    if not step_why:
        try:
            used = on or made_up(subject.copy(), subject.model.loss)
            objective = objective if on else Objective.compiled(subject.model, used)
            recipe = Recipe.of(subject.recipe(min(batch_size, used.count("train"))), {})
            step, trainer, said = measure(
                subject.copy, snapshot(subject.model), used, objective, recipe, shapes
            )
            xla, xla_why = trainer.jit, said or xla_why
        except KerasTicketsError as error:
            step_why = str(error)
    return Inspection(
        model=subject.name,
        kind=type(subject.model).__name__,
        rebuilds=not subject.why,
        rebuilds_why=subject.why,
        needs_function=subject.function is not None,
        custom=named(subject.custom),
        weights=weights,
        units_why=units_why,
        data=None if on is None else data_name(data if isinstance(data, str) else on),
        fits=None if on is None else not fits_why,
        fits_why=fits_why if on is not None else "",
        loss=objective.describe() if objective else None,
        xla=xla,
        xla_why="" if xla else xla_why,
        first_step=step,
        first_step_why=step_why,
        exports=subject.exports(shapes, on) if try_exports else untried(subject.why),
    )


def _data(data: Any) -> Data | None:
    if data is None:
        return None
    return data_from_own(data) if is_own(data) else data_of(find_data(data))


def _objective(model: keras.Model, data: Data | None) -> tuple[str, Objective | None]:
    """Why the data does not fit, and the loss and metrics of training; None if there is no loss."""
    try:
        if data is not None:
            return "", Objective.compiled(model, data) or Objective.of(data, model)
    except KerasTicketsError as error:
        return str(error), None
    loss = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    return "", None if loss is None else Objective(loss, list)


def _xla(model: keras.Model) -> tuple[bool, str]:
    """Whether XLA compiles the training, and why not."""
    if use_jit(model, "auto"):
        return True, ""
    without = sorted({type(layer).__name__ for _, layer in paths(model) if not layer.supports_jit})
    if without:
        return False, f"XLA does not support {', '.join(without)}"
    return False, "on this device, TensorFlow's own convolutions and random numbers are faster than XLA's"
