"""Make optimizers from recipes, with learning-rate schedules that can be rewound."""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastickets.errors import RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets.registry.plugin_options import unknown
from kerastickets.training.recipe import Recipe, schedule_points


@keras.saving.register_keras_serializable("kerastickets")
class Position(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule whose position is the optimizer's iteration plus a `start` that can be set.

    After rewinding to step k, a fresh optimizer starts with the learning rate of step k. Its own iteration is 0, so
    that Adam's bias correction is right. Past the end of the schedule the rate of the last step stays: that is
    fine-tuning.

    Args:
        inner: a Keras schedule over the iterations of the whole training.
        total: the number of iterations of the whole training.
        start: the position of the optimizer's first step.
    """

    def __init__(self, inner: Any, total: int, start: float = 0.0) -> None:
        self.inner = inner
        self.total = total
        self.start = tf.Variable(start, dtype="float32", trainable=False, name="start")

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, counted from `start`."""
        # The last step is total - 1. At `total`, cosine and linear schedules are 0, and no weight would move.
        return self.inner(tf.minimum(tf.cast(step, "float32") + self.start, float(self.total - 1)))

    def get_config(self) -> dict[str, Any]:
        """The config. With it, a model saved in the middle of a training continues at the same learning rate."""
        inner = keras.optimizers.schedules.serialize(self.inner)
        return {"inner": inner, "total": self.total, "start": float(self.start.numpy())}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Position":
        """Make the schedule from its config."""
        return cls(**config | {"inner": keras.optimizers.schedules.deserialize(config["inner"])})


@keras.saving.register_keras_serializable("kerastickets")
class Shape(keras.optimizers.schedules.LearningRateSchedule):
    """The schedule of a recipe: a learning rate times a factor that depends on the step.

    Args:
        rate: the learning rate that the factor multiplies.
        lr_schedule: as in a `Recipe`.
        warmup: as in a `Recipe`, as text.
        total: the number of iterations of the whole training.
        per_epoch: the number of iterations per epoch.
    """

    def __init__(self, rate: float, lr_schedule: str, warmup: str, total: int, per_epoch: int) -> None:
        self._config = {"rate": rate, "lr_schedule": lr_schedule, "warmup": warmup}
        self._config |= {"total": total, "per_epoch": per_epoch}
        self.rate, self.total = rate, float(total)
        self.kind, points = schedule_points(lr_schedule)
        # The latest moment that has passed decides, whatever the order in which the moments were written.
        self.points = sorted((when.iterations(per_epoch), factor) for when, factor in points)
        self.warmup = Duration.parse(warmup).iterations(per_epoch)

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step."""
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
        """The config: the arguments of the constructor."""
        return dict(self._config)


def make_optimizer(recipe: Recipe, total: int, per_epoch: int) -> tuple[Any, Position | None]:
    """Make a fresh Keras optimizer as `recipe` describes it.

    Args:
        recipe: the training settings.
        total: the number of iterations of the whole training.
        per_epoch: the number of iterations per epoch.

    Returns:
        The optimizer, and the position of its schedule (None if the learning rate is constant).

    Raises:
        RecipeError: Keras has no such optimizer, or the optimizer does not take one of the settings.

    Example:
        >>> optimizer, position = make_optimizer(Recipe(lr=0.5, optimizer="sgd"), 10, 5)
        >>> float(optimizer.learning_rate), position
        (0.5, None)
    """
    return _scheduled(_plain_optimizer(recipe), recipe, total, per_epoch)


def _scheduled(optimizer: Any, recipe: Recipe, total: int, per_epoch: int) -> tuple[Any, Position | None]:
    config = optimizer.get_config()
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        rated, position = _scheduled(optimizer.inner_optimizer, recipe, total, per_epoch)
        return type(optimizer)(rated, **{k: v for k, v in config.items() if k != "inner_optimizer"}), position
    inner: Any = None
    scheduled = recipe.lr_schedule != "constant" or recipe.warmup.count > 0
    if "learning_rate" not in config:
        _check_parts(optimizer, scheduled)
        return optimizer, None
    if isinstance(config["learning_rate"], dict):
        if scheduled:
            raise RecipeError(
                "`lr_schedule` and `warmup` need a rate to multiply. Received: an optimizer with a schedule of its "
                "own. Give lr as well, or leave them out."
            )
        inner = keras.optimizers.schedules.deserialize(config["learning_rate"])
    elif scheduled:
        rate = float(config["learning_rate"])
        inner = Shape(rate, recipe.lr_schedule, str(recipe.warmup), total, per_epoch)
    if inner is None:
        return optimizer, None
    position = Position(inner, total)
    return type(optimizer).from_config(config | {"learning_rate": position}), position


def build_optimizer(optimizer: Any, variables: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Build `optimizer`, and find its variables that start as copies of weights, such as ScheduleFreeAdamW's momentum.

    Returns:
        Pairs of such a variable of the optimizer and the weight that it copies. In a fresh optimizer both are equal.
    """
    held = [v.numpy() for v in variables]
    # Unique values tell copies of weights from zeros, since biases start as zeros too.
    marks = [np.full(value.shape, 0.7391 * n, value.dtype) for n, value in enumerate(held, 1)]
    for variable, mark in zip(variables, marks, strict=True):
        variable.assign(mark)
    optimizer.build(variables)
    slots = [(slot, slot.numpy()) for slot in optimizer.variables]
    for variable, value in zip(variables, held, strict=True):
        variable.assign(value)
    return [
        (slot, variable)
        for variable, mark in zip(variables, marks, strict=True)
        for slot, value in slots
        if value.shape == mark.shape and np.array_equal(value, mark)
    ]


def _check_parts(optimizer: Any, scheduled: bool) -> None:
    """Refuse what an optimizer made of other optimizers cannot do.

    It has no learning rate of its own, and Keras has no access to its averages.
    """
    if scheduled:
        raise RecipeError(
            "`lr_schedule` and `warmup` need a rate to multiply. Received: "
            f"{type(optimizer).__name__}, which has none. Leave them out."
        )
    schedules = keras.optimizers.schedules.LearningRateSchedule
    for part in getattr(optimizer, "optimizers", ()):
        if part.use_ema or isinstance(part._learning_rate, schedules):
            raise RecipeError(
                f"The parts of {type(optimizer).__name__} must have neither schedules nor averages, which cannot be "
                f"rewound there. Received: {type(part).__name__} with one. Choose a plain optimizer instead."
            )


def _plain_optimizer(recipe: Recipe) -> Any:
    dials = {name: getattr(recipe, name) for name in ("epsilon", "momentum", "weight_decay")}
    dials = {name: value for name, value in dials.items() if value is not None}
    rate = {} if recipe.lr is None else {"learning_rate": recipe.lr}
    identifier: Mapping[str, Any]
    identifier = {"class_name": recipe.optimizer} if isinstance(recipe.optimizer, str) else recipe.optimizer
    name, config = identifier["class_name"], dict(identifier.get("config", {})) | dials | rate
    try:
        if "module" not in identifier:
            return _class(name).from_config(config)
        # `keras.optimizers.get` cannot read the config that `serialize` writes for Lamb.
        optimizer = keras.saving.deserialize_keras_object(dict(identifier) | {"config": config})
        return keras.optimizers.get(optimizer)
    except (TypeError, ValueError, ImportError) as error:
        received = ", ".join(f"{dial}={value}" for dial, value in dials.items()) or "its config"
        raise RecipeError(
            f"The optimizer {name!r} must take its settings. Received: {received}. {error}"
        ) from error


def _class(name: str) -> Any:
    """Keras's optimizer class of that name, in upper or lower case."""
    values = vars(keras.optimizers).values()
    classes = [v for v in values if isinstance(v, type) and issubclass(v, keras.optimizers.Optimizer)]
    # An optimizer without its own learning rate is made of others, and its name does not say of which.
    known = {cls.__name__.lower(): cls for cls in classes if "learning_rate" in signature(cls).parameters}
    if name.lower() not in known:
        raise RecipeError(unknown("optimizer", name, known, "Known"))
    return known[name.lower()]
