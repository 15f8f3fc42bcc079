import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.errors import RecipeError
from kerastickets.models.initial_weights import draw_weights, fresh, python_random
from kerastickets.models.variables import snapshot
from tests.helpers import nets

ROOT = Path(__file__).resolve().parents[2]
BUILDS = [nets.convolutional, nets.recurrent, nets.attention, nets.normalised, nets.custom, nets.opaque]


def digest(model):
    content = hashlib.sha256()
    for key, value in snapshot(model).items():
        content.update(key.encode() + np.ascontiguousarray(value).tobytes())
    return content.hexdigest()


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_a_seed_gives_the_same_weights_again(build):
    keras.layers.Dense(1)  # neither names nor other layers count
    assert digest(fresh(build, 7)) == digest(fresh(build, 7))
    assert digest(fresh(build, 7)) != digest(fresh(build, 8))


@pytest.mark.slow
def test_a_seed_gives_the_same_bits_in_another_process():
    code = (
        "from tests.models.test_initial_weights import *; from tests.helpers import nets; random.seed(99);"
        "print(*[digest(fresh(build, 7)) for build in BUILDS])"
    )
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == [digest(fresh(build, 7)) for build in BUILDS], done.stderr


def test_a_layers_draw_does_not_depend_on_the_layers_around_it():
    def build(extra):
        stack = [layers.Conv1D(2, 2, name="before")] if extra else []
        after = [layers.Dense(5, name="after")] if extra else []
        own = layers.DepthwiseConv1D(2, padding="same", name="conv"), layers.LSTM(2, name="own")
        return keras.Sequential([keras.Input((6, 2)), *stack, *own, *after])

    small, large = (snapshot(fresh(lambda extra=extra: build(extra), 0)) for extra in (False, True))
    for key in small:
        assert (small[key] == large[key]).all(), key


def test_equal_layers_of_one_model_are_drawn_differently():
    weights = snapshot(fresh(nets.nested, 0))
    a, b = weights["sequential/functional/dense/kernel"], weights["sequential/functional/dense_1/kernel"]
    assert not (a == b).any()


def test_every_random_weight_is_drawn_by_its_initializer_and_constants_are_not():
    model = nets.convolutional()
    assert list(draw_weights(model, 0)) == [
        "conv2d/kernel",
        "depthwise_conv2d/kernel",
        "separable_conv2d/depthwise_kernel",
        "separable_conv2d/pointwise_kernel",
        "dense/kernel",
    ]
    assert "lstm/lstm_cell/bias" not in draw_weights(nets.recurrent(), 0)
    fresh_model = snapshot(fresh(nets.recurrent, 0))
    np.testing.assert_array_equal(fresh_model["lstm/lstm_cell/bias"], [0] * 3 + [1] * 3 + [0] * 6)


def test_draws_follow_the_initializers_own_distribution():
    he = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
    build = lambda: keras.Sequential([keras.Input((400,)), layers.Dense(300, kernel_initializer=he)])  # noqa: E731
    kernel = snapshot(fresh(build, 0))["dense/kernel"]
    assert kernel.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert abs(kernel.mean()) < 1e-3
    # Orthogonal columns, as the recurrent kernel's initializer says.
    recurrent = snapshot(fresh(nets.recurrent, 0))["lstm/lstm_cell/recurrent_kernel"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(3), atol=1e-5)


def test_a_seed_of_the_users_own_gives_way_to_the_init_seed():
    def build():
        fixed = keras.initializers.GlorotUniform(seed=1)
        return keras.Sequential([keras.Input((4,)), layers.Dense(3, kernel_initializer=fixed)])

    assert digest(fresh(build, 0)) != digest(fresh(build, 1))


def test_another_purpose_is_another_draw():
    model = nets.plain()
    first, second = draw_weights(model, 0), draw_weights(model, 0, "reinit")
    assert all((first[key] != second[key]).all() for key in first)


def test_drawing_leaves_the_model_alone():
    model = nets.plain()
    before = digest(model)
    draw_weights(model, 0)
    assert digest(model) == before


def test_bfloat16_layers_are_drawn_too():
    build = lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2, dtype="bfloat16")])  # noqa: E731
    assert draw_weights(build(), 0)["dense/kernel"].dtype == np.float32
    assert digest(fresh(build, 0)) == digest(fresh(build, 0))


def test_the_callers_random_numbers_go_on_as_if_nothing_had_been_built():
    random.seed(3)
    expected = random.Random(3).random()
    fresh(nets.custom, 0)
    with pytest.raises(ZeroDivisionError), python_random(1):
        raise ZeroDivisionError
    assert random.random() == expected


@pytest.mark.slow
@pytest.mark.parametrize("units", [999_999_999_999, 10**18, 2**63 - 1, 10**20])
def test_a_model_that_fits_no_memory_is_one_named_error(units):
    def build():
        return keras.Sequential([keras.Input((64,)), keras.layers.Dense(units)])

    with pytest.raises(RecipeError, match=r"must fit into the memory of this machine\. Received: "):
        fresh(build, 0)
