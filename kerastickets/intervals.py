"""Keras callbacks at the pace of evaluations, and a clear no to those that act on every batch."""

from collections.abc import Iterable
from types import TracebackType
from typing import Any

import keras

from kerastickets.errors import RecipeError

_PER_BATCH = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def check_interval_callback(callback: Any) -> None:
    """Refuse a callback that would have to run inside the compiled loop.

    Keras's own `TensorBoard`, `ModelCheckpoint` and `BackupAndRestore` pass when set to epochs
    (`update_freq="epoch"`, `save_freq="epoch"`), which are evaluations here.

    Args:
        callback: a Keras callback.

    Raises:
        RecipeError: naming the callback and the hook.

    Example:
        >>> check_interval_callback(keras.callbacks.CSVLogger("log.csv"))
    """
    if not isinstance(callback, keras.callbacks.Callback):
        raise RecipeError(f"Callbacks must be Keras callbacks. Received: {callback!r}")
    if getattr(callback, "update_freq", None) == "epoch" or getattr(callback, "save_freq", None) == "epoch":
        return
    for hook in _PER_BATCH:
        own = getattr(callback, hook)
        if getattr(own, "__func__", own) is not getattr(keras.callbacks.Callback, hook):
            raise RecipeError(
                f"{type(callback).__name__} acts on every batch ({hook}), but training runs as one compiled loop "
                "between evaluations. Use on_epoch_end, which fires at each evaluation; a NaN loss is an error "
                "without any callback."
            )


class Intervals:
    """A context in which callbacks see one epoch per evaluation.

    Args:
        callbacks: fresh Keras callbacks.
        model: the model they act on.
    """

    def __init__(self, callbacks: Iterable[Any], model: keras.Model) -> None:
        made = list(callbacks)
        for callback in made:
            check_interval_callback(callback)
        model.stop_training = False
        self._model, self._count = model, 0
        self._list = keras.callbacks.CallbackList(made, model=model) if made else None

    def __enter__(self) -> "Intervals":
        if self._list:
            self._list.on_train_begin()
            self._list.on_epoch_begin(0)
        return self

    def end(self, logs: dict[str, Any]) -> bool:
        """Close the interval with its logs; True when a callback asked to stop."""
        if self._list:
            self._list.on_epoch_end(self._count, {k: v for k, v in logs.items() if isinstance(v, float)})
            self._count += 1
            if not self._model.stop_training:
                self._list.on_epoch_begin(self._count)
        return bool(self._model.stop_training)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._list and kind is None:
            self._list.on_train_end()
