"""One training: when it evaluates and stops, and which weights it keeps."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from kerastickets.errors import RecipeError
from tests.helpers.training import ones, same, start, trainer


@functools.cache
def compiled():
    return trainer(train="20it", eval_every="4it")


def scripted(monkeypatch, values, **dials):
    """A training whose validations give `values`, from iteration 0 on, and whose test is not scripted."""
    made = compiled()
    monkeypatch.setattr(made, "recipe", replace(made.recipe, **dials))
    script = iter(values)
    real = made.engine.evaluate
    name = made.recipe.monitor.removeprefix("val_")
    asked = []

    def evaluate(split):
        asked.append(split)
        found = real(split)
        return found | {name: next(script)} if split == "validation" else found

    monkeypatch.setattr(made.engine, "evaluate", evaluate)
    outcome = made.train(start(), ones(), seed=0)
    return outcome, asked


def test_it_evaluates_at_every_interval_at_iteration_0_and_at_the_end():
    outcome = trainer(train="13it", eval_every="5it").train(start(), ones(), seed=0, level=3)
    assert [row["iteration"] for row in outcome.rows] == [0, 5, 10, 13]
    assert [row["epoch"] for row in outcome.rows] == [0, 1, 2, 2.6]
    assert {row["level"] for row in outcome.rows} == {3}
    assert "loss" not in outcome.rows[0]  # nothing was trained yet
    expected = ["level", "iteration", "epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"]
    assert sorted(outcome.rows[1]) == sorted(expected)
    assert outcome.seconds >= outcome.rows[-1]["seconds"] > 0


@pytest.mark.parametrize(
    ("values", "early", "stopped"),
    [
        ([0.9, 0.5, 0.6, 0.6, 0.6, 0.5], 8, 20),  # the first of equals; iteration 0 is never the best
        ([0.0, 0.7, 0.6, 0.6, 0.6, 0.6], 4, 20),
        ([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], 20, 20),
    ],
)
def test_the_early_stop_iteration_is_the_first_strictly_best(monkeypatch, values, early, stopped):
    outcome, asked = scripted(monkeypatch, values)
    assert outcome.metrics["early_stop_iteration"] == early
    assert outcome.metrics["stopped_iteration"] == stopped
    assert outcome.metrics["val_accuracy"] == values[early // 4]
    assert asked == ["validation"] * 6 + ["test"]  # test selects nothing: it is measured once, at the end


@pytest.mark.parametrize(
    ("patience", "values", "stopped"),
    [
        (1, [0.0, 0.5, 0.4], 8),
        (2, [0.0, 0.5, 0.5, 0.4], 12),  # equal is no improvement
        (2, [0.0, 0.5, 0.4, 0.6, 0.6, 0.6], 20),  # counting starts again
        (4, [0.0, 0.5, 0.5, 0.5, 0.5, 0.5], 20),
        (9, [0.9, 0.1, 0.1, 0.1, 0.1, 0.1], 20),
    ],
)
def test_patience_counts_evaluations_without_improvement(monkeypatch, patience, values, stopped):
    outcome, _ = scripted(monkeypatch, values, patience=patience)
    assert outcome.metrics["stopped_iteration"] == stopped
    assert len(outcome.rows) == stopped // 4 + 1


@pytest.mark.parametrize(("monitor", "early"), [("val_loss", 12), ("val_accuracy", 8)])
def test_losses_are_minimised_and_the_rest_maximised(monkeypatch, monitor, early):
    outcome, _ = scripted(monkeypatch, [0.0, 0.5, 0.9, 0.1, 0.6, 0.7], monitor=monitor)
    assert outcome.metrics["early_stop_iteration"] == early
    assert outcome.metrics[monitor] == (0.1 if monitor == "val_loss" else 0.9)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_final_holds_the_best_or_the_last_weights(monkeypatch, keep):
    outcome, _ = scripted(monkeypatch, [0.0, 0.2, 0.9, 0.3, 0.3, 0.3], keep=keep)
    steps = {"best": 8, "last": 20}
    alone = trainer(train=f"{steps[keep]}it", keep="last").train(start(), ones(), seed=0)
    assert same(outcome.final, alone.final)
    best = trainer(train="8it", keep="last").train(start(), ones(), seed=0)
    # At the early-stop iteration, whichever weights are kept.
    assert outcome.metrics["test_loss"] == best.metrics["last_test_loss"]
    assert ("last_test_loss" in outcome.metrics) is (keep == "last")
    if keep == "last":
        assert outcome.metrics["last_val_accuracy"] == 0.3
        assert outcome.metrics["last_test_loss"] == alone.metrics["last_test_loss"]


def test_an_unknown_monitor_is_refused_before_any_step():
    made = trainer(monitor="val_auc")
    with pytest.raises(RecipeError, match=r"`monitor` must be one of val_loss, val_accuracy. .*val_auc"):
        made.train(start(), ones(), seed=0)
    assert int(made.model.optimizer.iterations.numpy()) == 0


def test_on_row_sees_each_row_as_it_comes():
    seen = []
    outcome = trainer().train(start(), ones(), seed=0, on_row=lambda row: seen.append(dict(row)))
    assert seen == list(outcome.rows)


@pytest.mark.parametrize("first", [10, 11])
def test_a_start_at_the_end_is_refused(first):
    with pytest.raises(RecipeError, match=rf"train=2ep \(10 iterations\) from iteration {first}"):
        trainer().train(start(), ones(), seed=0, first=first)


def test_a_loss_that_is_not_finite_names_level_and_iterations():
    made = trainer(optimizer="sgd", lr=1e38, eval_every="3it")
    with pytest.raises(
        RecipeError, match=r"diverged at level 2: \w+ is (nan|inf) between iterations 0 and 3"
    ):
        made.train(start(), ones(), seed=0, level=2)
    assert int(made.model.optimizer.iterations.numpy()) == 3


def test_weights_that_are_not_finite_are_refused_and_leave_nothing_behind():
    made = trainer(optimizer="sgd", lr=None)
    bad = start() | {"dense/kernel": np.full((4, 8), np.nan, "float32")}
    with pytest.raises(RecipeError, match="The weights that level 0 starts from must give finite metrics"):
        made.train(bad, ones(), seed=0)
    outcome = made.train(start(), ones(), seed=0)
    assert same(outcome.final, trainer(optimizer="sgd", lr=None).train(start(), ones(), seed=0).final)
