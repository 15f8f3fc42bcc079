"""Data on disk trains, is scored and is evaluated to the bits of the same data in memory."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

import kerastickets as kt
from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.data.streamed_array import StreamedArray
from kerastickets.distribution.devices import Layout
from kerastickets.errors import RecipeError
from kerastickets.foundations.termination import Terminated
from kerastickets.foundations.tree import generator
from kerastickets.pruning.scoring import Batches
from kerastickets.structure.analysis import analyze
from kerastickets.training import windows
from kerastickets.training.checkpoint import Checkpoint, Keeper, Pace
from kerastickets.training.epoch_order import EpochOrder
from kerastickets.training.session import Start
from tests.helpers.training import data, flattened, masks, pictures, same, start, trainer

EXAMPLE = 4 * 4 + 8  # bytes: four float32 and a label


def on_disk(whole=None):
    whole = whole or pictures()
    splits = {name: getattr(whole, name) for name in ("train", "validation", "test")}
    return replace(
        whole, **{name: (StreamedArray.written([x], x.dtype, "x"), y) for name, (x, y) in splits.items()}
    )


@pytest.fixture
def window(monkeypatch):
    """Windows of so many steps of eight examples."""
    return lambda steps: monkeypatch.setattr(windows, "WINDOW", int(EXAMPLE * 8 * steps))


def noisy():
    net = [layers.Flatten(), layers.Dense(8), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.3)]
    return keras.Sequential([keras.Input((2, 2, 1)), *net, layers.Dense(3)])


def test_windows_have_the_rows_of_the_epochs_in_their_order(window):
    whole = EpochOrder(40, 8)
    rows = np.concatenate([whole.rows(7, 0)[:120], []]).astype(int)
    split = on_disk().train
    window(3.5)
    order = windows.WindowOrder(split, 8)
    assert (order.per_epoch, order.length) == (3, 24)
    assert np.concatenate([order.rows(7, n) for n in range(5)]).tolist() == rows.tolist()
    assert order.part(7, 100) == (2, 2, 1, 6)
    np.testing.assert_array_equal(order.window(7, 1)[0], split[0][rows[24:48]])
    window(0.1)  # at least a batch
    assert windows.WindowOrder(split, 8).per_epoch == 1
    window(99)  # at most an epoch
    assert windows.WindowOrder(split, 8).per_epoch == 5


@pytest.mark.parametrize(
    ("build", "dials", "steps"),
    [
        (flattened, {}, 3),
        pytest.param(flattened, {"jit": "on"}, 3, marks=pytest.mark.slow),
        pytest.param(noisy, {"augment": "flip+crop:1"}, 2, marks=pytest.mark.slow),
        pytest.param(noisy, {"augment": "flip+crop:1", "jit": "on"}, 3, marks=pytest.mark.slow),
        pytest.param(flattened, {"lr_schedule": "cosine", "batch_size": 7}, 1, marks=pytest.mark.slow),
        pytest.param(flattened, {"batch_size": 7}, 99, marks=pytest.mark.slow),
    ],
)
def test_a_training_has_the_bits_of_one_in_memory(window, build, dials, steps):
    window(steps)
    dials = {"train": "17it", "eval_every": "4it", "eval_batch_size": 5} | dials
    begin = Start(start(build), masks(), 3, snapshot_at={7})
    whole, streamed = (
        trainer(build, on=on, **dials).train_many([begin])[0] for on in (pictures(), on_disk())
    )
    assert same(streamed.final, whole.final)
    assert same(streamed.snapshots[7], whole.snapshots[7])
    assert streamed.metrics == whole.metrics
    assert [{**row, "seconds": 0} for row in streamed.rows] == [{**row, "seconds": 0} for row in whole.rows]


@pytest.mark.slow
def test_several_nets_train_one_after_another(window):
    window(2)
    made = trainer(flattened, on=on_disk(), train="6it")
    assert not made.takes_turns
    starts = [Start(start(flattened, seed), masks(seed), seed) for seed in (0, 1)]
    both = made.train_many(starts)
    for one, begin in zip(both, starts, strict=True):
        assert same(one.final, trainer(flattened, on=pictures(), train="6it").train_many([begin])[0].final)


@pytest.mark.slow
def test_a_training_that_was_stopped_within_a_window_goes_on_to_the_same_bits(tmp_path, window, monkeypatch):
    window(4)
    dials = {"train": "16it", "eval_every": "5it"}
    begin = Start(start(noisy), masks(), 3, identity="mine")
    whole = trainer(noisy, on=pictures(), **dials).train_many([begin])[0]
    visits, visit = [0], Keeper.visit

    def watched(self, state):
        visits[0] += 1
        self._checkpoint._written = -1e9  # it is always time
        visit(self, state)
        if visits[0] == 4:
            raise Terminated

    monkeypatch.setattr(Pace, "until", lambda self, at, stop: min(stop, at + 3))
    monkeypatch.setattr(Keeper, "visit", watched)
    kept = replace(begin, checkpoint=Checkpoint(tmp_path / "net.checkpoint"))
    with pytest.raises(Terminated):
        trainer(noisy, on=on_disk(), **dials).train_many([kept])
    for on in (pictures(), on_disk()):  # where examples stay may change
        done = trainer(noisy, on=on, **dials).train_many([kept])[0]
        assert same(done.final, whole.final)
        assert done.metrics == whole.metrics
    assert visits[0] > 4


@pytest.mark.slow
def test_a_run_by_snip_and_its_evaluation_and_analysis_are_the_same(window):
    window(2)
    runs = [
        kt.prune(flattened, on, "snip", levels=1, train="6it", batch_size=8, jit="off", seed=2)
        for on in (pictures(), on_disk())
    ]
    whole, streamed = (run.tickets[-1] for run in runs)
    assert streamed.digest == whole.digest
    facts = [kt.evaluate(whole, on, batch_size=5) for on in (pictures(), on_disk())]
    assert facts[0] == facts[1]
    assert facts[0]["examples"] == 23  # four batches and a part of one
    first, second = (analyze("connectivity", whole, data=on) for on in (pictures(), on_disk()))
    assert first == second


def test_batches_to_score_on_are_the_same():
    one, two = (Batches(on.train, 8, seed=1, step=2, stratified=True)[1] for on in (pictures(), on_disk()))
    np.testing.assert_array_equal(one[0], two[0], strict=True)
    np.testing.assert_array_equal(one[1], two[1])


@pytest.mark.slow
def test_several_inputs_of_which_one_is_on_disk(window):
    window(2)
    x, y = data().train
    one, two = x[:, :2], generator("two").normal(size=(40, 3)).astype("float32")

    def build():
        a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
        joined = layers.Concatenate()([layers.Dense(4)(a), layers.Dense(4)(b)])
        model = keras.Model({"a": a, "b": b}, layers.Dense(3)(joined))
        model.compile(loss=keras.losses.get(CROSS_ENTROPY), metrics=["accuracy"])
        return model

    def made(second):
        split = {"a": one, "b": second}, y, np.linspace(0, 1, 40)
        return Data("several", split, split, split, CROSS_ENTROPY, ("accuracy",), classes=3)

    model = build()
    tickets = [
        kt.prune(model, made(second), levels=1, train="7it", batch_size=8, jit="off").tickets[-1]
        for second in (two, StreamedArray.written([two], "float32", "x"))
    ]
    assert tickets[0].digest == tickets[1].digest
    facts = [kt.evaluate(tickets[0], made(second)) for second in (two, StreamedArray(two))]
    assert facts[0] == facts[1]


def test_several_devices_are_refused_at_once():
    import tensorflow as tf

    layout = Layout.of(tf.distribute.OneDeviceStrategy("/cpu:0"))
    with pytest.raises(
        RecipeError, match=r"must be trained on with strategy=default. Received: pictures with"
    ):
        trainer(flattened, on=on_disk(), layout=layout)
