"""Run Keras callbacks once per evaluation, and refuse callbacks that act on every batch."""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

import keras

from kerastickets.errors import RecipeError

_PER_BATCH = (
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_batch_begin",
    "on_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
_RATE_SETTERS = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
# Fields of a row that are not metrics. Keras passes the epoch itself, and `ModelCheckpoint` fails on a second one.
_NO_METRICS = ("level", "iteration", "epoch", "seconds")


def check_interval_callback(callback: Any, *, scheduled: bool = False) -> None:
    """Refuse a callback that would have to run inside the compiled loop, or that contradicts the rest of the training.

    Keras's own `TensorBoard` and `ModelCheckpoint` are accepted if they act per epoch (`update_freq="epoch"`,
    `save_freq="epoch"`). An epoch is an evaluation here.

    Args:
        callback: a Keras callback.
        scheduled: whether a schedule already sets the learning rate.

    Raises:
        RecipeError: the callback is refused. The message names it, and the hook or setting that is the reason.

    Example:
        >>> check_interval_callback(keras.callbacks.CSVLogger("log.csv"))
    """
    if not isinstance(callback, keras.callbacks.Callback):
        raise RecipeError(f"Callbacks must be Keras callbacks. Received: {callback!r}")
    name = type(callback).__name__
    if isinstance(callback, keras.callbacks.BackupAndRestore):
        raise RecipeError(
            f"{name} would start a repeated level from half-trained weights. Leave it out: a run "
            "folder (`out`) continues by itself where it was stopped."
        )
    if scheduled and isinstance(callback, _RATE_SETTERS):
        raise RecipeError(
            f"{name} sets the learning rate, which a schedule or a warm-up sets already. Use "
            "lr_schedule=constant without a warm-up, or leave the callback out."
        )
    if getattr(callback, "update_freq", None) == "epoch" or getattr(callback, "save_freq", None) == "epoch":
        return
    for hook in _PER_BATCH:
        own = getattr(callback, hook)
        if getattr(own, "__func__", own) is not getattr(keras.callbacks.Callback, hook):
            raise RecipeError(
                f"{name} acts on every batch ({hook}), but training runs as one compiled loop "
                "between evaluations. Use on_epoch_end, which fires at each evaluation; a NaN loss is an error "
                "without any callback."
            )


class Intervals:
    """A context in which callbacks see each evaluation as one epoch.

    Args:
        callbacks: fresh Keras callbacks.
        model: the model they act on.
        scheduled: whether a schedule sets the learning rate.
    """

    def __init__(self, callbacks: Iterable[Any], model: keras.Model, *, scheduled: bool = False) -> None:
        made = list(callbacks)
        for callback in made:
            check_interval_callback(callback, scheduled=scheduled)
        model.stop_training = False
        self._model, self._count = model, 0
        self._list = keras.callbacks.CallbackList(made, model=model) if made else None

    def __enter__(self) -> "Intervals":
        if self._list:
            self._list.on_train_begin()
        return self

    def begin(self) -> None:
        """Begin the next interval."""
        if self._list:
            self._list.on_epoch_begin(self._count)

    def end(self, row: Mapping[str, Any]) -> bool:
        """End the interval with its row. Returns whether a callback asked to stop."""
        if self._list:
            metrics = {name: value for name, value in row.items() if name not in _NO_METRICS}
            self._list.on_epoch_end(self._count, metrics)
            self._count += 1
        return bool(self._model.stop_training)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._list and kind is None:
            self._list.on_train_end()
