"""How a net is trained: every setting that can change its bits, in one frozen, JSON-ready value.

This module imports no TensorFlow, so that a mistyped setting is refused at once.
"""

import math
import numbers
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from kerastickets.data.augmentation import Augmentation
from kerastickets.errors import RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets.registry.plugin_options import setting, unknown

if TYPE_CHECKING:
    from kerastickets.data.dataset import Data

Keep = Literal["best", "last"]
Jit = Literal["auto", "on", "off"]
_OPTIMIZERS_OWN = ("lr", "epsilon", "momentum", "weight_decay")
#: The settings that go with a teacher. The level that is the teacher, and a ticket elsewhere, are without them.
OF_TEACHERS = ("distil", "temperature")
# Metrics for which smaller is better, by the names that Keras gives them.
_SMALLER = re.compile(r"loss|error|entropy|divergence|hinge|(^|_)(mse|mae|mape|msle|rmse)$")


# Settings that were added later. Their defaults are not recorded, so that recipes of earlier runs stay the same.
_LATER = ("eval_batch_size", "no_test", "distil")


class TrainSettings(TypedDict, total=False):
    """The keyword arguments of `kt.prune` and `kt.train` that say how to train; see `Recipe`."""

    train: Duration | str | int
    train_size: int | float | None
    eval_every: Duration | str | int
    patience: int | None
    monitor: str
    keep: Keep
    batch_size: int
    optimizer: str | Mapping[str, Any]
    lr: float | None
    epsilon: float | None
    momentum: float | None
    weight_decay: float | None
    l1: float
    l2: float
    lr_schedule: str
    warmup: Duration | str | int
    augment: str
    jit: Jit
    eval_batch_size: int
    no_test: bool
    distil: float | None
    temperature: float


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Args:
        train: how long to train in all, from iteration 0: 20ep or 5000it.
        train_size: how many training examples to use, such as 1000, or which fraction of them, such as 0.25. The
            examples are drawn by the data seed, from each class in proportion.
        eval_every: evaluate on validation data this often, and at the end.
        patience: stop after this many evaluations without improvement.
        monitor: the metric to improve: val_accuracy, val_loss, or val_ and any metric of the data. Losses, errors,
            entropies, divergences and hinges are minimised; everything else is maximised.
        keep: the weights that the ticket's `final` holds: those of the best evaluation, or the last.
        batch_size: examples per step, over all replicas. What is left over in an epoch is dropped.
        optimizer: a Keras optimizer: adam, sgd, adamw, ... In Python also its config, `{"class_name", "config"}`.
        lr: the learning rate.
        epsilon: epsilon of Adam and similar optimizers (Keras 1e-7, the papers 1e-8).
        momentum: momentum of sgd and rmsprop.
        weight_decay: decoupled weight decay, as Keras's optimizers define it.
        l1: add l1 * sum(|w|) over kernels and biases to the loss.
        l2: add l2 * sum(w**2) over kernels and biases to the loss. PyTorch's coupled weight decay w is l2 = w / 2.
        lr_schedule: how the learning rate changes: constant, cosine or linear (both to 0 at the end), exponential:F
            (times F each epoch), or steps:10ep=0.1,15ep=0.01 (times a factor from a moment on).
        warmup: raise the learning rate linearly from 0 over this long.
        augment: change training images at random: none, flip (half of them, left to right), crop:4 (a random crop
            after padding by 4 pixels of zeros) or flip+crop:4.
        jit: compile training with XLA: always (on), never (off), or where it pays (auto: every layer supports it and,
            on CPU, no layer convolves or draws random numbers). With auto, a net that XLA cannot compile trains
            without it, with a warning.
        eval_batch_size: examples per step of an evaluation, in each replica. A smaller number needs less memory.
        no_test: do not measure the test split at the end of a training.
        distil: learn from a teacher. The loss is (1 - distil) * own loss + distil * distance from the teacher.
            The teacher of kt prune is the trained net of level 0, that of kt train is --teacher.
        temperature: the temperature of distillation, which divides the logits of both nets.

    Raises:
        RecipeError: a setting is out of range. The message names it and the value received.

    Example:
        >>> Recipe(train=Duration(2, "ep")).describe()["train"]
        '2ep'
    """

    train: Duration = Duration(20, "ep")
    train_size: int | float | None = setting(None, shown="all")
    eval_every: Duration = Duration(1, "ep")
    patience: int | None = setting(None, metavar="N", shown="never")
    monitor: str = setting("val_accuracy", metavar="METRIC")
    keep: Keep = "best"
    batch_size: int = 60
    optimizer: str | Mapping[str, Any] = setting("adam", metavar="NAME")
    lr: float | None = setting(None, shown="the optimizer's")
    epsilon: float | None = setting(None, shown="the optimizer's")
    momentum: float | None = setting(None, shown="the optimizer's")
    weight_decay: float | None = setting(None, shown="the optimizer's")
    l1: float = 0.0
    l2: float = 0.0
    lr_schedule: str = setting("constant", metavar="SCHEDULE")
    warmup: Duration = Duration(0, "it")
    augment: str = setting("none", metavar="HOW")
    jit: Jit = "auto"
    # Large enough to be quick. It divides the usual 5 000 and 10 000 examples, so that no smaller batch remains.
    eval_batch_size: int = 1000
    no_test: bool = False
    distil: float | None = setting(None, metavar="WEIGHT", shown="no teacher")
    temperature: float = setting(4.0, metavar="T")

    def __post_init__(self) -> None:
        for name in ("train", "eval_every", "warmup"):
            object.__setattr__(self, name, Duration.parse(getattr(self, name)))
        for name in ("train", "eval_every"):
            _need(getattr(self, name).count >= 1, name, "be at least one iteration", getattr(self, name))
        for name in ("batch_size", "eval_batch_size"):
            value = getattr(self, name)
            _need(_whole(value) and value >= 1, name, "be at least 1", value)
        ok = self.patience is None or (_whole(self.patience) and self.patience >= 1)
        _need(ok, "patience", "be at least 1, or none", self.patience)
        ok = isinstance(self.monitor, str) and self.monitor.startswith("val_")
        _need(ok, "monitor", "start with 'val_'", self.monitor)
        _need(self.keep in get_args(Keep), "keep", "be 'best' or 'last'", self.keep)
        _need(self.jit in get_args(Jit), "jit", "be 'auto', 'on' or 'off'", self.jit)
        _need(isinstance(self.no_test, bool), "no_test", "be true or false", repr(self.no_test))
        for name in ("lr", "epsilon", "momentum", "weight_decay", "l1", "l2"):
            value = getattr(self, name)
            ok = _real(value) and math.isfinite(value) and (value > 0 or (value == 0 and name != "lr"))
            ok = ok or (value is None and name not in ("l1", "l2"))
            what = "be positive and finite" if name == "lr" else "be at least 0 and finite"
            _need(ok, name, what, repr(value))
            # One type for 1, 1.0 and NumPy's numbers: a recipe becomes JSON, and equal recipes must become equal text.
            object.__setattr__(self, name, None if value is None else float(value))
        ok = self.distil is None or (_real(self.distil) and 0 < self.distil <= 1)
        _need(ok, "distil", "be above 0 and at most 1, or none", repr(self.distil))
        ok = _real(self.temperature) and 0 < self.temperature < math.inf
        _need(ok, "temperature", "be above 0 and finite", repr(self.temperature))
        object.__setattr__(self, "distil", None if self.distil is None else float(self.distil))
        object.__setattr__(self, "temperature", float(self.temperature))
        object.__setattr__(self, "train_size", _size(self.train_size))
        schedule_points(self.lr_schedule)
        Augmentation.parse(self.augment)
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        config = self.optimizer
        ok = isinstance(config, Mapping) and isinstance(config.get("class_name"), str)
        what = "be a name, or a config as keras.optimizers.serialize(optimizer) gives it"
        _need(ok or isinstance(config, str), "optimizer", what, config)

    @classmethod
    def of(cls, *layers: Mapping[str, Any]) -> "Recipe":
        """Merge `layers` of settings into a recipe. Earlier layers win, and other settings have their defaults.

        If a layer names another optimizer, the `lr`, `epsilon`, `momentum` and `weight_decay` of later layers are
        ignored, since they were meant for the optimizer that they came with.

        Args:
            layers: settings by name, such as the caller's and then the model's own.

        Raises:
            RecipeError: a name is not a setting, or a value is out of range.

        Example:
            >>> Recipe.of({"batch_size": 32}, {"batch_size": 60, "lr": 1e-3}).batch_size
            32
        """
        merged: dict[str, Any] = {}
        for layer in reversed(layers):
            before = _optimizer_name(merged.get("optimizer", cls.optimizer))
            if _optimizer_name(layer.get("optimizer", before)) != before:
                merged = {name: value for name, value in merged.items() if name not in _OPTIMIZERS_OWN}
            merged |= layer
        known = {field.name for field in fields(cls)}
        for name in merged:
            if name not in known:
                raise RecipeError(unknown("training setting", name, known, "Settings"))
        return cls(**merged)

    def describe(self) -> dict[str, Any]:
        """The recipe as JSON, as `run.json` and a ticket's provenance record it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in _LATER:
            if values[name] == getattr(Recipe, name):
                del values[name]
        if self.distil is None:
            values.pop("temperature")
        return {name: str(v) if isinstance(v, Duration) else v for name, v in values.items()}

    def per_epoch(self, data: "Data") -> int:
        """Iterations per epoch of `data`: the number of whole batches, but at least one."""
        return max(1, data.count("train") // self.batch_size)

    @property
    def minimise(self) -> bool:
        """Whether a smaller monitored value is better."""
        return _SMALLER.search(self.monitor) is not None


def _optimizer_name(optimizer: Any) -> str:
    name = optimizer.get("class_name") if isinstance(optimizer, Mapping) else optimizer
    return str(name).lower()


def _size(value: Any) -> int | float | None:
    """Check a training size, and give it one type, also for NumPy's numbers. The fraction 1.0 becomes None (all).

    The count 1 stays 1.
    """
    count = isinstance(value, numbers.Integral)
    ok = value is None or (_real(value) and (value >= 1 if count else 0 < value <= 1))
    _need(ok, "train_size", "be a count of at least 1, or a fraction above 0 and up to 1.0", repr(value))
    if count:
        return int(value)
    return None if value is None or value == 1 else float(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _need(condition: bool, name: str, what: str, value: Any) -> None:
    if not condition:
        raise RecipeError(f"`{name}` must {what}. Received: {name}={value}")


def schedule_points(text: str) -> tuple[str, tuple[tuple[Duration, float], ...]]:
    """Parse a learning-rate schedule to its kind and its points.

    Returns:
        `("steps", ((Duration, factor), ...))`, `("exponential", ((Duration(1, "ep"), factor),))`, or the kind and
        no points.

    Raises:
        RecipeError: the text is not a schedule.

    Example:
        >>> schedule_points("steps:10ep=0.1")
        ('steps', ((Duration(count=10, unit='ep'), 0.1),))
    """
    kind, _, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    try:
        if kind in ("constant", "cosine", "linear") and not rest:
            return kind, ()
        if kind == "exponential":
            return kind, ((Duration(1, "ep"), _factor(rest)),)
        if kind == "steps":
            pairs = (point.split("=") for point in rest.split(","))
            return kind, tuple((Duration.parse(when), _factor(factor)) for when, factor in pairs)
    except ValueError:
        pass
    raise RecipeError(
        "`lr_schedule` must be constant, cosine, linear, exponential:0.95 or steps:10ep=0.1,15ep=0.01. "
        f"Received: lr_schedule={text!r}"
    )


def _factor(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(text)
    return value


def watched(splits: Collection[str]) -> tuple[str, ...]:
    """Check the splits to measure at every evaluation besides validation, and sort them.

    Raises:
        RecipeError: one of them is neither `train` nor `test`.
    """
    for split in splits:
        if isinstance(splits, str) or split not in ("train", "test"):
            raise RecipeError(f"`watch` must be a list of train and test. Received: watch={splits!r}")
    return tuple(sorted(splits))
