"""TaskCrossEntropy against SciPy and Keras's own cross-entropy, and as a data set's loss."""

import json

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

import kerastickets as kt
from kerastickets.data.dataset import CROSS_ENTROPY, task_cross_entropy
from kerastickets.data.losses import TaskCrossEntropy
from kerastickets.errors import DataError
from kerastickets.models.objective import Objective
from tests.helpers.labelled import two_tasks

LABELS = np.array([[0, 2], [1, 1], [1, 0]])
LOGITS = np.array([[5.0, 1, 0, 0, 9], [5, 1, 0, 7, 0], [0, 1, 0, 7, 8]], "float32")


def by_hand():
    one, two = log_softmax(LOGITS[:, :2], 1), log_softmax(LOGITS[:, 2:], 1)
    rows = np.arange(3)
    return -one[rows, LABELS[:, 0]] - two[rows, LABELS[:, 1]]


def test_it_is_the_sum_over_tasks_and_the_mean_over_examples():
    assert float(TaskCrossEntropy((2, 3))(LABELS, LOGITS)) == pytest.approx(by_hand().mean(), rel=1e-6)
    each = TaskCrossEntropy((2, 3), reduction="none")(LABELS.astype("float32"), LOGITS)
    np.testing.assert_allclose(each, by_hand(), rtol=1e-6)


def test_one_task_is_keras_s_own_cross_entropy():
    own = keras.losses.get(CROSS_ENTROPY)(LABELS[:, 1], LOGITS[:, 2:])
    assert float(TaskCrossEntropy((3,))(LABELS[:, 1:], LOGITS[:, 2:])) == pytest.approx(float(own), rel=1e-6)


def test_json_and_keras_hold_it():
    loss = keras.losses.get(json.loads(json.dumps(task_cross_entropy(2, 3))))
    again = keras.losses.get(keras.losses.serialize(loss))
    assert (loss.classes, again.classes, again.name) == ((2, 3), (2, 3), "task_cross_entropy")


def test_a_data_set_of_tasks_is_pruned_scored_and_measured():
    run = kt.prune("mlp:8", two_tasks(), "snip", sparsity=0.5, train="2ep", jit="off", batch_size=20)
    assert run.tickets[-1].architecture
    assert {"val_accuracy", "val_left_accuracy"} <= run.rows[-1].keys()
    facts = kt.evaluate(run.tickets[-1], two_tasks())
    assert facts["tasks"]["left"]["accuracy"] == pytest.approx(facts["left_accuracy"])
    assert [row["count"] for row in facts["tasks"]["left"]["classes"]] == [30, 30]
    right = facts["tasks"]["right"]
    assert np.mean([row["accuracy"] for row in right["classes"]]) == pytest.approx(right["accuracy"])
    assert facts["accuracy"] == pytest.approx((facts["left_accuracy"] + right["accuracy"]) / 2)


def test_a_model_that_gives_probabilities_is_refused():
    layers = [keras.Input((4,)), keras.layers.Dense(5, activation="softmax")]
    with pytest.raises(DataError, match="must end in logits, without softmax or sigmoid"):
        Objective.of(two_tasks(), keras.Sequential(layers))
