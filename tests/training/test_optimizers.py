import json
import math

import keras
import numpy as np
import pytest

from kerastickets.errors import RecipeError
from kerastickets.training.optimizers import Position, Shape, make_optimizer
from kerastickets.training.recipe import Recipe


def rates(steps, total=20, per_epoch=5, lr=2.0, start=0, **dials):
    """The learning rate at each of `steps`."""
    _, position = make_optimizer(Recipe(lr=lr, optimizer="sgd", **dials), total, per_epoch)
    position.start.assign(start)
    return [float(position(step)) for step in steps]


@pytest.mark.parametrize(
    ("schedule", "steps", "expected"),
    [
        # 2 * (1 + cos(pi * t / 20)) / 2
        (
            "cosine",
            [0, 5, 10, 15, 19],
            [2, 1 + math.sqrt(0.5), 1, 1 - math.sqrt(0.5), 1 + math.cos(0.95 * math.pi)],
        ),
        ("linear", [0, 1, 10, 19], [2, 1.9, 1, 0.1]),
        ("exponential:0.5", [0, 4, 5, 9, 10, 19], [2, 2, 1, 1, 0.5, 0.25]),
        ("exponential:1.0", [0, 19], [2, 2]),
        ("steps:2ep=0.1,3ep=0.01", [0, 9, 10, 14, 15, 19], [2, 2, 0.2, 0.2, 0.02, 0.02]),
        ("steps:3ep=0.01,2ep=0.1", [0, 9, 10, 14, 15, 19], [2, 2, 0.2, 0.2, 0.02, 0.02]),
        ("steps:7it=0.5,2ep=0", [6, 7, 9, 10], [2, 1, 1, 0]),
        ("steps:0it=0.5", [0, 19], [1, 1]),
    ],
)
def test_schedules(schedule, steps, expected):
    assert rates(steps, lr_schedule=schedule) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("warmup", "schedule", "steps", "expected"),
    [
        ("4it", "constant", [0, 1, 2, 3, 4, 19], [0.5, 1, 1.5, 2, 2, 2]),
        ("1ep", "constant", [0, 4, 5], [0.4, 2, 2]),
        ("4it", "linear", [0, 1, 3, 10], [0.5, 0.95, 1.7, 1]),
        ("4it", "steps:2it=0.1", [1, 2, 4], [1, 0.15, 0.2]),
        ("1it", "constant", [0], [2]),
    ],
)
def test_warm_up(warmup, schedule, steps, expected):
    assert rates(steps, warmup=warmup, lr_schedule=schedule) == pytest.approx(expected, rel=1e-6)


def test_a_constant_rate_needs_no_schedule():
    optimizer, position = make_optimizer(Recipe(lr=0.25), 20, 5)
    assert position is None
    assert float(optimizer.learning_rate) == 0.25


def test_a_start_moves_the_schedule():
    assert rates([0, 5], lr_schedule="linear", start=10) == pytest.approx([1, 0.5])
    assert rates([0, 1], lr_schedule="steps:2ep=0.1", start=9) == pytest.approx([2, 0.2])
    assert rates([0], warmup="4it", start=3) == pytest.approx([2])


def test_past_the_end_the_rate_of_the_last_step_stays():
    last = [0.1]  # 2 * (1 - 19 / 20)
    assert rates([19], lr_schedule="linear") == pytest.approx(last)
    assert rates([0, 7, 1000], lr_schedule="linear", start=20) == pytest.approx(last * 3)
    assert rates([20, 21], lr_schedule="linear") == pytest.approx(last * 2)
    assert rates([0], lr_schedule="cosine", start=20)[0] > 0


def test_the_optimizer_follows_its_position():
    optimizer, position = make_optimizer(Recipe(lr=1.0, optimizer="sgd", lr_schedule="linear"), 10, 5)
    weight = keras.Variable(0.0)
    position.start.assign(4)
    for _ in range(2):
        optimizer.apply([np.float32(1)], [weight])
    assert float(weight.numpy()) == pytest.approx(-(0.6 + 0.5))


def test_a_schedule_of_keras_own_is_kept_and_can_be_moved():
    inner = keras.optimizers.schedules.PiecewiseConstantDecay([5], [1.0, 0.5])
    config = json.loads(json.dumps(keras.optimizers.serialize(keras.optimizers.SGD(inner))))
    optimizer, position = make_optimizer(Recipe(optimizer=config), 20, 5)
    assert [float(position(step)) for step in (0, 5, 6)] == [1.0, 1.0, 0.5]
    position.start.assign(6)
    assert float(optimizer.learning_rate) == 0.5
    # A rate of one's own takes its place.
    optimizer, position = make_optimizer(Recipe(optimizer=config, lr=0.125), 20, 5)
    assert (float(optimizer.learning_rate), position) == (0.125, None)


