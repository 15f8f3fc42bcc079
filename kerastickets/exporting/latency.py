"""Measure how long several models take per batch, side by side in one run."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.foundations.structure import map_leaves
from kerastickets.foundations.tree import generator

if TYPE_CHECKING:
    import keras

_ROUNDS = 200
_WARM_UP = 3


def latencies(
    models: "Mapping[str, keras.Model]",
    shape: Any,
    *,
    batches: Sequence[int] = (1, 64),
    seconds: float = 3.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure the time per batch of each model, in milliseconds, in TensorFlow and in this process.

    Every model runs as a `tf.function` with a fixed input shape, without XLA. Warm-up calls come first and do
    not count. The models take turns in every round, and each model goes first equally often. Other load on
    the machine therefore slows all models alike.

    Args:
        models: models by name; all take the same inputs.
        shape: the shape of one example; or one example with its batch axis, in the structure that the models take, of
            which floats are replaced by random numbers and integers are repeated.
        batches: batch sizes to measure, in examples.
        seconds: longest measurement per batch size; it also ends after 200 rounds.
        clock: returns the time in seconds, counted from any moment.

    Returns:
        By model name, then by batch size (as text): `p50` and `p95`, the median and the 95th percentile.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> measured = latencies({"masked": toy_ticket().build()}, (8, 8, 1), seconds=0.01)
        >>> list(measured["masked"]), list(measured["masked"]["64"])
        (['1', '64'], ['p50', 'p95'])
    """
    result: dict[str, dict[str, dict[str, float]]] = {name: {} for name in models}
    plain = isinstance(shape, Sequence) and all(isinstance(length, int) for length in shape)
    example = np.zeros((1, *shape), "float32") if plain else shape
    for batch in batches:
        inputs = map_leaves(partial(_drawn, batch), example)
        calls = {name: _call(model, inputs) for name, model in models.items()}
        for name, times in timed(calls, seconds, clock).items():
            p50, p95 = np.percentile(times, [50, 95])
            result[name][str(batch)] = {"p50": float(p50) * 1000, "p95": float(p95) * 1000}
    return result


def timed(
    calls: Mapping[str, Callable[[], Any]], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Time calls in rounds: every round makes each call once, and the starting call rotates.

    Args:
        calls: functions by name.
        seconds: start no further round after this time; the first round always runs.
        clock: returns the time in seconds, counted from any moment.

    Returns:
        By name, the seconds that the call took in each round.

    Example:
        >>> ticks = iter(range(100))
        >>> timed({"a": lambda: None}, 6, lambda: next(ticks))  # a round reads the clock three times
        {'a': [1, 1]}
    """
    for _ in range(_WARM_UP):
        for call in calls.values():
            call()
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    end = clock() + seconds
    for turn in range(_ROUNDS):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begin = clock()
            calls[name]()
            times[name].append(clock() - begin)
        if clock() >= end:
            break
    return times


def _drawn(batch: int, array: np.ndarray) -> np.ndarray:
    shape = (batch, *array.shape[1:])
    if array.dtype.kind != "f":
        return np.broadcast_to(array[:1], shape)
    return generator("latency", *shape).standard_normal(shape).astype(array.dtype)


def _call(model: "keras.Model", inputs: Any) -> Callable[[], Any]:
    import tensorflow as tf

    x = map_leaves(tf.constant, inputs)
    signature = [map_leaves(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), x)]
    run = tf.function(lambda x: model(x, training=False), input_signature=signature)
    # Fetch the result: TensorFlow may not have computed it before.
    return lambda: [np.asarray(part) for part in tf.nest.flatten(run(x))]
