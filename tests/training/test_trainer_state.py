"""Equal arguments give equal bits, nothing of one training is left in the next, and training rewinds."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kerastickets.foundations.tree import integer, masked
from kerastickets.models.variables import snapshot
from tests.helpers.training import cosine, digest, masks, noisy, ones, plain, same, start, trainer

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_schedules_by_hand": ("exponential*", "linear-0it*", "linear-4it*"),
    "test_a_schedule_continues_where_training_starts_or_where_it_is_told": ("7-*",),
    "test_equal_arguments_give_equal_bits_in_one_trainer_and_in_two": ("noisy-off",),
    "test_snapshots_equal_a_training_stopped_there": ("noisy",),
}


ROOT = Path(__file__).resolve().parents[2]


BUILDS = pytest.mark.parametrize(
    ("build", "jit"), [(plain, "off"), pytest.param(plain, "on", marks=pytest.mark.slow), (noisy, "off")]
)


@BUILDS
def test_equal_arguments_give_equal_bits_in_one_trainer_and_in_two(build, jit):
    made = trainer(build, jit=jit)
    first = made.train(start(build), masks(), seed=1)
    made.train(start(build, seed=9), ones(), seed=2, level=1)  # another level in between
    again = made.train(start(build), masks(), seed=1)
    alone = trainer(build, jit=jit).train(start(build), masks(), seed=1)
    for other in (again, alone):
        assert same(first.final, other.final)
        assert first.metrics == other.metrics


def test_the_level_changes_no_number_and_the_seed_does():
    made = trainer(noisy)
    outcomes = [made.train(start(noisy), ones(), seed=s, level=n) for s, n in ((0, 0), (0, 5), (1, 0))]
    assert same(outcomes[0].final, outcomes[1].final)
    assert not same(outcomes[0].final, outcomes[2].final)


_SCRIPT = """
import numpy as np
from tests.helpers.training import cosine, digest, masks, noisy, start, trainer
import keras
keras.layers.Dense(1)  # the names that Keras makes up are now others
outcome = trainer(noisy).train(start(noisy), masks(), seed=1)
print("digest", digest(outcome.final))
"""


@pytest.mark.slow
def test_two_processes_give_equal_bits():
    here = digest(trainer(noisy).train(start(noisy), masks(), seed=1).final)
    environ = os.environ | {"PYTHONHASHSEED": "1"}  # a salted hash must not reach any seed
    command = [sys.executable, "-c", _SCRIPT]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == here


def test_a_learning_rate_that_a_callback_changed_is_reset_for_the_next_level():
    def reduce(level):
        return [
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=0, min_delta=1e9, cooldown=0)
        ]

    made = trainer(callbacks=reduce, train="4ep")
    made.train(start(), ones(), seed=0)
    assert float(made.model.optimizer.learning_rate) < 0.005
    second = made.train(start(), masks(), seed=0, level=1)
    assert same(second.final, trainer(callbacks=reduce, train="4ep").train(start(), masks(), seed=0).final)


def test_a_loss_scale_is_reset_for_the_next_level():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        made = trainer()
        initial = float(made.model.optimizer.dynamic_scale.numpy())
        made.model.optimizer.dynamic_scale.assign(3.0)
        made.load(start(), ones(), seed=0)
        assert float(made.model.optimizer.dynamic_scale.numpy()) == initial == 2.0**15
    finally:
        keras.config.set_dtype_policy("float32")


def test_loading_sets_weights_masks_and_zeros():
    made = trainer()
    made.train(start(seed=1), masks(1), seed=0)
    made.load(start(), masks(), seed=0)
    assert same(snapshot(made.model), masked(start(), masks()))


@pytest.mark.parametrize("build", [plain, noisy])
def test_snapshots_equal_a_training_stopped_there(build):
    dials = cosine() if build is plain else {}
    outcome = trainer(build, train="4ep", **dials).train(
        start(build), masks(), seed=0, snapshot_at=[3, 5, 20]
    )
    assert sorted(outcome.snapshots) == [3, 5, 20]
    alone = trainer(build, train="4ep", **dials)
    alone.load(start(build), masks(), seed=0)
    alone.engine.train(0, 0, 3)
    assert same(outcome.snapshots[3], snapshot(alone.model))
    assert same(
        trainer(build, train="4ep", keep="last", **dials).train(start(build), masks(), seed=0).final,
        masked(outcome.snapshots[20], masks()),
    )


@pytest.mark.slow
def test_snapshots_change_neither_weights_nor_rows():
    plainly = trainer().train(start(), ones(), seed=0)
    paused = trainer().train(start(), ones(), seed=0, snapshot_at=[2, 3, 7])
    assert same(plainly.final, paused.final)
    assert [row | {"seconds": 0} for row in plainly.rows] == [row | {"seconds": 0} for row in paused.rows]


# Rewinding


def test_continuing_at_a_step_restores_statistics_order_noise_and_rate_but_no_slots():
    """Plain SGD has no slots: training on from a snapshot is then the very same training."""
    dials = cosine(momentum=None, train="4ep", keep="last")
    whole = trainer(noisy, **dials).train(start(noisy), ones(), seed=3, snapshot_at=[7])
    made = trainer(noisy, **dials)
    later = made.train(whole.snapshots[7], ones(), seed=3, first=7)
    assert same(later.final, whole.final)
    assert [row["iteration"] for row in later.rows] == [7, 10, 15, 20]
    assert [row["val_loss"] for row in later.rows[1:]] == [row["val_loss"] for row in whole.rows[2:]]
    slots = trainer(noisy, **cosine(train="4ep", keep="last"))
    one = slots.train(start(noisy), ones(), seed=3, snapshot_at=[7])
    two = slots.train(one.snapshots[7], ones(), seed=3, first=7)
    assert not same(one.final, two.final)  # momentum began anew


def rates(made, first, rate_at=None, count=20):
    """The learning rate of each step, read between steps of one."""
    found = []
    real = made.engine.train

    def train(seed, at, steps, *, resume=False):
        for step in range(at, at + steps):
            found.append(float(made.model.optimizer.learning_rate))
            logs = real(seed, step, 1, resume=resume)
        return logs

    made.engine.train = train
    made.train(start(), ones(), seed=0, first=first, rate_at=rate_at)
    return found


def expected_rates(lr, total, steps):
    return [lr * 0.5 * (1 + np.cos(np.pi * step / total)) for step in steps]


@pytest.mark.parametrize(
    ("first", "rate_at", "steps"),
    [
        (0, None, range(20)),
        (7, None, range(7, 20)),
        (7, 0, range(13)),
        (7, 20, [19] * 13),
        (0, 15, [*range(15, 20), *[19] * 15]),
    ],
)
def test_a_schedule_continues_where_training_starts_or_where_it_is_told(first, rate_at, steps):
    found = rates(trainer(train="4ep", lr_schedule="cosine", lr=0.1), first, rate_at)
    assert found == pytest.approx(expected_rates(0.1, 20, steps), rel=1e-5)


@pytest.mark.parametrize(
    ("schedule", "warmup", "by_hand"),
    [
        ("linear", "0it", lambda t: 1 - t / 10),
        ("exponential:0.5", "0it", lambda t: 0.5 ** (t // 5)),
        ("steps:3it=0.1,1ep=0.01", "0it", lambda t: 1 if t < 3 else 0.1 if t < 5 else 0.01),
        ("constant", "4it", lambda t: min(1, (t + 1) / 4)),
        ("linear", "4it", lambda t: min(1, (t + 1) / 4) * (1 - t / 10)),
    ],
)
def test_schedules_by_hand(schedule, warmup, by_hand):
    found = rates(trainer(lr_schedule=schedule, warmup=warmup, lr=0.2), 0)
    assert found == pytest.approx([0.2 * by_hand(t) for t in range(10)], rel=1e-5)


def test_noise_is_keyed_by_seed_layer_and_nothing_else():
    made = trainer(noisy)
    made.load(start(noisy), ones(), seed=6, first=4)
    state = made.model.layers[3].seed_generator.state.numpy()
    assert state.tolist() == [integer("noise", 6, "dropout", 0), 4]
