"""The data set `symbolic`: its formulas by hand, its tasks, its options, and what is reported of each task."""

import keras
import numpy as np
import pytest

import kerastickets as kt
from kerastickets.data.spec import data_digest, data_of
from kerastickets.errors import DataError, PluginError
from kerastickets.models.objective import Objective

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_squared_error_is_reported_for_each_task": ("independent",),
}


def columns(data, split="test"):
    x, y = getattr(data, split)
    return x.astype("float64").T, y.T


def test_independent_tasks_share_no_input():
    data = data_of("symbolic")
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [1000, 500, 500]
    assert (data.input_shape, data.outputs, data.classes) == ((4,), 2, None)
    (x1, x2, x3, x4), (y1, y2) = columns(data)
    np.testing.assert_allclose(y1, x2 * x2 + np.sin(np.pi * x4), atol=1e-6)
    np.testing.assert_allclose(y2, (x1 + x3) * (x1 + x3) * (x1 + x3), atol=1e-6)
    assert {name: (task.inputs, task.outputs) for name, task in data.tasks.items()} == {
        "y1": ((1, 3), (0,)),
        "y2": ((0, 2), (1,)),
    }
    x = data.train[0]
    assert -1 <= x.min() < -0.99 < 0.99 < x.max() <= 1
    np.testing.assert_allclose(x.mean(0), 0, atol=0.06)  # three standard errors of a uniform mean
    np.testing.assert_allclose(x.std(0), 3**-0.5, atol=0.03)


def test_features_are_shared_by_the_tasks_after_them():
    data = data_of("symbolic:feature-sharing")
    (x1, x2, x3), y = columns(data)
    np.testing.assert_allclose(y, [x1**2, x1**2 + x2**2, x1**2 + x2**2 + x3**2], atol=1e-6)
    assert [task.inputs for task in data.tasks.values()] == [(0,), (0, 1), (0, 1, 2)]
    assert (data.input_shape, data.outputs) == ((3,), 3)


def test_a_distance_is_composed_of_two_features():
    data = data_of("symbolic:compositional")
    (x1, x2, x3, x4), (y,) = columns(data)
    np.testing.assert_allclose(y**2, (x1 - x2) ** 2 + (x3 - x4) ** 2, atol=1e-5)
    assert [task.inputs for task in data.tasks.values()] == [(0, 1, 2, 3)]
    assert (data.input_shape, data.outputs) == ((4,), 1)


def test_a_seed_decides_and_a_larger_split_begins_with_a_smaller():
    whole, part = data_of("symbolic"), data_of("symbolic:train=10,test=500")
    assert np.array_equal(part.train[0], whole.train[0][:10])
    assert data_digest(part) != data_digest(whole)
    assert np.array_equal(part.test[0], whole.test[0])
    other = data_of("symbolic:seed=1")
    assert not np.array_equal(other.train[0], whole.train[0])
    assert not np.array_equal(whole.test[0], whole.validation[0])


def test_noise_is_on_the_targets_alone():
    plain, noisy = data_of("symbolic"), data_of("symbolic:noise=0.1")
    for split in ("train", "validation", "test"):
        (x, y), (nx, ny) = getattr(plain, split), getattr(noisy, split)
        assert np.array_equal(x, nx)
        assert (ny - y).std() == pytest.approx(0.1, rel=0.15)
        assert abs((ny - y).mean()) < 0.02


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("symbolic:noise=-1", "`noise` must not be negative"),
        ("symbolic:train=0", "`train` must be at least 1"),
        ("symbolic:tree", "Literal"),
    ],
)
def test_options_out_of_range_are_refused(spec, message):
    with pytest.raises(PluginError, match=message):
        data_of(spec)


@pytest.mark.parametrize("variant", ["independent", "feature-sharing"])
def test_squared_error_is_reported_for_each_task(variant):
    data = data_of(f"symbolic:{variant},train=64,validation=32,test=32")
    run = kt.prune(
        "mlp:8",
        data,
        "magnitude",
        levels=1,
        rate=0.2,
        train="2ep",
        jit="off",
        batch_size=16,
        monitor="val_loss",
    )
    last, names = run.rows[-1], list(data.tasks)
    each = [last[f"val_{name}_mean_squared_error"] for name in names]
    assert last["val_loss"] == pytest.approx(np.mean(each), rel=1e-5)
    facts = kt.evaluate(run.tickets[-1], data)
    own = [facts["tasks"][name]["mean_squared_error"] for name in names]
    assert own == pytest.approx([facts["tasks"][name]["loss"] for name in names], rel=1e-5)
    assert own == pytest.approx([facts[f"{name}_mean_squared_error"] for name in names], rel=1e-5)
    assert facts["mean_loss"] == pytest.approx(facts["loss"], rel=1e-5)
    assert "accuracy" not in facts["tasks"][names[0]]


def test_the_error_of_a_task_is_that_of_its_output():
    data = data_of("symbolic:train=8,validation=8,test=8")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, kernel_initializer="zeros")])
    objective = Objective.of(data, model)
    model.compile(loss=objective.loss, metrics=objective.metrics())
    x, y = data.test
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["y1_mean_squared_error"] == pytest.approx(np.mean(y[:, 0] ** 2), rel=1e-5)
    assert logs["y2_mean_squared_error"] == pytest.approx(np.mean(y[:, 1] ** 2), rel=1e-5)


def test_more_examples_than_fit_into_memory_are_refused():
    with pytest.raises(DataError, match="The examples must fit into the memory of this machine"):
        data_of("symbolic:train=999999999999999999")


def test_noise_that_is_too_large_for_float32_is_refused():
    with pytest.raises(DataError, match="must be finite"):
        data_of("symbolic:noise=1e308")
