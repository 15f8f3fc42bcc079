import json

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.data.dataset import BINARY_CROSS_ENTROPY, Data
from kerastickets.errors import DataError
from kerastickets.models.objective import Objective, gives_probabilities
from tests.helpers import nets


def ending(*tail):
    return keras.Sequential([keras.Input((4,)), layers.Dense(6), *tail])


def targets():
    """Three floats for each example of four numbers."""
    split = nets.vectors()[0], np.zeros((24, 3))
    return Data("targets", split, split, split, "mse")


def functional(make):
    x = keras.Input((4,))
    return keras.Model(x, make(x))


PROBABILITIES = {
    "softmax-activation": lambda: ending(layers.Dense(3, activation="softmax")),
    "sigmoid-activation": lambda: ending(layers.Dense(3, activation="sigmoid")),
    "softmax-layer": lambda: ending(layers.Dense(3), layers.Softmax()),
    "activation-layer": lambda: ending(layers.Dense(3), layers.Activation("softmax")),
    "operation": lambda: functional(lambda x: keras.ops.softmax(layers.Dense(3)(x))),
    "nested": lambda: functional(ending(layers.Dense(3, activation="softmax"))),
    # The layer made last is not the one that the output comes from.
    "branch": lambda: functional(
        lambda x: layers.Softmax()(layers.Add()([layers.Dense(3, name="b")(x), layers.Dense(3, name="a")(x)]))
    ),
}
LOGITS = {
    "plain": nets.plain,
    "relu": lambda: ending(layers.Dense(3, activation="relu")),
    "softmax-inside": lambda: ending(layers.Softmax(), layers.Dense(3)),
    "residual": nets.residual,
    "sum-of-softmax": lambda: functional(
        lambda x: layers.Dense(3, activation="softmax")(x) + layers.Dense(3)(x)
    ),
    "subclassed": nets.subclassed,
    "opaque": nets.opaque,
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_a_model_that_ends_in_probabilities_gets_a_loss_for_them(name):
    model = PROBABILITIES[name]()
    assert gives_probabilities(model)
    assert Objective.of(nets.data(), model).loss.get_config()["from_logits"] is False


@pytest.mark.parametrize("name", LOGITS)
def test_a_model_that_ends_in_logits_keeps_the_datas_loss(name):
    model = LOGITS[name]()
    assert not gives_probabilities(model)
    assert Objective.of(nets.data(), model).loss.get_config()["from_logits"] is True


def test_a_model_without_layers_gives_no_probabilities():
    class Bare(keras.Model):
        def call(self, x):
            return x

    assert not gives_probabilities(Bare())


def test_both_ways_to_end_give_the_same_loss():
    data, logits = nets.data(), nets.plain()
    soft = keras.Sequential([keras.Input((4,)), logits, layers.Softmax()])
    x, y = data.test
    a, b = Objective.of(data, logits).loss(y, logits(x)), Objective.of(data, soft).loss(y, soft(x))
    assert float(a) == pytest.approx(float(b), rel=1e-5)


def test_the_datas_own_loss_is_not_changed():
    data = nets.data()
    Objective.of(data, PROBABILITIES["softmax-layer"]())
    assert data.loss["config"] == {"from_logits": True}


def test_binary_losses_and_losses_without_logits():
    x = np.zeros((4, 4))
    y = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])
    binary = Data("b", (x, y), (x, y), (x, y), BINARY_CROSS_ENTROPY, (), classes=None)
    model = ending(layers.Dense(2, activation="sigmoid"))
    assert Objective.of(binary, model).loss.get_config()["from_logits"] is False
    squares = Data("s", (x, y), (x, y), (x, y), "mse", (), classes=None)
    assert Objective.of(squares, model).loss is keras.losses.mean_squared_error


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ending(layers.Dense(4)), "A model for vectors needs 3 outputs. Received: a model with 4"),
        (nets.two_outputs, "A model for vectors needs one output layer. Received: 2 of them"),
    ],
)
def test_outputs_that_do_not_fit_the_labels_are_refused(build, message):
    with pytest.raises(DataError, match=message):
        Objective.of(nets.data(), build())


