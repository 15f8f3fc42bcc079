"""Nets that take turns in one compiled call: bit for bit those that train alone."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import generator
from kerastickets.models.variables import variables
from kerastickets.training.session import Start
from kerastickets.training.trainer import Trainer
from tests.helpers.training import (
    KEYS,
    cosine,
    data,
    doubled,
    noisy,
    pictures,
    piped,
    plain,
    recipe,
    same,
    start,
)

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_each_is_bit_for_bit_the_net_that_trains_alone": ("own train_step", "schedule, keep last"),
}


def conv():
    """Convolution, BatchNormalization and Dropout."""
    net = [layers.Conv2D(4, 2, padding="same"), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]
    return keras.Sequential([keras.Input((2, 2, 1)), *net, layers.Dropout(0.3), layers.Dense(3)])


def normalised():
    net = [layers.Dense(8), layers.BatchNormalization(), layers.ReLU(), layers.Dense(3)]
    return keras.Sequential([keras.Input((4,)), *net])


def made(build=plain, *, on=None, keys=KEYS, **dials):
    extra = {name: dials.pop(name) for name in ("callbacks", "watch") if name in dials}
    dials = {"train": "4ep", "patience": 2} | dials
    return Trainer(build, on or data(), recipe(**dials), keys, **extra)


def starts(build=plain, keys=KEYS, count=3):
    """Shared and different seeds, different masks, one that begins late, and snapshots at odd steps."""
    shapes = {key: v.shape for key, v in variables(build()).items() if key in keys}
    for n in range(count):
        masks = {key: generator("group", n, key).random(shape) < 0.7 for key, shape in shapes.items()}
        late = {"first": 3, "rate_at": 5} if n == 2 else {}
        steps = (4, 7, 10) if n == 1 else (10,)
        yield Start(start(build, n), masks, n // 2, level=n, snapshot_at=steps, **late)


def alone(trainer, one):
    dials = {name: value for name, value in vars(one).items() if name not in ("weights", "masks", "measured")}
    return trainer.train(one.weights, one.masks, **dials)


def rows(outcome):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in outcome.rows]


def assert_equal(one, other):
    assert same(one.final, other.final)
    assert rows(one) == rows(other)
    assert one.metrics == other.metrics
    assert one.snapshots.keys() == other.snapshots.keys()
    assert all(same(one.snapshots[step], other.snapshots[step]) for step in one.snapshots)


CASES = {
    "dense": (plain, {}),
    "dense, XLA": (plain, {"jit": "on"}),
    "normalised, dropout": (noisy, {}),
    "normalised, XLA": (normalised, {"jit": "on", "optimizer": "sgd"}),
    "convolution, normalised, dropout, augmented": (
        conv,
        {"on": "pictures", "augment": "flip", "keys": ("conv2d/kernel", "dense/kernel")},
    ),
    "schedule, keep last": (plain, cosine(keep="last", watch=["train", "test"])),
    "own train_step": (doubled, {}),
    "averages": (plain, {"optimizer": {"class_name": "Adam", "config": {"use_ema": True}}, "keep": "last"}),
}


# XLA compiles the first for a quarter of a minute; the second is part of another case.
SLOW = ("dense, XLA", "normalised, XLA", "normalised, dropout", "convolution, normalised, dropout, augmented")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if case in SLOW else []) for case in CASES]
)
def test_each_is_bit_for_bit_the_net_that_trains_alone(case):
    build, dials = CASES[case]
    dials = dict(dials)
    if dials.get("on"):
        dials["on"] = pictures()
    several = list(starts(build, dials.get("keys", KEYS)))
    together = made(build, **dials).train_many(several)
    other = made(build, **dials)  # another compilation
    for one, outcome in zip(several, together, strict=True):
        assert_equal(alone(other, one), outcome)


@functools.cache
def dense():
    return made(train="8ep", lr=0.1)


def test_each_stops_by_itself():
    stopped = [one.metrics["stopped_iteration"] for one in dense().train_many([*starts(count=6)])]
    assert len(set(stopped)) > 1


def test_a_trainer_serves_groups_and_single_nets_in_any_order():
    several = [*starts(count=6)]
    first = dense().train_many(several)
    lonely = alone(dense(), several[1])
    again = dense().train_many(several[2:0:-1])  # fewer, and in other places
    assert_equal(lonely, first[1])
    for one, other in zip(again, first[2:0:-1], strict=True):
        assert_equal(one, other)


def test_one_model_is_compiled_however_many_train():
    before = dense().train_many([*starts(count=6)])
    group = dense()._group
    dense().train_many([*starts(count=2)])
    assert dense()._group is group
    assert len(before) == 6


def test_a_member_that_fails_leaves_its_error_and_the_others_go_on():
    several = [*starts(count=3)]
    bad = Start(
        {**several[1].weights, "dense/kernel": np.full((4, 8), np.nan, "float32")}, *_rest(several[1])
    )
    results = dense().try_many([several[0], bad, several[2]])
    assert isinstance(results[1], RecipeError)
    assert_equal(results[0], alone(dense(), several[0]))
    assert_equal(results[2], alone(dense(), several[2]))
    with pytest.raises(RecipeError, match="starts from must give finite metrics"):
        dense().train_many([several[0], bad])


def _rest(one):
    return one.masks, one.seed


def test_rows_are_told_as_they_come():
    seen = {0: [], 1: []}
    several = [
        Start(one.weights, one.masks, one.seed, on_row=seen[n].append)
        for n, one in enumerate(starts(count=2))
    ]
    outcomes = dense().train_many(several)
    assert [tuple(told) for told in seen.values()] == [outcome.rows for outcome in outcomes]


@pytest.mark.parametrize("why", ["callbacks", "batches"])
def test_what_cannot_take_turns_is_trained_one_after_another(why):
    class Count(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            counted.append(epoch)

    counted = []
    dials = {"callbacks": lambda level: [Count()]} if why == "callbacks" else {"on": piped()}
    trainer = made(train="2ep", **dials)
    several = [Start(one.weights, one.masks, one.seed) for one in starts(count=2)]
    assert not trainer.takes_turns
    for one, outcome in zip(several, trainer.train_many(several), strict=True):
        assert_equal(alone(made(train="2ep", **dials), one), outcome)
    assert counted == ([0, 1] * 4 if why == "callbacks" else [])
