"""What is compared, how far it may be off, and what counts as right."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.data.dataset import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, Data, task_cross_entropy
from kerastickets.errors import DataError, ExportError
from kerastickets.exporting.verification import accuracy, examples, largest_difference, outputs_of, read_back
from kerastickets.testing import toy_data, toy_tasks


def test_outputs_are_those_of_predict():
    net = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Dropout(0.5)]
    )
    x = np.resize(toy_data().test[0], (501, 8, 8, 1))
    received = outputs_of(net, x)
    assert received.shape == (501, 72)
    assert received == pytest.approx(net.predict(x, verbose=0).reshape(501, 72), abs=1e-5)


def test_at_most_ten_thousand_examples():
    x, y = np.zeros((10_001, 2), "float32"), np.arange(10_001) % 2
    data = Data("many", (x, y), (x, y), (x, y), CROSS_ENTROPY, (), classes=2)
    assert len(examples(keras.Sequential([keras.Input((2,))]), data)) == 10_000


def test_made_up_examples_are_always_the_same():
    net = keras.Sequential([keras.Input((None, 3)), layers.Dense(2)])
    x = examples(net, None)
    assert (x.shape, x.dtype) == ((64, 96, 3), "float32")
    assert (x == examples(net, None)).all()
    assert abs(x.mean()) < 0.1
    assert abs(x.std() - 1) < 0.1
    words = keras.Sequential([keras.Input((5,), dtype="int32"), layers.Embedding(2, 3)])
    assert set(np.unique(examples(words, None))) == {0, 1}
    with pytest.raises(DataError, match="Give a data set"):
        examples(keras.Model(), None)


@pytest.mark.parametrize(
    ("received", "said"),
    [
        ([[1.0, -4.5]], r"within 0\.4 \(0\.1 of its largest output\)\. Received: a difference of 0\.5"),
        ([[1.0, np.nan]], "a difference of nan"),
        ([[1.0, -4.0, 0.0]], r"shape \(1, 2\)\. Received: \(1, 3\)"),
    ],
)
def test_a_difference_that_is_too_large(received, said):
    with pytest.raises(ExportError, match=said):
        largest_difference(np.array([[1.0, -4.0]]), np.array(received), 0.1)


def test_a_model_that_computes_nothing_finite():
    with pytest.raises(ExportError, match="own outputs must be finite"):
        largest_difference(np.array([[np.inf]]), np.array([[np.inf]]), 0.1)
    assert largest_difference(np.zeros((2, 2)), np.zeros((2, 2)), 1e-4) == 0


def binary():
    x, y = np.zeros((4, 2), "float32"), np.array([[0.0, 1], [1, 1], [0, 0], [1, 0]])
    return Data("binary", (x, y), (x, y), (x, y), BINARY_CROSS_ENTROPY, (), classes=None)


@pytest.mark.parametrize(("probabilities", "expected"), [(False, 4 / 8), (True, 7 / 8)])
def test_yes_or_no(probabilities, expected):
    outputs = np.array([[0.1, 0.9], [0.8, 0.7], [0.2, 0.6], [0.9, 0.3]])
    assert accuracy(outputs, binary(), probabilities) == expected


def test_several_tasks_count_alike():
    data = toy_tasks()
    outputs = np.zeros((30, 10), "float32")
    outputs[np.arange(30), data.test[1][:, 0]] = 1  # the first task is right, the second says 0
    assert accuracy(outputs, data, False) == pytest.approx((1 + np.mean(data.test[1][:, 1] == 0)) / 2)
    assert data.loss == task_cross_entropy(5, 5)


def test_targets_are_neither_right_nor_wrong():
    x, y = np.zeros((4, 2), "float32"), np.zeros((4, 1))
    assert (
        accuracy(np.zeros((4, 1)), Data("line", (x, y), (x, y), (x, y), "mse", (), classes=None), False)
        is None
    )
    assert accuracy(np.zeros((4, 1)), None, False) is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; print('one\\ntwo', file=sys.stderr); sys.exit(3)", "exit code 3, two"),
        ("pass", "Received: IndexError: list index out of range; nothing on stderr"),
        ("print('{}')", "KeyError: 'runtime'"),
        ('print(\'{"runtime": "x", "peak_bytes": 1}\')', "FileNotFoundError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit code -9, nothing on stderr"),
    ],
)
def test_a_reader_that_fails_is_named(tmp_path, code, said):
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(ExportError, match=r"bad\.py") as raised:
        read_back(tmp_path / "bad.py", tmp_path / "export", np.zeros((1, 1)), tmp_path)
    assert said in str(raised.value)