def test_metrics_are_fresh_each_time_and_may_be_made_by_functions():
    make = lambda: keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")  # noqa: E731
    data = nets.data()
    own = Data("own", data.train, data.validation, data.test, data.loss, ("accuracy", make), classes=3)
    objective = Objective.of(own, nets.plain())
    first, second = objective.metrics(), objective.metrics()
    assert first[0] == "accuracy"
    assert first[1].name == "top"
    assert first[1] is not second[1]


# What a user compiled a model with.


def own_loss(y, p):
    return keras.ops.mean(keras.ops.square(p), axis=-1)


def own_metric(y, p):
    return keras.ops.max(p)


class OwnMetric(keras.metrics.SparseCategoricalAccuracy):
    """A metric that is not registered."""


def compiled(loss, metrics):
    model = nets.plain()
    model.compile("adam", loss, metrics=metrics)
    return model


def test_a_model_that_is_not_compiled_has_no_objective_of_its_own():
    assert Objective.compiled(nets.plain(), nets.data()) is None
    model = nets.plain()
    model.compile("adam")
    assert Objective.compiled(model, nets.data()) is None


@pytest.mark.parametrize(
    "metrics", [[own_metric], [OwnMetric(name="own")], ["accuracy", own_metric], [["accuracy"]]]
)
def test_losses_and_metrics_of_the_users_own_are_taken_over(metrics):
    objective = Objective.compiled(compiled(own_loss, metrics), nets.data())
    assert objective.loss is own_loss
    again = compiled(objective.loss, objective.metrics())
    results = again.evaluate(*nets.data().test, verbose=0, return_dict=True)
    assert results.keys() - {"loss"} <= {"accuracy", "own", "own_metric"}
    assert len(results) == 1 + len(metrics)


def test_metrics_of_the_users_model_do_not_count_our_batches():
    model = compiled(own_loss, [OwnMetric(name="own")])
    own = Objective.compiled(model, nets.data()).metrics()[0]
    assert own is not Objective.compiled(model, nets.data()).metrics()[0]
    assert (type(own), own.name) == (OwnMetric, "own")
    model.evaluate(*nets.data().test, verbose=0)
    assert float(own.count) == 0


def test_without_metrics_the_datas_are_reported():
    loss = "sparse_categorical_crossentropy"
    assert Objective.compiled(compiled(loss, None), nets.data()).metrics() == ["accuracy"]


def test_two_losses_are_one_too_many():
    model = nets.two_outputs()
    model.compile("adam", ["mse", "mae"])
    with pytest.raises(DataError, match=r"2 outputs needs labels for each. Received: labels for 1 "):
        Objective.compiled(model, nets.data())
    single = compiled(["sparse_categorical_crossentropy"], None)
    assert Objective.compiled(single, nets.data()).loss == "sparse_categorical_crossentropy"


def test_labels_are_not_broadcast_to_outputs():
    with pytest.raises(DataError, match=r"mse must compare .* outputs \(3,\) and labels \(\) of vectors"):
        Objective.compiled(compiled("mse", None), nets.data())


def test_a_loaded_model_brings_its_objective(tmp_path):
    model = compiled(keras.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    objective = Objective.compiled(keras.models.load_model(tmp_path / "model.keras"), nets.data())
    assert objective.loss.get_config()["from_logits"] is True
    assert objective.metrics() == ["accuracy"]


def test_a_loss_is_described_as_json_or_by_its_name():
    of = Objective.of(nets.data(), nets.plain()).describe()
    assert of["config"]["from_logits"] is True
    assert json.loads(json.dumps(of)) == of
    assert Objective.compiled(compiled(own_loss, None), nets.data()).describe() == "own_loss"
    assert Objective.compiled(compiled(["mse"], None), targets()).describe() == "mse"
