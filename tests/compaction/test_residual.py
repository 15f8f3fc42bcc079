"""Rewinding a residual net: weights, statistics of BatchNormalization, data order, augmentation and learning rate.

All masks keep everything, so that what follows a rewinding must be what followed the first time, bit for bit.
"""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.cutting.cut_scores import ones
from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.foundations.tree import generator
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.pruning.prune_model import prune
from kerastickets.training.recipe import Recipe
from kerastickets.training.trainer import Trainer
from tests.helpers.training import same, start

MEAN, VARIANCE = "batch_normalization/moving_mean", "batch_normalization/moving_variance"

#: The rate rises over three steps and falls at the sixth; flips and crops move with the step as the data does.
DIALS = {
    "train": "8it",
    "eval_every": "1it",
    "batch_size": 8,
    "optimizer": "sgd",
    "lr": 0.1,
    "momentum": 0.0,
    "warmup": "3it",
    "lr_schedule": "steps:6it=0.1",
    "augment": "flip+crop:1",
    "keep": "last",
}


def residual():
    """Two blocks, one of them halving the image behind a projection, every convolution normalised."""

    def normalised(x, filters, size=3, strides=1):
        convolution = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)
        return layers.BatchNormalization(momentum=0.9)(convolution(x))

    x = keras.Input((6, 6, 1))
    h = layers.ReLU()(normalised(x, 2))
    h = layers.ReLU()(layers.Add()([h, normalised(h, 2)]))
    h = layers.ReLU()(layers.Add()([normalised(h, 4, size=1, strides=2), normalised(h, 4, strides=2)]))
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(h)))


def pictures():
    """Five steps of eight an epoch, so that a run of eight steps sees two epochs."""
    x = generator("residual").normal(size=(60, 6, 6, 1)).astype("float32")
    y = np.arange(60) % 3
    x[np.arange(60), 2 * y, y, 0] += 3
    splits = (x[:40], y[:40]), (x[40:50], y[40:50]), (x[50:], y[50:])
    return Data("pictures", *splits, CROSS_ENTROPY, ("accuracy",), classes=3)


@pytest.fixture(scope="module")
def run():
    """Level 0, and a level 1 rewound to step 2 with nothing pruned."""
    return prune(residual, pictures(), sparsity=0.0, rewind_to="2it", snapshot_at=["5it"], **DIALS)


def rows(run, level):
    wanted = [row for row in run.rows if row["level"] == level]
    return {
        row["iteration"]: {k: v for k, v in row.items() if k not in ("level", "seconds")} for row in wanted
    }


def test_snapshots_hold_the_statistics_of_their_step(run):
    first = run.tickets[0]
    names = ("init", "rewind@2", "rewind@5", "final")
    assert [*first.snapshots] == [*names]
    for key in (MEAN, VARIANCE, "batch_normalization_2/moving_mean"):
        values = [first.weights(name)[key] for name in names]
        assert all(not np.array_equal(a, b) for n, a in enumerate(values) for b in values[:n]), key
    np.testing.assert_array_equal(first.weights("init")[MEAN], 0)
    np.testing.assert_array_equal(first.weights("init")[VARIANCE], 1)


def test_a_rewound_level_goes_through_the_same_steps_again(run):
    """Evaluations see the statistics, so equal rows from the very first mean that they came back too."""
    assert run.tickets[1].density == 1
    assert run.tickets[1].start == "rewind@2"
    first, again = rows(run, 0), rows(run, 1)
    assert [*again] == list(range(2, 9))
    for step in range(3, 9):
        assert again[step] == first[step]
    validation = {name for name in first[2] if name.startswith("val_")}
    assert {name: again[2][name] for name in validation} == {name: first[2][name] for name in validation}
    assert same(dict(run.tickets[1].weights("final")), dict(run.tickets[0].weights("final")))


def test_the_ticket_of_a_rewound_level_builds_with_its_statistics(run):
    model = run.tickets[1].build()
    norm = next(layer for layer in model.layers if isinstance(layer, layers.BatchNormalization))
    np.testing.assert_array_equal(norm.moving_mean.numpy(), run.tickets[0].weights("rewind@2")[MEAN])


@pytest.fixture(scope="module")
def trainer():
    masks = ones({entry.key: entry.shape for entry in weight_reports(residual()) if entry.masked})
    return Trainer(residual, pictures(), Recipe(**DIALS), masks.keys()), masks


def trained(trainer, weights, **where):
    made, masks = trainer
    return made.train(weights, masks, seed=0, snapshot_at=range(1, 8), **where)


@pytest.fixture(scope="module")
def whole(trainer):
    return trained(trainer, start(residual))


@pytest.mark.parametrize("step", [1, 4, 7])
def test_training_from_a_step_is_training_through_it(trainer, whole, step):
    """Within warm-up, in the first epoch, and after the rate fell in the second."""
    again = trained(trainer, whole.snapshots[step], first=step)
    assert [*again.snapshots] == list(range(step + 1, 8))
    for later, weights in again.snapshots.items():
        assert same(weights, whole.snapshots[later]), later
    assert same(again.final, whole.final)


def test_each_of_the_parts_that_are_rewound_matters(trainer, whole):
    """The same weights with another step's data, rate or statistics lead elsewhere."""
    weights = whole.snapshots[4]
    elsewhere = trained(trainer, weights, first=3)
    assert not same(elsewhere.snapshots[4], whole.snapshots[5])
    rate = trained(trainer, weights, first=4, rate_at=6)
    assert not same(rate.snapshots[5], whole.snapshots[5])
    statistics = {key: value for key, value in start(residual).items() if "moving" in key}
    stale = trained(trainer, {**weights, **statistics}, first=4)
    # Training normalises by the batch: weights agree, statistics and evaluations do not.
    learned = {key for key in weights if "moving" not in key}
    assert all(np.array_equal(stale.snapshots[5][key], whole.snapshots[5][key]) for key in learned)
    assert not np.array_equal(stale.snapshots[5][MEAN], whole.snapshots[5][MEAN])
    assert stale.rows[0]["val_loss"] != next(r for r in whole.rows if r["iteration"] == 4)["val_loss"]
    fresh = trained(trainer, weights, first=4)
    assert fresh.rows[0]["val_loss"] == next(r for r in whole.rows if r["iteration"] == 4)["val_loss"]


@pytest.mark.slow
def test_momentum_starts_afresh():
    """What is not rewound: with momentum only the rewound state is the same, and the next step is another."""
    run = prune(residual, pictures(), sparsity=0.0, rewind_to="2it", **(DIALS | {"momentum": 0.9}))
    first, again = rows(run, 0), rows(run, 1)
    assert again[2]["val_loss"] == first[2]["val_loss"]
    assert again[3]["val_loss"] != first[3]["val_loss"]