def test_two_schedules_are_one_too_many():
    inner = keras.optimizers.schedules.ExponentialDecay(1.0, 5, 0.5)
    config = keras.optimizers.serialize(keras.optimizers.SGD(inner))
    for dials in ({"lr_schedule": "cosine"}, {"warmup": "2it"}):
        with pytest.raises(RecipeError, match="Received: an optimizer with a schedule of its own"):
            make_optimizer(Recipe(optimizer=config, **dials), 20, 5)


def test_schedules_survive_saving():
    _, position = make_optimizer(Recipe(lr=2.0, lr_schedule="linear", warmup="2it"), 20, 5)
    position.start.assign(5)
    again = Position.from_config(json.loads(json.dumps(position.get_config())))
    assert isinstance(again.inner, Shape)
    assert [float(again(step)) for step in (0, 4)] == [float(position(step)) for step in (0, 4)]


@pytest.mark.parametrize(
    ("dials", "expected"),
    [
        ({}, {"learning_rate": 0.001, "epsilon": 1e-7}),
        ({"lr": 1.2e-3, "epsilon": 1e-8}, {"learning_rate": 1.2e-3, "epsilon": 1e-8}),
        ({"optimizer": "SGD", "momentum": 0.9}, {"momentum": 0.9, "learning_rate": 0.01}),
        ({"optimizer": "AdamW", "weight_decay": 0.1}, {"weight_decay": 0.1}),
        ({"optimizer": {"class_name": "SGD", "config": {"momentum": 0.5}}}, {"momentum": 0.5}),
        (
            {"optimizer": {"class_name": "SGD", "config": {"momentum": 0.5}}, "momentum": 0.9},
            {"momentum": 0.9},
        ),
        ({"optimizer": {"class_name": "RMSprop"}}, {"learning_rate": 0.001}),
    ],
)
def test_dials_reach_the_optimizer(dials, expected):
    config = make_optimizer(Recipe(**dials), 10, 5)[0].get_config()
    for name, value in expected.items():
        assert config[name] == pytest.approx(value), name


NAMES = "sgd adam adamw adamax nadam adagrad adadelta rmsprop ftrl lion muon lamb adafactor"


@pytest.mark.parametrize("name", NAMES.split())
def test_every_known_name_makes_its_optimizer_also_from_its_config(name):
    optimizer, _ = make_optimizer(Recipe(optimizer=name, lr=0.5), 10, 5)
    assert type(optimizer).__name__.lower() == name
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    again, _ = make_optimizer(Recipe(optimizer=config), 10, 5)
    assert again.get_config() == optimizer.get_config()


def test_an_optimizer_of_ones_own_comes_from_its_config():
    class Own(keras.optimizers.SGD):
        pass

    keras.saving.register_keras_serializable("tests")(Own)
    config = keras.optimizers.serialize(Own(0.5))
    assert type(make_optimizer(Recipe(optimizer=config), 10, 5)[0]) is Own


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"optimizer": "adm"}, r"No optimizer named 'adm'. Did you mean 'adam'\? Known: .*adam, .*sgd"),
        ({"optimizer": "zzz"}, r"No optimizer named 'zzz'. Known: "),
        ({"optimizer": "LossScaleOptimizer"}, r"No optimizer named 'LossScaleOptimizer'"),
        (
            {"optimizer": "sgd", "epsilon": 1e-8},
            r"optimizer 'sgd' must take its settings. Received: epsilon=1e-08",
        ),
        ({"optimizer": "sgd", "momentum": 2.0}, r"Received: momentum=2.0. `momentum` must be"),
        (
            {"optimizer": {"class_name": "Nope"}},
            r"No optimizer named 'Nope'",
        ),
        ({"optimizer": {"module": "nope", "class_name": "Nope"}}, r"'Nope' must .* Received: its config"),
        ({"optimizer": {"class_name": "Adam", "config": {"x": 1}}}, r"'Adam' .* Received: its config. .*'x'"),
    ],
)
def test_what_no_optimizer_follows_is_refused(dials, message):
    with pytest.raises(RecipeError, match=message):
        make_optimizer(Recipe(**dials), 10, 5)
