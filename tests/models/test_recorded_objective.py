"""What a model was compiled with, as JSON and back."""

import contextlib
import json

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.data.dataset import Data
from kerastickets.errors import RecipeError, TicketError
from kerastickets.models.objective import Objective


def own(y, p):
    return keras.ops.mean(keras.ops.square(y - p))


@keras.saving.register_keras_serializable("recorded")
class Scaled(keras.losses.Loss):
    def __init__(self, by=1.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, y_true, y_pred):
        return self.by * keras.ops.mean(keras.ops.square(y_true - y_pred), -1)

    def get_config(self):
        return super().get_config() | {"by": self.by}


def recorded(loss, metrics=None, **compiled):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    model.compile("sgd", loss, metrics=metrics, **compiled)
    split = np.zeros((4, 2)), np.zeros((4, 2))
    facts = Objective.compiled(model, Data("toy", split, split, split)).record()
    return json.loads(json.dumps(facts))


def test_names_stay_names():
    assert recorded("mae", ["mse"]) == {"loss": "mae", "metrics": ["mse"]}


def test_options_and_weights_come_back():
    facts = recorded(
        keras.losses.Huber(delta=2.0),
        [keras.metrics.TopKCategoricalAccuracy(k=3)],
        loss_weights=[0.5],
        weighted_metrics=["mae"],
    )
    back = Objective.recorded(facts, {})
    # Keras leaves delta out of the config. An error of 3 costs 2 * (3 - 1) with delta 2, and 2.5 with Keras's 1.
    assert float(back.loss(np.zeros((1, 1)), np.full((1, 1), 3.0))) == 4.0
    assert back.metrics()[0].k == 3
    assert back.metrics()[0] is not back.metrics()[0]
    assert (back.loss_weights, back.weighted_metrics()) == ([0.5], ["mae"])
    assert Objective.recorded(back.record(), {}).record() == facts


def test_a_class_of_ones_own_comes_back_if_it_is_given():
    facts = recorded(Scaled(by=3.0))
    assert Objective.recorded(facts, {"Scaled": Scaled}).loss.by == 3.0
    with pytest.raises(TicketError, match="may not hold"):
        Objective.recorded(facts, {})


@pytest.mark.parametrize(("loss", "name"), [(lambda y, p: p, "<lambda>"), (own, "own")])
def test_a_function_is_asked_for(loss, name):
    facts = recorded(loss)
    assert facts["loss"] == {"by_name": name}
    with pytest.raises(RecipeError, match=f"a loss that its file cannot hold. Received: {name}. Give it"):
        Objective.recorded(facts, {})
    assert Objective.recorded(facts, {name: loss}).loss is loss


def test_a_metric_is_made_again_with_all_its_options():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    model.compile("sgd", "mse", metrics=[keras.metrics.CosineSimilarity(axis=0)])
    split = np.zeros((4, 2)), np.zeros((4, 2))
    (metric,) = Objective.compiled(model, Data("toy", split, split, split)).metrics()
    # Along axis 0, the columns (3, 4) and (3, 4) are equal, and so are (0, 1) and (0, 1).
    metric.update_state([[3.0, 0.0], [4.0, 1.0]], [[3.0, 0.0], [8.0, 1.0]])
    expected = ((9 + 32) / (5 * 73**0.5) + 1) / 2
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "part",
    [
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
        {"class_name": "Lambda", "module": "keras.layers", "config": {}},
        {"class_name": "__lambda__", "config": {"value": ["4wEA"]}},
        {"class_name": "MeanSquaredError", "module": "keras.losses", "config": {"no": "such"}},
        {"a": {"class_name": "Huber", "module": "evil", "config": {}}},
    ],
)
def test_a_strangers_record_runs_nothing(part):
    with pytest.raises(TicketError):
        Objective.recorded({"loss": part}, {})


@pytest.mark.parametrize("part", [5, [[["mse"]]], {"by_name": 3}, "no-such-loss", [None]])
def test_odd_records_raise_no_traceback_of_reading(part):
    with contextlib.suppress(TicketError, RecipeError):
        Objective.recorded({"loss": part}, {})
