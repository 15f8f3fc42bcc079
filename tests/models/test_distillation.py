"""Distillation in a plain `fit`: losses by hand for every kind of output, and a model that is itself again."""

import math

import keras
import numpy as np
import pytest

from kerastickets.callbacks import Distill, KeepMasks, PruneDuringTraining
from kerastickets.data.losses import TaskCrossEntropy
from kerastickets.errors import RecipeError

X = np.eye(2, dtype="float32")
SPARSE = keras.losses.SparseCategoricalCrossentropy


def net(kernel, activation=None, loss=None, **compiled):
    """One dense layer without bias: its outputs for `X` are the rows of its kernel."""
    units = len(kernel[0])
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(units, activation, use_bias=False, name="out")]
    )
    model.layers[0].kernel.assign(kernel)
    if loss is not None:
        # Eager unless a test asks: a traced step costs more than all arithmetic here.
        model.compile(keras.optimizers.SGD(0.0), loss, **({"run_eagerly": True} | compiled))
    return model


def softmax(z, t=1.0):
    e = [math.exp(v / t) for v in z]
    return [v / sum(e) for v in e]


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def sigmoid(z, t=1.0):
    return 1 / (1 + math.exp(-z / t))


def two(z):
    return [sigmoid(z), 1 - sigmoid(z)]


def trained(model, teacher, y, weight=0.25, temperature=2.0, **fit):
    """The loss that a `fit` of one batch reports: the rate is 0, so it is that of the weights given."""
    ran = model.fit(
        X,
        y,
        batch_size=2,
        shuffle=False,
        verbose=0,
        callbacks=[Distill(teacher, weight=weight, temperature=temperature)],
        **fit,
    )
    return ran.history["loss"][0]


STUDENT, TEACHER = [[1.0, -1.0, 0.5], [0.0, 2.0, -1.0]], [[2.0, 0.0, 0.0], [-1.0, 1.0, 3.0]]
LABELS = np.array([0, 1])
OWN = -(math.log(softmax(STUDENT[0])[0]) + math.log(softmax(STUDENT[1])[1])) / 2


def soft(t):
    return [t**2 * kl(softmax(a, t), softmax(b, t)) for a, b in zip(TEACHER, STUDENT, strict=True)]


GRAPH = {"run_eagerly": False, "jit_compile": False}
HOW = {"eager": {}, "graph": GRAPH, "jit": {"run_eagerly": False, "jit_compile": True}}


@pytest.mark.parametrize(
    ("weight", "temperature", "how"), [(0.25, 2.0, "eager"), (0.25, 2.0, "graph"), (1.0, 4.0, "jit")]
)
def test_logits_are_compared_at_the_temperature(weight, temperature, how):
    model = net(STUDENT, loss=SPARSE(from_logits=True), **HOW[how])
    loss = trained(model, net(TEACHER), LABELS, weight, temperature)
    assert loss == pytest.approx((1 - weight) * OWN + weight * sum(soft(temperature)) / 2, rel=1e-5)


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", SPARSE()])
def test_probabilities_become_logits(loss):
    model = net(STUDENT, "softmax", loss)
    expected = 0.75 * OWN + 0.25 * sum(soft(2.0)) / 2
    assert trained(model, net(TEACHER, "softmax"), LABELS) == pytest.approx(expected, rel=1e-4)


def test_a_teacher_of_probabilities_teaches_a_student_of_logits():
    model = net(STUDENT, loss=SPARSE(from_logits=True))
    expected = 0.75 * OWN + 0.25 * sum(soft(2.0)) / 2
    assert trained(model, net(TEACHER, "softmax"), LABELS) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_hot_labels_are_one_softmax_also_with_label_smoothing(smoothing):
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    model = net(STUDENT, loss=loss)
    given = trained(model, net(TEACHER), np.eye(3)[LABELS], weight=1.0)
    assert given == pytest.approx(sum(soft(2.0)) / 2, rel=1e-5)


@pytest.mark.parametrize(("activation", "logits"), [(None, True), ("sigmoid", False)])
@pytest.mark.parametrize("units", [1, 3])
def test_units_that_are_each_a_class_have_a_sigmoid(units, activation, logits):
    student, teacher = ([row[:units] for row in rows] for rows in (STUDENT, TEACHER))
    model = net(student, activation, keras.losses.BinaryCrossentropy(from_logits=logits))
    given = trained(model, net(teacher, activation), np.ones((2, units)), weight=1.0, temperature=1.0)
    each = [
        kl(two(a), two(b)) for p, q in zip(teacher, student, strict=True) for a, b in zip(p, q, strict=True)
    ]
    assert given == pytest.approx(sum(each) / len(each), rel=1e-4)
    cold = trained(model, net(teacher, activation), np.ones((2, units)), weight=1.0, temperature=2.0)
    half = [
        4 * kl([sigmoid(a, 2), 1 - sigmoid(a, 2)], [sigmoid(b, 2), 1 - sigmoid(b, 2)])
        for p, q in zip(teacher, student, strict=True)
        for a, b in zip(p, q, strict=True)
    ]
    assert cold == pytest.approx(sum(half) / len(half), rel=1e-4)


