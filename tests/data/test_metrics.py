"""Our metrics against hand-worked numbers, and what is reported of a data set's tasks."""

import keras
import numpy as np
import pytest

from kerastickets.data.losses import TaskCrossEntropy
from kerastickets.data.metrics import LogitAccuracy, MeanTaskLoss, OutputError, TaskAccuracy, task_metrics
from kerastickets.data.spec import data_of
from kerastickets.models.objective import Objective

TRUE = [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
LOGITS = [[3.0, -1.0], [2.0, -4.0], [0.0, 5.0]]  # right: both, the second, the second (0 says no)


def value(metric, *batches):
    for batch in batches:
        metric.update_state(*batch)
    return float(metric.result())


@pytest.mark.parametrize(("output", "expected"), [(None, 4 / 6), (0, 1 / 3), (1, 1.0)])
def test_share_of_right_outputs(output, expected):
    assert value(LogitAccuracy(output), (TRUE, LOGITS)) == pytest.approx(expected)


@pytest.mark.parametrize("weights", [[1.0, 2.0, 5.0], [[1.0], [2.0], [5.0]]])
def test_sample_weights_count_examples(weights):
    # (1 * 1 + 2 * 1/2 + 5 * 1/2) / 8
    assert value(LogitAccuracy(), (TRUE, LOGITS, weights)) == pytest.approx(4.5 / 8)


def test_batches_of_unequal_size_count_by_their_examples():
    metric = LogitAccuracy()
    assert value(metric, (TRUE[:2], LOGITS[:2]), (TRUE[2:], LOGITS[2:])) == pytest.approx(4 / 6)
    metric.reset_state()
    assert value(metric, (TRUE[:1], LOGITS[:1])) == 1.0


def test_labels_without_their_last_axis_are_matched():
    assert value(LogitAccuracy(0), ([1, 0], [[2.0], [3.0]])) == 0.5


def test_it_is_serialised_with_its_output():
    made = LogitAccuracy(1, name="moons_accuracy")
    again = keras.metrics.deserialize(keras.metrics.serialize(made))
    assert (again.name, again.output, type(again)) == ("moons_accuracy", 1, LogitAccuracy)
    assert LogitAccuracy.from_config(made.get_config()).output == 1


def test_it_works_in_compile_beside_another_of_its_kind():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_initializer="identity")])
    model.compile("sgd", "mse", metrics=[LogitAccuracy(), LogitAccuracy(0, name="first")])
    result = model.evaluate(np.array(LOGITS), np.array(TRUE), batch_size=2, verbose=0, return_dict=True)
    assert result["accuracy"] == pytest.approx(4 / 6)
    assert result["first"] == pytest.approx(1 / 3)


TASKS = np.array([[0, 2], [1, 1], [1, 0]])
TASK_LOGITS = np.array(
    [[5.0, 1, 0, 0, 9], [5, 1, 0, 7, 0], [0, 1, 0, 7, 8]]
)  # right: both, the second, the first


@pytest.mark.parametrize(("task", "expected"), [(None, 4 / 6), (0, 2 / 3), (1, 2 / 3)])
def test_share_of_right_labels_of_tasks(task, expected):
    assert value(TaskAccuracy((2, 3), task), (TASKS, TASK_LOGITS)) == pytest.approx(expected)


def test_task_accuracy_weighs_examples_and_is_serialised():
    weighted = value(TaskAccuracy((2, 3)), (TASKS, TASK_LOGITS, [1.0, 2.0, 5.0]))
    assert weighted == pytest.approx((1 + 2 / 2 + 5 / 2) / 8)
    again = keras.metrics.deserialize(keras.metrics.serialize(TaskAccuracy((2, 3), 1, name="fashion")))
    assert (again.name, again.task, again.classes) == ("fashion", 1, (2, 3))


@pytest.mark.parametrize(("output", "expected"), [([0], 1 / 3), ([1], 1.0), ((0, 1), 4 / 6)])
def test_share_of_right_outputs_of_several(output, expected):
    metric = LogitAccuracy(output)
    assert value(metric, (TRUE, LOGITS)) == pytest.approx(expected)
    assert LogitAccuracy.from_config(metric.get_config()).output == list(output)


@pytest.mark.parametrize(
    ("outputs", "expected"), [(None, 44 / 6), ((0,), 8 / 3), ((1,), 36 / 3), ((1, 0), 44 / 6)]
)
def test_squared_error_of_some_outputs(outputs, expected):
    # Squared differences: 4 and 0, 0 and 0, 4 and 36.
    true, given = [[0, 0], [1, 1], [2, 2]], [[2, 0], [1, 1], [0, 8]]
    metric = OutputError(outputs)
    assert value(metric, (true, given)) == pytest.approx(expected)
    assert metric.get_config()["outputs"] == (None if outputs is None else list(outputs))
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert (again.outputs, again.name) == (metric.outputs, "mean_squared_error")


def test_squared_error_counts_examples_by_their_weights():
    assert value(OutputError((0,)), ([[0.0, 9], [0, 9]], [[1.0, 0], [3, 0]], [3.0, 1.0])) == pytest.approx(
        3.0
    )


def test_the_mean_loss_of_tasks_is_their_sum_by_their_number():
    metric = MeanTaskLoss((2, 3))
    expected = float(TaskCrossEntropy((2, 3))(TASKS, TASK_LOGITS)) / 2
    assert value(metric, (TASKS, TASK_LOGITS)) == pytest.approx(expected, rel=1e-6)
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert (again.classes, again.name) == ((2, 3), "mean_loss")


def test_a_data_set_s_own_metrics_are_not_reported_twice():
    data = data_of("moons-circles")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    names = [metric.name for metric in Objective.of(data, model).metrics()]
    assert names == ["accuracy", "circles_accuracy", "moons_accuracy"]
    assert [metric.name for metric in task_metrics(data)] == names[1:]
    assert task_metrics(data_of("digits")) == []
