"""Turns and percentiles, with a clock of the test's own."""

import sys

import keras
import numpy as np
import pytest

from kerastickets.exporting.latency import latencies, timed


def test_calls_take_turns_and_each_is_first_as_often():
    seen, now = [], [0.0]

    def call(name, takes):
        def run():
            seen.append(name)
            now[0] += takes

        return run

    times = timed({"a": call("a", 1), "b": call("b", 2)}, 18, lambda: now[0])
    assert seen[:6] == ["a", "b"] * 3  # to warm up
    assert seen[6:] == ["a", "b", "b", "a"] * 3
    assert times == {"a": [1] * 6, "b": [2] * 6}


def test_no_more_than_two_hundred_rounds():
    assert len(timed({"a": lambda: None}, 1.0, lambda: 0.0)["a"]) == 200


def test_percentiles_in_milliseconds():
    ticks = iter(range(10_000))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    measured = latencies(
        {"dense": model, "masked": model}, (4,), clock=lambda: next(ticks) / 1000, batches=(2,)
    )
    for name in ("dense", "masked"):
        times = measured[name]["2"]
        assert (times["p50"], times["p95"]) == (pytest.approx(1), pytest.approx(1))
    assert times["rounds"] == 200
    assert [times[f"ratio_p{n}"] for n in (10, 50, 90)] == pytest.approx([1, 1, 1])
    assert "ratio_p50" not in measured["dense"]["2"]


def test_ratios_are_those_of_each_round(monkeypatch):
    """The first takes 1 and 2 ms in turns and the second 1 ms: half of the ratios are 1, and half are 2."""
    by_hand = {"dense": [0.001, 0.002] * 5, "small": [0.001] * 10}
    monkeypatch.setattr(sys.modules["kerastickets.exporting.latency"], "timed", lambda *_: by_hand)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    found = latencies({"dense": model, "small": model}, (4,), batches=(1,))["small"]["1"]
    assert found["rounds"] == 10
    assert [found[f"ratio_p{n}"] for n in (10, 50, 90)] == [1, 1.5, 2]


def test_slow_models_get_six_rounds_but_no_more_than_ten_times_as_long():
    now = [0.0]

    def run(takes):
        def call():
            now[0] += takes

        now[0] = 0
        return len(timed({"a": call}, 3, lambda: now[0])["a"])

    assert [run(takes) for takes in (0.25, 1, 4, 10, 31)] == [12, 6, 6, 3, 1]


def test_examples_of_several_inputs_fill_a_batch():
    """Word numbers must stay word numbers: the embedding has three rows only."""
    words, more = keras.Input((2,), dtype="int32", name="words"), keras.Input((1,), name="more")
    both = keras.layers.Concatenate()([keras.layers.Flatten()(keras.layers.Embedding(3, 2)(words)), more])
    model = keras.Model({"words": words, "more": more}, [keras.layers.Dense(1)(both), both])
    x = {"words": np.array([[0, 2]], "int32"), "more": np.ones((1, 1), "float32")}
    assert latencies({"a": model}, x, batches=(3,), seconds=0.001)["a"]["3"]["p50"] > 0
