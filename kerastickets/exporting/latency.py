"""Measure how long several models take per batch, side by side in one run."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.foundations.structure import map_leaves
from kerastickets.foundations.tree import generator

if TYPE_CHECKING:
    import keras

_ROUNDS, _LEAST = 200, 6
#: How many times the requested seconds a measurement may last until it has the least number of rounds.
_PATIENCE = 10
_WARM_UP = 3


def latencies(
    models: "Mapping[str, keras.Model]",
    inputs: Any,
    *,
    batches: Sequence[int] = (1, 64),
    seconds: float = 3.0,
    clock: Callable[[], float] = time.perf_counter,
    processor: Callable[[], float] = time.process_time,
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure the time per batch of each model, in milliseconds, in TensorFlow and in this process.

    Every model runs as a `tf.function` with a fixed input shape, without XLA. Warm-up calls come first and do
    not count. The models take turns in every round, and each model goes first equally often. Other load on
    the machine therefore slows all models alike. The first model is what the others are compared with: every round
    gives the ratio of the first model's time to another model's time.

    Args:
        models: models by name; all take the same inputs.
        inputs: examples `(n, ...)`, or a structure of them that the models take; they are repeated to fill a batch.
            Or the shape of one example, for examples from the normal distribution.
        batches: batch sizes to measure, in examples.
        seconds: longest measurement per batch size; it also ends after 200 rounds. Slow models get six rounds at least,
            in at most ten times as long.
        clock: returns the time in seconds, counted from any moment.
        processor: returns the processor time of this process in seconds.

    Returns:
        By model name, then by batch size (as text): `p50` and `p95`, the median and the 95th percentile; `rounds`, how
        many rounds there were; `cpu`, the processor time of this process as a fraction of the time that passed, which
        is far below 1 where other programs had the processor (not given where a GPU computes). Every model but the
        first also has `ratio_p10`, `ratio_p50` and `ratio_p90`, percentiles of the ratios: above 1 where the model is
        faster than the first.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> measured = latencies({"masked": toy_ticket().build()}, (8, 8, 1), seconds=0.01)
        >>> list(measured["masked"]), list(measured["masked"]["64"])
        (['1', '64'], ['p50', 'p95', 'rounds', 'cpu'])
    """
    result: dict[str, dict[str, dict[str, float]]] = {name: {} for name in models}
    for batch in batches:
        calls = {name: _call(model, inputs, batch) for name, model in models.items()}
        for call in calls.values():
            call()  # compile it, which takes processor time of another kind
        begin, used = time.perf_counter(), processor()
        rounds = timed(calls, seconds, clock)
        share = (processor() - used) / max(time.perf_counter() - begin, 1e-9)
        busy = {} if _has_gpu() else {"cpu": share}
        first = np.array(next(iter(rounds.values())))
        for number, (name, times) in enumerate(rounds.items()):
            p50, p95 = np.percentile(times, [50, 95])
            facts: dict[str, float] = {
                "p50": float(p50) * 1000,
                "p95": float(p95) * 1000,
                "rounds": len(times),
            } | busy
            if number:
                ratios = np.percentile(first / np.maximum(times, 1e-9), [10, 50, 90])
                facts |= dict(zip(("ratio_p10", "ratio_p50", "ratio_p90"), map(float, ratios), strict=True))
            result[name][str(batch)] = facts
    return result


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))


def timed(
    calls: Mapping[str, Callable[[], Any]], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Time calls in rounds: every round makes each call once, and the starting call rotates.

    Args:
        calls: functions by name.
        seconds: start no further round after this time, once there are six rounds or ten times as long has passed. The
            first round always runs.
        clock: returns the time in seconds, counted from any moment.

    Returns:
        By name, the seconds that the call took in each round.

    Example:
        >>> ticks = iter(range(100))
        >>> timed({"a": lambda: None}, 2, lambda: next(ticks))  # a round reads the clock three times
        {'a': [1, 1, 1, 1, 1, 1]}
    """
    for _ in range(_WARM_UP):
        for call in calls.values():
            call()
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    start = clock()
    for turn in range(_ROUNDS):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begin = clock()
            calls[name]()
            times[name].append(clock() - begin)
        passed = clock() - start
        if passed >= seconds * _PATIENCE or (passed >= seconds and turn + 1 >= _LEAST):
            break
    return times


def _call(model: "keras.Model", inputs: Any, batch: int) -> Callable[[], Any]:
    import tensorflow as tf

    if isinstance(inputs, tuple) and all(isinstance(size, int) for size in inputs):
        inputs = generator("latency", batch, *inputs).standard_normal((batch, *inputs)).astype("float32")
    given = map_leaves(lambda array: tf.constant(np.resize(array, (batch, *np.shape(array)[1:]))), inputs)
    signature = [map_leaves(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), given)]
    run = tf.function(lambda x: model(x, training=False), input_signature=signature)
    # Fetch the result: TensorFlow may not have computed it before.
    return lambda: [np.asarray(part) for part in tf.nest.flatten(run(given))]
