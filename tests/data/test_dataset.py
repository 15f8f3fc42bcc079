"""What `Data` refuses and keeps, and how data sets are split and standardised."""

import numpy as np
import pytest

from kerastickets.data.arrays import moments, shuffled, standardise
from kerastickets.data.dataset import CROSS_ENTROPY, Data, Task, task_cross_entropy
from kerastickets.errors import DataError

X = np.arange(12, dtype=np.float64).reshape(4, 3)
Y = np.array([0, 1, 2, 1])


def data(**changes):
    whole = {
        "name": "toy",
        "train": (X, Y),
        "validation": (X[:2], Y[:2]),
        "test": (X[2:], Y[2:]),
        "loss": CROSS_ENTROPY,
        "metrics": ("accuracy",),
        "classes": 3,
    }
    return Data(**{**whole, **changes})


def test_data_has_the_dtypes_and_shapes_that_training_needs():
    toy = data()
    assert toy.train[0].dtype == np.float32
    assert toy.train[1].dtype == np.int64
    assert (toy.input_shape, toy.outputs) == ((3,), 3)
    assert repr(toy) == "Data('toy', train=4, validation=2, test=2, inputs=(3,), outputs=3)"


def test_data_is_read_only_and_leaves_the_callers_arrays_writable():
    x = X.astype(np.float32)
    toy = data(train=(x, Y))
    with pytest.raises(ValueError, match="read-only"):
        toy.train[0][0, 0] = 1
    with pytest.raises(TypeError):
        toy.tasks["new"] = None
    x[0, 0] = 5  # still the caller's
    assert Y.flags.writeable


def test_data_does_not_copy_what_already_fits():
    x = X.astype(np.float32)
    assert np.shares_memory(data(train=(x, Y)).train[0], x)


@pytest.mark.parametrize(("targets", "outputs"), [(np.zeros((4, 2)), 2), (np.zeros(4), 1)])
def test_targets_are_float_and_give_one_output_each(targets, outputs):
    splits = dict.fromkeys(("train", "validation", "test"), (X, targets))
    toy = data(**splits, classes=None, loss="mse")
    assert toy.outputs == outputs
    assert toy.train[1].dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, r"`classes` must be at least 2, or None. Received: classes=1"),
        ({"train": (X, Y[:3])}, "Every example in train .* one label. Received: 4 and 3 labels"),
        ({"validation": (X[:0], Y[:0])}, "Inputs in validation .* must not be empty"),
        ({"train": (np.where(X == 5, np.nan, X), Y)}, "Inputs in train .* finite. Received: 1 NaN"),
        ({"test": (np.where(X > 9, 1e300, X), Y)}, "Inputs in test .* finite. Received: 2 NaN or infinite"),
        ({"train": (X.astype(str), Y)}, "Inputs in train .* must be numbers. Received: dtype=<U"),
        ({"train": (X[:, 0], Y)}, r"must have a batch axis and at least one more. Received: shape=\(4,\)"),
        ({"validation": (X[:2, :2], Y[:2])}, r"inputs in validation .* \(3,\). Received: \(2,\)"),
        ({"train": (X, Y.astype(float))}, "Labels in train .* must be integers. Received: dtype=float64"),
        ({"test": (X, Y + 1)}, "Labels in test .* must be 0 to 2. Received: labels from 1 to 3"),
        ({"test": (X, Y - 1)}, "Labels in test .* must be 0 to 2. Received: labels from -1 to 1"),
        ({"train": (X, Y + 2**32)}, "Labels in train .* must be 0 to 2"),
        ({"train": (X, Y * 2), "classes": 5}, "Received: 3 of 5 classes, none of class 1"),
        ({"classes": 10**9}, "Received: 3 of 1000000000 classes, none of class 3"),
        ({"loss": print}, "must be a Keras identifier that JSON can hold"),
        ({"loss": ["mse"]}, "must be a Keras identifier that JSON can hold"),
    ],
)
def test_data_refuses(changes, message):
    with pytest.raises(DataError, match=message):
        data(**changes)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task((0, 3), (0,), "mse"), r"Task 'a' .* inputs in 0 to 2. Received: inputs=\(0, 3\)"),
        (Task((0,), (3,), "mse"), r"outputs in 0 to 2. Received: outputs=\(3,\)"),
        (Task((), (0,), "mse"), r"inputs in 0 to 2. Received: inputs=\(\)"),
        (Task((0,), (-1,), "mse"), "outputs in 0 to 2"),
    ],
)
def test_tasks_lie_within_the_data(task, message):
    assert data(tasks={"a": Task((0, 2), (2,), "mse")}).tasks["a"].outputs == (2,)
    with pytest.raises(DataError, match=message):
        data(tasks={"a": task})


