"""Whether a net fits its labels: one unit for two classes, label maps, targets of any shape, several outputs."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.errors import DataError
from kerastickets.models.label_fit import class_count, takes_logits
from kerastickets.models.objective import Objective

N = 8


def data(labels, classes=None, loss=CROSS_ENTROPY, shape=(4,)):
    split = np.zeros((N, *shape)), labels
    return Data("toy", split, split, split, loss, ("accuracy",), classes)


def dense(units, activation=None):
    return keras.Sequential([keras.Input((4,)), layers.Dense(units, activation=activation)])


def maps(units):
    return keras.Sequential([keras.Input((2, 2, 1)), layers.Conv2D(units, 1)])


BINARY = np.arange(N) % 2
MAPS = (np.arange(N * 4) % 3).reshape(N, 2, 2)


@pytest.mark.parametrize(
    ("labels", "classes", "model"),
    [
        (BINARY, 2, lambda: dense(2)),
        (BINARY, 2, lambda: dense(1)),
        (MAPS, 3, lambda: maps(3)),
        (np.zeros((N, 3)), None, lambda: dense(3)),
        (np.zeros(N), None, lambda: dense(1)),
        (np.zeros((N, 2, 2, 5)), None, lambda: maps(5)),
    ],
)
def test_fits(labels, classes, model):
    made = model()
    loss = CROSS_ENTROPY if classes else "mse"
    assert Objective.of(data(labels, classes, loss, made.input_shape[1:]), made)


@pytest.mark.parametrize(
    ("labels", "classes", "model", "message"),
    [
        (np.arange(N) % 3, 3, lambda: dense(1), "needs 3 outputs. Received: a model with 1"),
        (
            MAPS,
            3,
            lambda: maps(2),
            r"its labels, with an output for each class, \(2, 2, 3\).* gives \(2, 2, 2\)",
        ),
        (np.zeros((N, 2, 2, 5)), None, lambda: maps(1), r"shape of its targets, \(2, 2, 5\)"),
        (np.zeros((N, 4)), None, lambda: maps(4), r"needs|must give outputs"),
    ],
)
def test_refuses(labels, classes, model, message):
    made = model()
    loss = CROSS_ENTROPY if classes else "mse"
    with pytest.raises(DataError, match=message):
        Objective.of(data(labels, classes, loss, made.input_shape[1:]), made)


@pytest.mark.parametrize(("activation", "logits"), [(None, True), ("sigmoid", False)])
def test_one_unit_for_two_classes_has_the_binary_loss_and_its_accuracy(activation, logits):
    model = dense(1, activation)
    objective = Objective.of(data(BINARY, 2), model)
    assert isinstance(objective.loss, keras.losses.BinaryCrossentropy)
    assert objective.loss.get_config()["from_logits"] is logits
    objective.compile(model, data(BINARY, 2))
    model.layers[-1].set_weights([np.array([[1.0], [0], [0], [0]]), np.zeros(1)])
    # The unit gives 0.25 for a logit, or sigmoid(0.25) = 0.56: class 1. With logits, 0.25 is above 0.
    x = np.tile(np.array([[0.25, 0, 0, 0]]), (N, 1))
    assert model.evaluate(x, np.ones(N), verbose=0, return_dict=True)["accuracy"] == 1.0
    assert model.evaluate(-x, np.zeros(N), verbose=0, return_dict=True)["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        ("binary_crossentropy", False),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), True),
        ("mse", None),
        (lambda y, p: p, None),
        (None, None),
    ],
)
def test_losses_tell_whether_they_take_logits(loss, told):
    assert takes_logits(loss) is told


@pytest.mark.parametrize(
    ("labels", "shape", "loss", "count"),
    [
        (np.array([0, 2, 1]), (3,), "sparse_categorical_crossentropy", 3),
        (np.array([[0], [2]]), (3,), "sparse_categorical_crossentropy", 3),
        (np.array([0, 3]), (3,), "sparse_categorical_crossentropy", None),  # a label beyond the outputs
        (np.array([0, 1]), (1,), "binary_crossentropy", 2),
        (np.array([0, 1]), (1,), "mse", None),
        (np.array([0.0, 1.0]), (2,), "mse", None),
        (MAPS, (2, 2, 3), "sparse_categorical_crossentropy", 3),
        (np.array([0, -1]), (2,), "sparse_categorical_crossentropy", None),
    ],
)
def test_the_classes_of_a_compiled_model(labels, shape, loss, count):
    x = np.zeros((len(labels), 4))
    split = x, labels
    assert class_count(Data("toy", split, split, split), labels, shape, loss) == count


@pytest.mark.parametrize(
    ("loss", "labels", "refused"),
    [
        ("mse", np.zeros((N, 2, 2, 1)), True),  # 4 outputs against a map of 2 x 2
        ("mae", BINARY, True),  # one number against 4 outputs
        ("sparse_categorical_crossentropy", np.arange(N) % 4, False),
        ("categorical_crossentropy", np.eye(4)[np.arange(N) % 4], False),
        (lambda y, p: keras.ops.mean(p - y), BINARY, False),  # a loss of one's own may compare anything
    ],
)
def test_a_loss_of_keras_broadcasts_no_labels(loss, labels, refused):
    model = dense(4)
    model.compile("sgd", loss)
    split = np.zeros((N, 4)), labels
    whole = Data("toy", split, split, split)
    if refused:
        with pytest.raises(DataError, match="must compare outputs with labels of the same shape"):
            Objective.compiled(model, whole)
        with pytest.raises(DataError, match="must compare outputs with labels of the same shape"):
            Objective(loss, list).compile(dense(4), whole)
    else:
        Objective.compiled(model, whole).compile(dense(4), whole)


def two_inputs(**names):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    joined = layers.Concatenate()([a, b])
    inputs = {"a": a, "b": b} if names else [a, b]
    return keras.Model(inputs, layers.Dense(2)(joined))


@pytest.mark.parametrize(
    ("x", "model", "message"),
    [
        (np.zeros((N, 3)), lambda: dense(2), r"must take inputs \(3,\). Received: a model that takes \(4,\)"),
        (
            np.zeros((N, 2)),
            lambda: two_inputs(),
            r"must take inputs \(2,\). Received: a model that takes {'0': ",
        ),
        ({"a": np.zeros((N, 2)), "c": np.zeros((N, 3))}, lambda: two_inputs(), "takes {'a': "),
        ({"a": np.zeros((N, 3)), "b": np.zeros((N, 2))}, lambda: two_inputs(by=1), "takes {'a': "),
        ((np.zeros((N, 3)), np.zeros((N, 2))), lambda: two_inputs(), "takes {'0': "),
    ],
)
def test_other_inputs_are_refused(x, model, message):
    split = x, BINARY
    with pytest.raises(DataError, match=message):
        Objective.of(Data("toy", split, split, split, CROSS_ENTROPY, (), 2), model())


@pytest.mark.parametrize(
    ("x", "model"),
    [
        ({"a": np.zeros((N, 2)), "b": np.zeros((N, 3)), "more": np.zeros((N, 1))}, lambda: two_inputs(by=1)),
        ({"b": np.zeros((N, 3)), "a": np.zeros((N, 2))}, lambda: two_inputs()),
        ([np.zeros((N, 2)), np.zeros((N, 3))], lambda: two_inputs()),
        (np.zeros((N, 5, 1)), lambda: keras.Sequential([keras.Input((None,)), layers.Embedding(3, 2)])),
    ],
)
def test_inputs_that_keras_takes_fit(x, model):
    from kerastickets.models.label_fit import check_inputs

    split = x, BINARY
    check_inputs(Data("toy", split, split, split), model())