def test_regression_compares_the_outputs_themselves():
    model = net([[1.0], [2.0]], loss="mse")
    # Own loss: (1^2 + 2^2) / 2 = 2.5; from the teacher: ((1 - 3)^2 + (2 - 2)^2) / 2 = 2.
    assert trained(model, net([[3.0], [2.0]]), np.zeros((2, 1)), weight=0.25) == pytest.approx(
        0.75 * 2.5 + 0.25 * 2
    )


def test_sample_weights_act_on_both_losses():
    model = net(STUDENT, loss=SPARSE(from_logits=True))
    first, second = soft(2.0)
    given = trained(model, net(TEACHER), LABELS, weight=1.0, sample_weight=np.array([3.0, 0.5]))
    assert given == pytest.approx((3 * first + 0.5 * second) / 2, rel=1e-5)


def test_the_reduction_is_that_of_the_own_loss():
    model = net(STUDENT, loss=SPARSE(from_logits=True, reduction="sum"))
    assert trained(model, net(TEACHER), LABELS, weight=1.0) == pytest.approx(sum(soft(2.0)), rel=1e-5)


def test_masked_steps_do_not_count():
    def sequence():
        ids = keras.Input((3,), dtype="int32")
        x = keras.layers.Embedding(3, 2, mask_zero=True)(ids)
        return keras.Model(ids, keras.layers.Dense(1, use_bias=False)(x))

    student, teacher = sequence(), sequence()
    table = np.array([[9.0, 9.0], [1.0, 0.0], [0.0, 1.0]])
    for model, kernel in ((student, [[1.0], [2.0]]), (teacher, [[3.0], [7.0]])):
        model.layers[1].embeddings.assign(table)
        model.layers[2].kernel.assign(kernel)
    student.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    x = np.array([[1, 2, 0], [1, 0, 0]])
    ran = student.fit(x, np.zeros((2, 3, 1)), verbose=0, callbacks=[Distill(teacher, weight=1.0)])
    # Steps 1 and 2 are off by 2 and 5; three of six steps are not masked.
    assert ran.history["loss"][0] == pytest.approx((4 + 25 + 4) / 3)


@pytest.mark.parametrize("names", ["list", "dict"])
def test_several_outputs_are_added_with_their_loss_weights(names):
    def both(first, second, compiled):
        x = keras.Input((2,))
        outs = [
            keras.layers.Dense(3, use_bias=False, name="b")(x),
            keras.layers.Dense(1, use_bias=False, name="a")(x),
        ]
        model = keras.Model(x, outs)
        model.get_layer("b").kernel.assign(first)
        model.get_layer("a").kernel.assign(second)
        if compiled:
            losses, weights = [SPARSE(from_logits=True), "mse"], [2.0, 3.0]
            if names == "dict":
                losses, weights = dict(zip("ba", losses, strict=True)), dict(zip("ba", weights, strict=True))
            model.compile(keras.optimizers.SGD(0.0), losses, loss_weights=weights, run_eagerly=True)
        return model

    model, teacher = both(STUDENT, [[1.0], [2.0]], True), both(TEACHER, [[3.0], [2.0]], False)
    ran = model.fit(
        X, [LABELS, np.zeros((2, 1))], verbose=0, callbacks=[Distill(teacher, weight=1.0, temperature=2.0)]
    )
    assert ran.history["loss"][0] == pytest.approx(2 * sum(soft(2.0)) / 2 + 3 * 2, rel=1e-5)


def test_a_step_moves_the_student_by_the_gradient_and_leaves_the_teacher():
    model, teacher = net([[1.0], [2.0]], loss="mse"), net([[3.0], [2.0]])
    model.optimizer.learning_rate.assign(0.1)
    before = teacher.get_weights()[0].copy()
    trained(model, teacher, np.zeros((2, 1)), weight=1.0)
    # d/dw of ((w - 3)^2 + ...) / 2 at w = 1 is -2.
    np.testing.assert_allclose(model.get_weights()[0], [[1.2], [2.0]], rtol=1e-6)
    np.testing.assert_array_equal(teacher.get_weights()[0], before)


def test_validation_and_later_training_have_the_own_loss():
    model, teacher = net(STUDENT, loss=SPARSE(from_logits=True), **GRAPH), net(TEACHER)
    ran = model.fit(
        X, LABELS, validation_data=(X, LABELS), verbose=0, callbacks=[Distill(teacher, weight=1.0)]
    )
    assert ran.history["val_loss"][0] == pytest.approx(OWN, rel=1e-5) != ran.history["loss"][0]
    assert "compute_loss" not in vars(model)
    assert model.fit(X, LABELS, verbose=0).history["loss"][0] == pytest.approx(OWN, rel=1e-5)
    assert model.evaluate(X, LABELS, verbose=0) == pytest.approx(OWN, rel=1e-5)


