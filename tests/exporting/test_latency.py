"""Turns and percentiles, with a clock of the test's own."""

import keras
import pytest

from kerastickets.exporting.latency import latencies, timed


def test_calls_take_turns_and_each_is_first_as_often():
    seen, now = [], [0.0]

    def call(name, takes):
        def run():
            seen.append(name)
            now[0] += takes

        return run

    times = timed({"a": call("a", 1), "b": call("b", 2)}, 9, lambda: now[0])
    assert seen[:6] == ["a", "b"] * 3  # to warm up
    assert seen[6:] == ["a", "b", "b", "a", "a", "b"]
    assert times == {"a": [1, 1, 1], "b": [2, 2, 2]}


def test_no_more_than_two_hundred_rounds():
    assert len(timed({"a": lambda: None}, 1.0, lambda: 0.0)["a"]) == 200


def test_percentiles_in_milliseconds():
    ticks = iter(range(10_000))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    measured = latencies(
        {"dense": model, "masked": model}, (4,), clock=lambda: next(ticks) / 1000, batches=(2,)
    )
    for name in ("dense", "masked"):
        assert measured[name]["2"] == {"p50": pytest.approx(1), "p95": pytest.approx(1)}
