"""Training of every kind of model, optimizer, precision and data."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerastickets.errors import RecipeError
from kerastickets.models.initial_weights import fresh
from kerastickets.models.variables import snapshot
from kerastickets.training.trainer import Trainer
from tests.helpers.training import (
    cosine,
    data,
    doubled,
    masks,
    noisy,
    ones,
    piped,
    recipe,
    same,
    start,
    trainer,
)

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_pruned_weights_stay_exactly_zero": ("adamw", "adagrad", "lion"),
}


def test_frozen_weights_and_frozen_statistics_stay():
    made = trainer(noisy, frozen=["dense", "batch_normalization"])
    begin = start(noisy)
    outcome = made.train(begin, ones(), seed=0)
    for key, value in begin.items():
        assert np.array_equal(outcome.final[key], value) is not key.startswith("dense_1"), key


def test_a_normalisation_frozen_in_part_still_normalises_batches():
    begin = start(noisy)
    outcome = trainer(noisy, frozen=["*/gamma"]).train(begin, ones(), seed=0)
    moved = {key.rpartition("/")[2] for key in begin if not np.array_equal(begin[key], outcome.final[key])}
    assert moved == {"kernel", "bias", "beta", "moving_mean", "moving_variance"}


@pytest.mark.parametrize(
    ("frozen", "message"),
    [(["dens"], "`freeze` must name a weight. Received: 'dens'"), (["*"], "Something must be left to train")],
)
def test_a_freeze_that_cannot_be_meant_is_refused(frozen, message):
    with pytest.raises(RecipeError, match=message):
        trainer(frozen=frozen)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "lion", "muon", "adagrad"])
def test_pruned_weights_stay_exactly_zero(optimizer):
    dials = {"weight_decay": 0.1} if optimizer in ("adamw", "sgd", "adam") else {}
    outcome = trainer(optimizer=optimizer, **dials).train(start(), masks(), seed=0)
    for key, mask in masks().items():
        assert not outcome.final[key][~mask].any()
        assert not np.signbit(outcome.final[key][~mask]).any()
        assert (outcome.final[key][mask] != start()[key][mask]).mean() > 0.5  # units cut off stand still


def test_averaging_optimizers_keep_their_averages_and_their_zeros():
    config = {"class_name": "SGD", "config": {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.5}}
    made = trainer(optimizer=config, lr=None, train="3it", eval_every="1it", keep="last")
    raw = trainer(optimizer="sgd", lr=0.1, train="3it", eval_every="1it")
    w = raw.train(start(), masks(), seed=0, snapshot_at=[1, 2, 3]).snapshots
    outcome = made.train(start(), masks(), seed=0, snapshot_at=[3])
    for key in w[1]:
        # Keras starts the average at the weights after the first step.
        average = 0.5 * (0.5 * w[1][key] + 0.5 * w[2][key]) + 0.5 * w[3][key]
        np.testing.assert_allclose(outcome.final[key], average, atol=1e-6)
    assert same(outcome.snapshots[3], w[3])  # training itself goes on from the raw weights
    for key, mask in masks().items():
        assert not outcome.final[key][~mask].any()


def test_mixed_precision_trains():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        made = trainer(train="8ep")
        assert type(made.model.optimizer).__name__ == "LossScaleOptimizer"
        outcome = made.train(start(), masks(), seed=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert outcome.rows[-1]["loss"] < outcome.rows[1]["loss"]
    assert {value.dtype.name for value in outcome.final.values()} == {"float32"}
    assert not outcome.final["dense/kernel"][~masks()["dense/kernel"]].any()


def test_weight_penalties_are_added_to_the_loss():
    begin = start()
    bare, heavy = (trainer(l1=l1, l2=l2).train(begin, ones(), seed=0) for l1, l2 in ((0, 0), (0.01, 0.1)))
    penalty = sum(0.01 * np.abs(v).sum() + 0.1 * (v**2).sum() for v in begin.values())
    assert heavy.rows[0]["val_loss"] - bare.rows[0]["val_loss"] == pytest.approx(penalty, rel=1e-5)


def test_a_users_own_train_step_runs():
    begin = start(doubled)
    outcome = trainer(doubled, optimizer="sgd", lr=0.1).train(begin, masks(), seed=0)
    assert outcome.final["steps"] == 10
    twice = trainer(optimizer="sgd", lr=0.2).train({k: begin[k] for k in start()}, masks(), seed=0)
    for key in start():
        np.testing.assert_allclose(outcome.final[key], twice.final[key], atol=1e-6)


def test_convolutions_train_without_xla_and_dense_nets_with_it():
    def conv():
        net = [layers.Reshape((4, 1)), layers.Conv1D(2, 2), layers.Flatten(), layers.Dense(3)]
        return keras.Sequential([keras.Input((4,)), *net])

    keys = ("conv1d/kernel", "dense/kernel")
    made = Trainer(conv, data(), recipe(jit="auto"), keys)
    assert made.environment["xla"] is False
    begin = snapshot(fresh(conv, 0))
    outcome = made.train(begin, {key: np.ones(begin[key].shape, bool) for key in keys}, seed=0)
    assert not same(outcome.final, begin)
    assert trainer(jit="auto").environment["xla"] is True


# Pipelines


def test_pipelines_train_deterministically_and_without_xla():
    made = trainer(noisy, on=piped(), jit="auto")
    assert made.environment["xla"] is False
    first = made.train(start(noisy), masks(), seed=1)
    made.train(start(noisy), masks(), seed=2)
    assert same(first.final, made.train(start(noisy), masks(), seed=1).final)
    assert not same(first.final, made.train(start(noisy), masks(), seed=2).final)


def test_pipelines_continue_at_a_step_and_across_intervals():
    dials = cosine(momentum=None, train="4ep", keep="last", eval_every="3it")
    made = trainer(on=piped(), **dials)
    whole = made.train(start(), ones(), seed=3, snapshot_at=[7])
    assert same(made.train(whole.snapshots[7], ones(), seed=3, first=7).final, whole.final)


def test_a_pipeline_of_one_epoch_repeats():
    x, y = data().train
    made = trainer(on=piped(lambda seed: tf.data.Dataset.from_tensor_slices((x, y)).batch(16)), train="9it")
    outcome = made.train(start(), ones(), seed=0)  # batches of 16, 16 and 8, three times
    assert outcome.metrics["stopped_iteration"] == 9
