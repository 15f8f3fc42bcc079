"""Keras's own callbacks at the pace of evaluations, and the ones that cannot run there."""

import csv
import json

import keras
import numpy as np
import pytest
from keras import callbacks

from kerastickets.errors import RecipeError
from kerastickets.models.variables import snapshot
from kerastickets.pruning.prune_model import prune
from kerastickets.training.interval_callbacks import check_interval_callback
from tests.helpers.training import ones, same, start, trainer

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_a_learning_rate_scheduler_sets_the_rate_of_each_interval": ("on",),
}


def run(*made, **dials):
    """A training of two epochs, evaluated twice an epoch, whose level 4 gets these callbacks."""
    dials = {"train": "16it", "eval_every": "4it", "keep": "last"} | dials
    once = trainer(callbacks=lambda level: made, **dials)
    return once, once.train(start(), ones(), seed=0, level=4)


class Diary(callbacks.Callback):
    """Everything that it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def on_train_begin(self, logs=None):
        self.told.append("train begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.told.append(f"begin {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.told.append(f"end {epoch}")
        self.logs = logs

    def on_train_end(self, logs=None):
        self.told.append("train end")


def test_an_epoch_of_callbacks_is_an_evaluation():
    diary = Diary()
    made, outcome = run(diary)
    epochs = [f"{what} {n}" for n in range(4) for what in ("begin", "end")]
    assert diary.told == ["train begin", *epochs, "train end"]
    names = ("accuracy", "loss", "val_accuracy", "val_loss")
    assert diary.logs == {
        name: outcome.rows[-1][name] for name in names
    }  # metrics alone: no epoch, no seconds
    assert diary.model is made.model


def test_a_snapshot_between_evaluations_is_no_epoch():
    diary = Diary()
    made = trainer(callbacks=lambda level: [diary], train="8it", eval_every="4it")
    made.train(start(), ones(), seed=0, snapshot_at=[1, 2, 6])
    assert diary.told == ["train begin", "begin 0", "end 0", "begin 1", "end 1", "train end"]


def test_each_level_gets_fresh_callbacks():
    asked = []

    def factory(level):
        asked.append(level)
        return [callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: asked.append((level, epoch)))]

    prune("mlp:4", "digits", levels=1, rate=0.5, train="2ep", jit="off", callbacks=factory)
    assert asked == [0, (0, 0), (0, 1), 1, (1, 0), (1, 1)]


def test_early_stopping_stops_and_restores():
    # Whatever the loss does, an improvement by 10 is none: it stops after two more evaluations.
    stop = callbacks.EarlyStopping("val_loss", min_delta=10, patience=2, restore_best_weights=True)
    _, outcome = run(stop)
    assert outcome.metrics["stopped_iteration"] == 12
    _, first = run(train="4it")
    assert same(outcome.final, first.final)  # the last weights are those that it restored


def test_patience_and_a_callback_stop_whichever_comes_first():
    _, outcome = run(callbacks.EarlyStopping("val_loss", min_delta=10, patience=3), patience=1, lr=1e-9)
    assert outcome.metrics["stopped_iteration"] == 8


def test_reducing_the_rate_on_a_plateau():
    reduce = callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=10)
    made, _ = run(reduce)  # the first evaluation is an improvement, each of the next three halves
    assert float(made.model.optimizer.learning_rate) == pytest.approx(0.01 / 8)


@pytest.mark.parametrize("jit", ["off", "on"])
def test_a_learning_rate_scheduler_sets_the_rate_of_each_interval(jit):
    halving = callbacks.LearningRateScheduler(lambda epoch, rate: 0.1 / 2**epoch)
    _, outcome = run(halving, optimizer="sgd", lr=0.3, jit=jit)
    steps = run(optimizer="sgd", lr=0.1, lr_schedule="steps:4it=0.5,8it=0.25,12it=0.125", jit=jit)[1]
    for key in outcome.final:
        np.testing.assert_allclose(outcome.final[key], steps.final[key], atol=1e-7)


def test_csv_logger_writes_a_line_an_evaluation(tmp_path):
    _, outcome = run(callbacks.CSVLogger(tmp_path / "log.csv"))
    with (tmp_path / "log.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [line["epoch"] for line in lines] == ["0", "1", "2", "3"]
    assert [float(line["val_loss"]) for line in lines] == [row["val_loss"] for row in outcome.rows[1:]]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_model_checkpoint_writes_models_that_load(tmp_path, schedule):
    path = str(tmp_path / "{epoch:02d}-{val_loss:.4f}.keras")
    made, outcome = run(callbacks.ModelCheckpoint(path, save_freq="epoch"), lr_schedule=schedule)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == [f"{n:02d}-{row['val_loss']:.4f}.keras" for n, row in enumerate(outcome.rows) if n]
    loaded = keras.models.load_model(tmp_path / files[-1])
    assert same(snapshot(loaded), outcome.final)
    assert float(loaded.optimizer.learning_rate) == pytest.approx(float(made.model.optimizer.learning_rate))


def test_model_checkpoint_keeps_the_best_alone(tmp_path):
    best = callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5", monitor="val_accuracy", save_best_only=True, save_weights_only=True
    )
    run(best)
    assert [file.name for file in tmp_path.iterdir()] == ["best.weights.h5"]


def test_tensorboard_writes_event_files(tmp_path):
    run(callbacks.TensorBoard(tmp_path, update_freq="epoch", histogram_freq=1), lr_schedule="cosine")
    for part in ("train", "validation"):
        (events,) = (tmp_path / part).glob("events.out.tfevents.*")
        assert events.stat().st_size > 200


def test_callbacks_change_no_bits_unless_they_mean_to(tmp_path):
    watching = [callbacks.CSVLogger(tmp_path / "a.csv"), callbacks.TensorBoard(tmp_path), callbacks.History()]
    assert same(run(*watching)[1].final, run()[1].final)


class PerBatch(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise AssertionError


class PerTestBatch(callbacks.Callback):
    def on_test_batch_end(self, batch, logs=None):
        raise AssertionError


@pytest.mark.parametrize(
    ("callback", "name", "hook"),
    [
        (callbacks.TerminateOnNaN, "TerminateOnNaN", "on_batch_end"),
        (callbacks.ProgbarLogger, "ProgbarLogger", "on_train_batch_end"),
        (PerBatch, "PerBatch", "on_train_batch_end"),
        (PerTestBatch, "PerTestBatch", "on_test_batch_end"),
        (lambda: callbacks.LambdaCallback(on_train_batch_end=print), "LambdaCallback", "on_train_batch_end"),
        (
            lambda: callbacks.LambdaCallback(on_train_batch_begin=print),
            "LambdaCallback",
            "on_train_batch_begin",
        ),
        (lambda: callbacks.ModelCheckpoint("a.keras", save_freq=5), "ModelCheckpoint", "on_train_batch_end"),
        (lambda: callbacks.TensorBoard("a", update_freq="batch"), "TensorBoard", "on_train_batch"),
    ],
)
def test_callbacks_that_act_on_every_batch_are_refused_by_name(callback, name, hook):
    with pytest.raises(RecipeError, match=rf"{name} acts on every batch \({hook}.*Use on_epoch_end"):
        check_interval_callback(callback())


@pytest.mark.parametrize(
    "callback",
    [
        callbacks.History,
        lambda: callbacks.CSVLogger("a.csv"),
        lambda: callbacks.EarlyStopping(),
        lambda: callbacks.ModelCheckpoint("a.keras"),
        lambda: callbacks.TensorBoard("a"),
        lambda: callbacks.LambdaCallback(on_epoch_end=print, on_train_begin=print),
        Diary,
    ],
)
def test_callbacks_of_whole_evaluations_pass(callback):
    check_interval_callback(callback())
    check_interval_callback(callback(), scheduled=True)


def test_a_callback_that_restores_weights_would_break_a_run_that_continues(tmp_path):
    with pytest.raises(RecipeError, match=r"BackupAndRestore would .* continues by itself"):
        check_interval_callback(callbacks.BackupAndRestore(tmp_path))


@pytest.mark.parametrize("dials", [{"lr_schedule": "cosine"}, {"warmup": "2it"}])
@pytest.mark.parametrize(
    "setter", [callbacks.ReduceLROnPlateau, lambda: callbacks.LearningRateScheduler(float)]
)
def test_a_callback_and_a_schedule_cannot_both_set_the_rate(setter, dials):
    with pytest.raises(
        RecipeError, match=r"sets the learning rate, which a schedule or a warm-up sets already"
    ):
        run(setter(), **dials)


def test_what_is_no_callback_is_refused():
    with pytest.raises(
        RecipeError, match=r"Callbacks must be Keras callbacks. Received: <built-in function print>"
    ):
        run(print)


def test_a_callback_that_raises_keeps_what_was_finished(tmp_path):
    def fail(level):
        def at_end(epoch, logs):
            if level == 1:
                raise ValueError("mine")

        return [callbacks.LambdaCallback(on_epoch_end=at_end)]

    dials = {"levels": 1, "rate": 0.5, "train": "1ep", "jit": "off"}
    with pytest.raises(ValueError, match="mine"):
        prune("mlp:4", "digits", out=tmp_path, callbacks=fail, **dials)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["level-00.safetensors"]
    rows = [json.loads(line)["level"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows == [0, 0, 1, 1]
    run = prune("mlp:4", "digits", out=tmp_path, **dials)
    assert [row["level"] for row in run.rows] == [0, 0, 1, 1]
