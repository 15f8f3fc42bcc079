"""How long models take for a batch, measured against each other in one run."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.foundations.tree import generator

if TYPE_CHECKING:
    import keras

_ROUNDS = 200
_WARM_UP = 3


def latencies(
    models: "Mapping[str, keras.Model]",
    shape: Sequence[int],
    *,
    batches: Sequence[int] = (1, 64),
    seconds: float = 3.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, dict[str, float]]]:
    """The time that each model takes for a batch, in milliseconds, in TensorFlow and in this process.

    Every model is a `tf.function` of a fixed input shape, without XLA, warmed up before it counts. They take turns
    round by round, each first as often as the others, so that whatever else the machine does meets all of them.

    Args:
        models: models of the same inputs by name.
        shape: the shape of one example.
        batches: how many examples at once.
        seconds: how long to measure a batch size at most; at most 200 rounds are made.
        clock: seconds from any moment on.

    Returns:
        By name and batch size (as text) `p50` and `p95`, the median and the 95th percentile.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> measured = latencies({"masked": toy_ticket().build()}, (8, 8, 1), seconds=0.01)
        >>> list(measured["masked"]), list(measured["masked"]["64"])
        (['1', '64'], ['p50', 'p95'])
    """
    result: dict[str, dict[str, dict[str, float]]] = {name: {} for name in models}
    for batch in batches:
        calls = {name: _call(model, (batch, *shape)) for name, model in models.items()}
        for name, times in timed(calls, seconds, clock).items():
            p50, p95 = np.percentile(times, [50, 95])
            result[name][str(batch)] = {"p50": float(p50) * 1000, "p95": float(p95) * 1000}
    return result


def timed(
    calls: Mapping[str, Callable[[], Any]], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds that each call took, in rounds of one of each, in another order every round.

    Args:
        calls: functions by name.
        seconds: begin no round after as long; one round is made whatever it takes.
        clock: seconds from any moment on.

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


def _call(model: "keras.Model", shape: tuple[int, ...]) -> Callable[[], Any]:
    import tensorflow as tf

    x = tf.constant(generator("latency", *shape).standard_normal(shape), tf.float32)
    run = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)])
    # The result is fetched: what is not may not have been computed yet.
    return lambda: [np.asarray(part) for part in tf.nest.flatten(run(x))]
