"""Augmentation against NumPy, and what keys it: data seed and step, never the level, XLA or a pause."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerastickets as kt
from kerastickets.data.augmentation import Augmentation
from kerastickets.data.dataset import CROSS_ENTROPY, Data, Task
from kerastickets.errors import RecipeError
from kerastickets.models.variables import snapshot
from kerastickets.training.trainer import Trainer
from tests.helpers import training

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_equal_runs_give_equal_bytes_and_augmentation_matters": ("dense-on",),
}


ALL = {"dense/kernel": np.ones((27, 3), bool)}


def images(count=6, side=4, channels=2):
    return np.arange(1, 1 + count * side * side * channels, dtype=np.float32).reshape(
        count, side, side, channels
    )


def augmented(text, x, seed=0, step=0, **part):
    key = tf.constant(Augmentation.key(seed))
    return np.asarray(Augmentation.parse(text)(tf.constant(x), key, tf.constant(step), **part))


def crops(image, pad):
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    height, width, _ = image.shape
    ends = range(2 * pad + 1)
    return {padded[a : a + height, b : b + width].tobytes(): (a, b) for a in ends for b in ends}


def data(count=40):
    one = training.data(count)
    pictures = [(np.repeat(x, 9, 1).reshape(-1, 4, 3, 3)[:, :3], y) for x, y in _splits(one)]
    return Data("pictures", *pictures, CROSS_ENTROPY, ("accuracy",), classes=3)


def _splits(one):
    return one.train, one.validation, one.test


def dense():
    return keras.Sequential([keras.Input((3, 3, 3)), layers.Flatten(), layers.Dense(3)])


def convolutional():
    return keras.Sequential([keras.Input((3, 3, 3)), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(3)])


def find(model=dense, **dials):
    return kt.prune(model, data(), **(training.DIALS | {"augment": "flip+crop:1"} | dials))


def trainer(**dials):
    return Trainer(dense, data(), training.recipe(optimizer="sgd", **dials), ["dense/kernel"])


def test_texts():
    assert [Augmentation.parse(text).steps for text in ("none", "flip", "crop:12", "crop:2+flip")] == [
        (),
        (0,),
        (12,),
        (2, 0),
    ]


@pytest.mark.parametrize(
    "text", [None, "", "flip+flip", "crop", "crop:0", "crop:-1", "crop:2+crop:3", "flips", 4]
)
def test_other_texts_are_refused(text):
    with pytest.raises(RecipeError, match=r"`augment` must be none, flip, crop:4 .* Received: augment="):
        Augmentation.parse(text)


def test_a_flip_mirrors_some_images_and_leaves_the_others():
    x = images(100)
    y = augmented("flip", x)
    flipped = [np.array_equal(b, a[:, ::-1]) for a, b in zip(x, y, strict=True)]
    assert [np.array_equal(b, a) for a, b in zip(x, y, strict=True)] == [not f for f in flipped]
    assert 35 <= sum(flipped) <= 65


def test_a_crop_is_one_of_the_windows_of_the_padded_image_each_about_as_often():
    x = images(900)
    found = [crops(a, 1)[b.tobytes()] for a, b in zip(x, augmented("crop:1", x), strict=True)]
    counts = np.unique(found, axis=0, return_counts=True)[1]
    assert len(counts) == 9
    assert counts.min() > 60  # of 100 on average


def test_seed_and_step_choose_and_nothing_else():
    x = images()
    one = augmented("flip+crop:2", x, seed=3, step=5)
    assert np.array_equal(one, augmented("flip+crop:2", x, seed=3, step=5))
    assert not np.array_equal(one, augmented("flip+crop:2", x, seed=3, step=6))
    assert not np.array_equal(one, augmented("flip+crop:2", x, seed=4, step=5))


def test_parts_of_a_batch_are_augmented_as_in_the_whole():
    x = images(10)
    whole = augmented("flip+crop:2", x)
    parts = [augmented("flip+crop:2", x[at : at + 5], batch=10, at=at) for at in (0, 5)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_xla_gives_the_same_bits():
    x, how = images(), Augmentation.parse("flip+crop:2")
    step = tf.function(how.__call__, jit_compile=True, autograph=False)
    assert np.array_equal(step(tf.constant(x), tf.constant(7), tf.constant(9)), how(tf.constant(x), 7, 9))


@pytest.mark.parametrize(("model", "jit"), [(dense, "off"), (dense, "on"), (convolutional, "auto")])
def test_equal_runs_give_equal_bytes_and_augmentation_matters(model, jit):
    one, two, plain = (
        find(model, jit=jit, levels=1, augment=a) for a in ("flip+crop:1", "flip+crop:1", "none")
    )
    assert [t.digest for t in one.tickets] == [t.digest for t in two.tickets]
    assert not training.same(one.tickets[0].weights("final"), plain.tickets[0].weights("final"))
    # Evaluation sees plain data: before the first step both rows are equal.
    assert {**one.rows[0], "seconds": 0} == {**plain.rows[0], "seconds": 0}
    assert one.tickets[0].provenance["recipe"]["augment"] == "flip+crop:1"


@pytest.mark.slow
def test_a_pause_and_a_rewind_continue_the_same_stream():
    # Plain SGD: a rewound training starts with fresh optimizer slots, which would differ.
    dials = {"levels": 1, "rate": 0.5, "optimizer": "sgd", "lr": 0.1, "keep": "last"}
    paused = find(**dials, rewind_to="3it", snapshot_at=("3it", "7it")).tickets[0]
    assert training.same(find(**dials).tickets[0].weights("final"), paused.weights("final"))
    again = kt.train(paused, data(), start="rewind@3")
    assert training.same(again.ticket.weights("final"), paused.weights("final"))


def test_steps_see_the_images_that_their_keys_say():
    made = trainer(augment="crop:1")
    start = training.start(dense)
    made.load(start, ALL, seed=2)
    made.engine.train(2, 4, 3)  # iterations 4, 5 and 6: the last of epoch 0 and two of epoch 1
    hand = trainer()
    hand.load(start, ALL, seed=2)
    x, y = data().train
    for step in (4, 5, 6):
        epoch, at = divmod(step, 5)
        rows = np.random.default_rng([2, epoch]).permutation(40)[at * 8 : at * 8 + 8]
        hand.model.train_step((augmented("crop:1", x[rows], seed=2, step=step), y[rows]))
    for key, value in snapshot(hand.model).items():
        np.testing.assert_allclose(snapshot(made.model)[key], value, atol=1e-6)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (training.data(), r"Received: data set 'toy' with inputs \(4,\), which are not images"),
        (training.piped(), "not images"),
    ],
)
def test_data_that_cannot_be_augmented_is_refused(made, message):
    with pytest.raises(RecipeError, match=message):
        kt.prune(training.plain, made, **training.DIALS, augment="flip")


def test_tasks_and_pipelines_are_refused():
    split = images(4), np.zeros((4, 2), np.float32)
    tasks = {"left": Task((0,), (0,), "mse"), "right": Task((1,), (1,), "mse")}
    two = Data("two", split, split, split, "mse", (), None, tasks=tasks)
    piped = Data("piped", split, split, split, "mse", (), None, batches=lambda seed: None)
    with pytest.raises(RecipeError, match="tasks left, right, whose pixels have their places"):
        Augmentation.parse("flip").check(two)
    with pytest.raises(RecipeError, match="its own training batches: augment those"):
        Augmentation.parse("flip").check(piped)
    Augmentation.parse("none").check(two)