def test_moments_by_hand():
    x = np.array([[0, 10], [4, 10]], np.uint8)
    assert [float(value) for value in moments(x)] == [6.0, np.sqrt((36 + 16 + 4 + 16) / 4)]
    mean, std = moments(x, axis=0)
    assert mean.tolist() == [2.0, 10.0]
    assert std.tolist() == [2.0, 1.0]  # a constant column divides by 1


@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_moments_over_several_blocks_equal_numpys(axis):
    x = np.random.default_rng(0).normal(3, 2, (9000, 3, 2))
    mean, std = moments(x, axis)
    np.testing.assert_allclose(mean, x.mean(axis), rtol=1e-12)
    np.testing.assert_allclose(std, x.std(axis), rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_moments_name_values_that_are_not_finite(bad):
    with pytest.raises(DataError, match=r"Inputs to standardise must be finite. Received: 1 NaN"):
        moments(np.array([[1.0, bad]]))


def test_standardise_returns_new_float32_and_divides_bytes_rightly():
    x = np.array([[0, 200]], np.uint8)
    result = standardise(x, 100, np.array([50.0, 25.0]))
    assert result.tolist() == [[-2.0, 4.0]]
    assert result.dtype == np.float32
    assert x.tolist() == [[0, 200]]


@pytest.mark.parametrize("key", [("digits",), ("npz", 3)])
def test_shuffled_stretches_hold_each_class_share(key):
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    order = shuffled(labels, *key)
    assert sorted(order) == list(range(100))
    for start in range(0, 100, 10):
        counts = np.bincount(labels[order[start : start + 10]], minlength=3)
        assert np.abs(counts - [5, 3, 2]).max() <= 1


def test_shuffled_depends_on_the_key_alone():
    labels = np.arange(40) % 4
    assert shuffled(labels, "a").tolist() == shuffled(labels, "a").tolist()
    assert shuffled(labels, "a").tolist() != shuffled(labels, "b").tolist()


TASKS = {
    "left": Task(inputs=(0,), outputs=(0, 1, 2), loss=CROSS_ENTROPY),
    "right": Task(inputs=(1, 2), outputs=(3, 4), loss=CROSS_ENTROPY),
}


def two(y=((0, 0), (1, 1), (2, 0), (1, 1)), **changes):
    splits = dict.fromkeys(("train", "validation", "test"), (X, np.array(y)))
    return data(**{**splits, "classes": (3, 2), "loss": task_cross_entropy(3, 2), "tasks": TASKS, **changes})


def test_tasks_of_classes_have_a_column_of_labels_each_and_their_outputs_side_by_side():
    made = two()
    assert (made.outputs, made.classes, made.train[1].dtype) == (5, (3, 2), np.int64)
    assert made.loss == {"class_name": "kerastickets>TaskCrossEntropy", "config": {"classes": [3, 2]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": (3, 1)}, r"at least 2, or None. Received: classes=\(3, 1\)"),
        ({"classes": ()}, "at least 2, or None"),
        ({"y": [0, 1, 2, 1]}, r"must be \(n, 2\), a column for each task. Received: shape=\(4,\)"),
        ({"y": [[0, 0], [1, 2], [2, 0], [1, 1]]}, "must be 0 to 1. Received: labels from 0 to 2"),
        ({"y": [[0, 0], [1, 0], [2, 0], [1, 0]]}, "Received: 1 of 2 classes, none of class 1"),
        ({"tasks": {}}, r"must have its task, with an output for each .* Received: tasks with outputs \(\)"),
        ({"labels": ("a", "b", "c")}, "must name each of the .* classes .* once"),
    ],
)
def test_tasks_of_classes_are_checked_column_by_column(changes, message):
    with pytest.raises(DataError, match=message):
        two(**changes)


def test_classes_may_have_names():
    assert data(labels=["cat", "dog", "bird"]).labels == ("cat", "dog", "bird")
    assert data().labels == ()
    for labels in (("cat", "dog"), ("cat", "dog", "cat"), ("a", "b", "c", "d")):
        with pytest.raises(
            DataError, match=r"`labels` must name each of the 3 classes of data set 'toy' once"
        ):
            data(labels=labels)


def test_a_scaling_must_fit_one_example():
    mean, std = data(scaling=(2, np.arange(1, 4))).scaling
    assert (mean.tolist(), std.tolist(), std.dtype) == ([2.0], [1.0, 2.0, 3.0], np.float32)
    assert not std.flags.writeable
    for scaling, received in {
        (2.0, 0.0): "deviations from 0.0",
        (2.0, (1.0, 2.0)): r"shapes \(1,\) and \(2,\)",
        (2.0, np.nan): "1 NaN or infinite",
    }.items():
        with pytest.raises(DataError, match=f"The scaling of data set 'toy'.*{received}"):
            data(scaling=scaling)
