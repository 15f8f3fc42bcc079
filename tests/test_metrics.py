"""LogitAccuracy and TaskAccuracy against hand-worked numbers."""

import keras
import numpy as np
import pytest

from kerastickets.metrics import LogitAccuracy, TaskAccuracy

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
