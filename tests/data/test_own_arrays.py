"""The data that Keras users have: arrays, tf.data.Dataset and keras.utils.PyDataset."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastickets.data.own_arrays import data_from
from kerastickets.data.spec import data_digest, data_of
from kerastickets.errors import DataError

X = np.arange(120.0, dtype="float32").reshape(40, 3)
Y = np.arange(40) % 2


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, n):
        return X[n * 8 : (n + 1) * 8], Y[n * 8 : (n + 1) * 8]


def dataset(batch=16):
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(batch)


@pytest.mark.parametrize(
    "form", [lambda: (X, Y), lambda: [X, Y], dataset, Batches, lambda: {"train": dataset(7)}]
)
def test_every_form_gives_the_same_data(form):
    assert data_digest(data_of(form())) == data_digest(data_from((X, Y)))


def test_missing_splits_are_stratified_tenths_of_train_and_share_no_example():
    data = data_from((X, Y))
    splits = [getattr(data, split) for split in ("train", "validation", "test")]
    assert [len(y) for _, y in splits] == [32, 4, 4]
    assert [int(y.sum()) for _, y in splits] == [16, 2, 2]
    rows = sorted(tuple(row) for x, _ in splits for row in x.tolist())
    assert rows == [tuple(row) for row in X.tolist()]
    assert data_digest(data_from((X, Y), seed=1)) != data_digest(data)


def test_splits_that_are_given_stay():
    data = data_of({"train": (X, Y), "test": (X[:3], Y[:3])})
    assert [data.count(split) for split in ("train", "validation", "test")] == [36, 4, 3]


def test_structures_and_weights_come_out_of_a_data_set():
    parts = {"a": X, "b": X[:, :1]}, (Y, X), np.ones(40)
    data = data_from(
        tf.data.Dataset.from_tensor_slices(parts).batch(9), (parts[0], parts[1]), (parts[0], parts[1])
    )
    assert np.array_equal(data.train[0]["b"], X[:, :1])
    assert np.array_equal(data.train[1][0], Y)
    assert data.train[2].shape == (40,)


def test_class_weights_weigh_training_examples_only():
    data = data_from((X, Y, np.full(40, 2.0)), class_weight={1: 3.0})
    assert data.train[2].tolist() == [6.0 if label else 2.0 for label in data.train[1].tolist()]
    plain = data_from((X, Y), class_weight={0: 0.5})
    assert plain.train[2].tolist() == [1.0 if label else 0.5 for label in plain.train[1].tolist()]
    assert len(plain.validation) == 2
    one_hot = data_from((X, np.eye(2)[Y]), class_weight={1: 3.0})
    assert one_hot.train[2].tolist() == [3.0 if row[1] else 1.0 for row in one_hot.train[1].tolist()]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: dataset().repeat(), "must end. Received: an endless data set"),
        (lambda: tf.data.Dataset.from_tensor_slices((X, Y)), "must be batched. Received: single examples"),
        (lambda: tf.data.Dataset.from_tensor_slices(X).batch(4), "must be .x, y. or"),
        (lambda: dataset().take(0), "must have a batch. Received: none"),
        (lambda: (X[:5], Y[:5]), "5 examples of data are too few"),
        (lambda: (X, Y[:10]), "40 and 10 labels"),
        (lambda: (X,), r"must be \(x, y\), \(x, y, sample_weight\) or a data set"),
        (lambda: {"a": X, "b": X}, "Splits by name must be train"),
        (lambda: 5, "A data set must be a name, a kerastickets.Data, .x, y."),
    ],
)
def test_refuses(given, message):
    with pytest.raises(DataError, match=message):
        data_of(given())


def test_class_weights_must_name_classes():
    with pytest.raises(DataError, match=r"must name classes .* Received: 7"):
        data_from((X, Y), class_weight={7: 1.0})
    with pytest.raises(DataError, match="needs one class for each example"):
        data_from((X, X.reshape(40, 1, 3)), class_weight={0: 1.0})
