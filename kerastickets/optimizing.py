"""Optimizers from recipes, and learning rates that can be rewound."""

import difflib
from typing import Any

import keras
import tensorflow as tf

from kerastickets.errors import RecipeError
from kerastickets.recipe import Recipe, schedule_points


class Position(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule whose position is the optimizer's iteration plus a `start` that can be set.

    Rewinding to step k starts a fresh optimizer (iteration 0, so that Adam's bias correction is right)
    at the learning rate of step k; past `total` the last rate stays, which is fine-tuning.

    Args:
        inner: a Keras schedule over iterations of the whole training.
        total: iterations of the whole training.
    """

    def __init__(self, inner: Any, total: int) -> None:
        self.inner = inner
        self.total = total
        self.start = tf.Variable(0.0, dtype="float32", trainable=False, name="start")

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step counted from `start`."""
        return self.inner(tf.minimum(tf.cast(step, "float32") + self.start, float(self.total)))

    def get_config(self) -> dict[str, Any]:
        """Refused: the trainer makes one of these for itself and saves the recipe instead."""
        raise NotImplementedError("A Position belongs to one trainer; save the recipe instead.")


class _Shape(keras.optimizers.schedules.LearningRateSchedule):
    """A recipe's schedule: a rate times a factor that depends on the step."""

    def __init__(self, rate: float, recipe: Recipe, total: int, per_epoch: int) -> None:
        self.rate, self.total = rate, float(total)
        self.kind, points = schedule_points(recipe.lr_schedule)
        self.points = [(when.iterations(per_epoch), factor) for when, factor in points]
        self.warmup = recipe.warmup.iterations(per_epoch)

    def __call__(self, step: Any) -> Any:
        step = tf.cast(step, "float32")
        factor = tf.ones(())
        if self.kind == "cosine":
            factor = 0.5 * (1.0 + tf.cos(3.141592653589793 * step / self.total))
        elif self.kind == "linear":
            factor = 1.0 - step / self.total
        elif self.kind == "exponential":
            every, base = self.points[0]
            factor = tf.pow(base, tf.floor(step / every))
        for when, value in self.points if self.kind == "steps" else ():
            factor = tf.where(step >= when, value, factor)
        if self.warmup:
            factor *= tf.minimum(1.0, (step + 1.0) / self.warmup)
        return self.rate * factor

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError


def make_optimizer(recipe: Recipe, total: int, per_epoch: int) -> tuple[Any, Position | None]:
    """A fresh Keras optimizer as `recipe` describes it.

    Args:
        recipe: the dials.
        total: iterations of the whole training.
        per_epoch: iterations of an epoch.

    Returns:
        The optimizer, and its schedule's position (None where the rate is constant).

    Raises:
        RecipeError: Keras knows no such optimizer, or it does not take one of the dials.

    Example:
        >>> optimizer, position = make_optimizer(Recipe(lr=0.5, optimizer="sgd"), 10, 5)
        >>> float(optimizer.learning_rate), position
        (0.5, None)
    """
    optimizer = _plain_optimizer(recipe)
    if recipe.lr is not None:
        optimizer.learning_rate = recipe.lr
    config = optimizer.get_config()
    inner: Any = None
    if isinstance(config["learning_rate"], dict):
        inner = keras.optimizers.schedules.deserialize(config["learning_rate"])
    elif recipe.lr_schedule != "constant" or recipe.warmup.count:
        inner = _Shape(float(config["learning_rate"]), recipe, total, per_epoch)
    if inner is None:
        return optimizer, None
    position = Position(inner, total)
    return type(optimizer).from_config(config | {"learning_rate": position}), position


def _plain_optimizer(recipe: Recipe) -> Any:
    dials = {name: getattr(recipe, name) for name in ("epsilon", "momentum", "weight_decay")}
    dials = {name: value for name, value in dials.items() if value is not None}
    if isinstance(recipe.optimizer, str):
        identifier: dict[str, Any] = {"class_name": recipe.optimizer, "config": {}}
        _check_name(recipe.optimizer)
    else:
        identifier = dict(recipe.optimizer)
    identifier["config"] = dict(identifier["config"]) | dials
    if recipe.lr is not None:
        identifier["config"]["learning_rate"] = recipe.lr
    try:
        return keras.optimizers.get(identifier)
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"The optimizer {identifier['class_name']} does not take these dials: {dials}. {error}"
        ) from error


def _check_name(name: str) -> None:
    classes = [value for value in vars(keras.optimizers).values() if isinstance(value, type)]
    names = sorted(cls.__name__.lower() for cls in classes if issubclass(cls, keras.optimizers.Optimizer))
    if name.lower() not in names:
        near = difflib.get_close_matches(name.lower(), names, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise RecipeError(f"No optimizer named {name!r}.{hint} Known: {', '.join(names)}")
