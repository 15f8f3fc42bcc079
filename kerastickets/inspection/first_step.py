"""Measure the first training steps of a model: seconds, and the memory that they need."""

import threading
import time
import warnings
from collections.abc import Callable, Collection
from typing import Any

import keras

from kerastickets.cutting.cut_scores import ones
from kerastickets.data.dataset import Data
from kerastickets.foundations.memory import resident_memory
from kerastickets.foundations.tree import Tree
from kerastickets.models.objective import Objective
from kerastickets.training.recipe import Recipe
from kerastickets.training.trainer import Trainer

_STEPS = 5
_EVERY = 0.002


def measure(
    build: Callable[[], keras.Model],
    weights: Tree,
    data: Data,
    objective: Objective | None,
    recipe: Recipe,
    shapes: dict[str, tuple[int, ...]],
) -> tuple[dict[str, Any], Trainer, str]:
    """Train a copy of a model for a few steps, under masks of ones.

    Args:
        build: makes the copy.
        weights: its weights.
        data: the data to train on.
        objective: loss and metrics; None takes those of the data.
        recipe: how to train; its batch size counts.
        shapes: the shapes of the weights to mask, by key.

    Returns:
        The numbers of `Inspection.first_step`, the trainer, and what XLA said if it could not compile the net.

    Raises:
        KerasTicketsError: the net cannot train on the data.
    """
    with _Growth() as growth, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        started = time.perf_counter()
        trainer = Trainer(build, data, recipe, _keys(shapes), objective=objective)
        trainer.load(weights, ones(shapes), seed=0)
        trainer.engine.train(0, 0, 1)
        first = time.perf_counter() - started
        step = _timed(lambda: trainer.engine.train(0, 0, 1))
    told = next((str(one.message) for one in caught if "XLA cannot compile" in str(one.message)), "")
    numbers = {
        "examples": recipe.batch_size,
        "compile_seconds": max(0.0, first - step),
        "step_seconds": step,
        "memory_bytes": growth.bytes,
    }
    return numbers, trainer, told


def _keys(shapes: dict[str, tuple[int, ...]]) -> Collection[str]:
    return list(shapes)


def _timed(step: Callable[[], Any]) -> float:
    """The median of a few calls, in seconds: another process may slow one of them down."""
    seconds = []
    for _ in range(_STEPS):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[_STEPS // 2]


class _Growth:
    """By how many bytes this process grew at most while the body ran; None where the system does not say."""

    bytes: int | None = None

    def __enter__(self) -> "_Growth":
        self._before = self._peak = resident_memory()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._before is not None and self._peak is not None:
            self.bytes = self._peak - self._before

    def _watch(self) -> None:
        while True:
            now = resident_memory()
            if now is None or self._peak is None:
                return
            self._peak = max(self._peak, now)
            if self._stop.wait(_EVERY):
                return