class Stops(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["callback", "data"])
def test_a_model_is_itself_again_after_a_fit_that_fails(how):
    model, teacher = net(STUDENT, loss=SPARSE(from_logits=True), **GRAPH), net(TEACHER)
    further = [Stops()] if how == "callback" else []
    labels = LABELS if how == "callback" else np.array([0.5, 1.0, 2.0])[:2][:, None].repeat(4, 1)
    with pytest.raises((KeyboardInterrupt, ValueError)):
        model.fit(X, labels, verbose=0, callbacks=[Distill(teacher, weight=1.0), *further])
    assert "compute_loss" not in vars(model)
    assert model.fit(X, LABELS, verbose=0).history["loss"][0] == pytest.approx(OWN, rel=1e-5)


@pytest.mark.parametrize("first", [True, False])
def test_it_works_with_masks_that_stay_and_masks_that_grow(first):
    how = GRAPH if first else {}
    model, teacher = net(STUDENT, loss=SPARSE(from_logits=True), **how), net(TEACHER)
    model.optimizer.learning_rate.assign(0.1)
    mask = np.array([[True, False, True], [True, True, False]])
    both = [Distill(teacher), KeepMasks({"out/kernel": mask})]
    model.fit(X, LABELS, epochs=3, verbose=0, callbacks=both if first else both[::-1])
    np.testing.assert_array_equal(model.layers[0].kernel.numpy() != 0, mask)
    model = net(STUDENT, loss=SPARSE(from_logits=True))
    both = [Distill(teacher, weight=1.0, temperature=2.0), PruneDuringTraining("magnitude", {2: 0.5})]
    ran = model.fit(X, LABELS, epochs=3, verbose=0, callbacks=both if first else both[::-1])
    assert int(np.count_nonzero(model.layers[0].kernel)) == 3
    assert ran.history["loss"][0] == pytest.approx(sum(soft(2.0)) / 2, rel=1e-5)


class OwnStep(keras.Model):
    def __init__(self, asks):
        super().__init__()
        self.asks, self.out = asks, keras.layers.Dense(1)

    def call(self, x):
        return self.out(x)

    def train_step(self, data):
        x, y = data
        given = {
            "loss": lambda: {"y": y, "y_pred": self(x)},
            "inputs": lambda: {"x": x, "y": y, "y_pred": self(x)},
        }
        return {"own": self.compute_loss(**given[self.asks]()) if self.asks else keras.ops.mean(self(x))}


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ("", "the training step must call it. Received: a OwnStep"),
        ("loss", "give compute_loss its inputs, x"),
    ],
)
def test_a_training_step_of_ones_own_that_cannot_distil_is_refused(asks, said):
    model = OwnStep(asks)
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(RecipeError, match=said):
        model.fit(X, np.zeros((2, 1)), verbose=0, callbacks=[Distill(net([[1.0], [2.0]]))])


def test_a_training_step_of_ones_own_that_asks_for_the_loss_distils():
    model = OwnStep("inputs")
    model.compile("sgd", "mse", run_eagerly=True)
    model(X)
    model.out.kernel.assign([[1.0], [2.0]])
    ran = model.fit(X, np.zeros((2, 1)), verbose=0, callbacks=[Distill(net([[3.0], [2.0]]), weight=1.0)])
    assert ran.history["own"][0] == pytest.approx(2.0)


def test_joined_tasks_have_a_softmax_each():
    model = net(STUDENT, loss=TaskCrossEntropy(classes=(2, 1)))
    given = trained(model, net(TEACHER), np.array([[0, 0], [1, 0]]), weight=1.0, temperature=1.0)
    # The second task has a single class, which says nothing.
    each = [kl(softmax(a[:2]), softmax(b[:2])) for a, b in zip(TEACHER, STUDENT, strict=True)]
    assert given == pytest.approx(sum(each) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weight": 0}, "`weight` must be above 0 and at most 1. Received: weight=0"),
        ({"weight": 1.5}, "Received: weight=1.5"),
        ({"temperature": 0}, "`temperature` must be above 0 and finite. Received: temperature=0"),
        ({"temperature": float("nan")}, "temperature=nan"),
    ],
)
def test_values_out_of_range_are_refused(given, said):
    with pytest.raises(RecipeError, match=said):
        Distill(net(TEACHER), **given)


def test_teachers_that_do_not_fit_are_refused():
    with pytest.raises(RecipeError, match=r"must be a keras\.Model\. Received: str"):
        Distill("teacher.keras")
    model = net(STUDENT, loss=SPARSE(from_logits=True))
    with pytest.raises(
        RecipeError, match=r"outputs of the model that trains, \[\(3,\)\].*Received: \[\(1,\)\]"
    ):
        model.fit(X, LABELS, verbose=0, callbacks=[Distill(net([[3.0], [2.0]]))])
    with pytest.raises(RecipeError, match="another model"):
        model.fit(X, LABELS, verbose=0, callbacks=[Distill(model)])
