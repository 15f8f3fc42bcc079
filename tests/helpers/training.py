"""A net that trains in a fraction of a second, its data, and what tests of training compare."""

import hashlib
from functools import cache

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.foundations.tree import generator
from kerastickets.models.initial_weights import fresh
from kerastickets.models.variables import snapshot
from kerastickets.pruning.prune_model import prune
from kerastickets.training.recipe import Recipe
from kerastickets.training.trainer import Trainer

KEYS = ("dense/kernel", "dense_1/kernel")


def plain():
    return keras.Sequential([keras.Input((4,)), layers.Dense(8, activation="tanh"), layers.Dense(3)])


def noisy():
    """BatchNormalization and Dropout: statistics and random state beside the weights."""
    net = [layers.Dense(8), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.3), layers.Dense(3)]
    return keras.Sequential([keras.Input((4,)), *net])


@cache
def data(count=40):
    """Five steps of eight an epoch; learnable, but not in a few steps."""
    x = generator("training", count).normal(size=(count, 4)).astype("float32")
    y = np.arange(count) % 3
    x[np.arange(count), y] += 2
    return Data("toy", (x, y), (x[:17], y[:17]), (x[17:], y[17:]), CROSS_ENTROPY, ("accuracy",), classes=3)


def flattened():
    """`plain` on images of four pixels."""
    net = [layers.Flatten(), layers.Dense(8, activation="tanh"), layers.Dense(3)]
    return keras.Sequential([keras.Input((2, 2, 1)), *net])


@cache
def pictures():
    """`data` as images of four pixels."""
    whole = data()
    splits = ((x.reshape(-1, 2, 2, 1), y) for x, y in (whole.train, whole.validation, whole.test))
    return Data("pictures", *splits, CROSS_ENTROPY, ("accuracy",), classes=3)


def recipe(**dials):
    return Recipe(**({"train": "2ep", "batch_size": 8, "lr": 0.01, "jit": "off"} | dials))


def trainer(build=plain, *, on=None, **dials):
    extra = {name: dials.pop(name) for name in ("frozen", "callbacks", "layout", "teacher") if name in dials}
    return Trainer(build, on or data(), recipe(**dials), KEYS, **extra)


def cosine(**dials):
    """A recipe whose learning rate falls all along."""
    return {"lr_schedule": "cosine", "optimizer": "sgd", "momentum": 0.9, "lr": 0.1, **dials}


def start(build=plain, seed=0):
    return snapshot(fresh(build, seed))


def masks(seed=0):
    shapes = {"dense/kernel": (4, 8), "dense_1/kernel": (8, 3)}
    return {key: generator("masks", seed, key).random(shape) < 0.6 for key, shape in shapes.items()}


def ones():
    return {key: np.ones_like(mask) for key, mask in masks().items()}


def digest(tree):
    return hashlib.sha256(b"".join(tree[key].tobytes() for key in sorted(tree))).hexdigest()


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


#: A short recipe for whole runs; callers change what they are about.
DIALS = {"train": "2ep", "batch_size": 8, "jit": "off", "lr": 0.01}


def find(model=plain, criterion="magnitude", **dials):
    return prune(model, data(), criterion, **(DIALS | dials))


class Doubled(keras.Model):
    """A user's own model whose `train_step` doubles the loss and counts its calls."""

    def __init__(self):
        super().__init__()
        self.dense, self.dense_1 = layers.Dense(8, activation="tanh"), layers.Dense(3)
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        return self.dense_1(self.dense(x))

    def train_step(self, batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = 2 * self.compute_loss(x, y, self(x, training=True))
        trainable = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, trainable), trainable)
        self.steps.assign_add(1)
        return self.compute_metrics(x, y, self(x))


def doubled():
    model = Doubled()
    model(np.zeros((1, 4), "float32"))
    return model


def stream(seed):
    """Batches of eight, their order keyed by (seed, epoch), half of an epoch's batches augmented."""
    x, y = data().train
    order = tf.data.Dataset.range(1 << 40).map(
        lambda epoch: tf.random.experimental.stateless_shuffle(tf.range(40), seed=(seed, epoch))
    )
    rows = order.unbatch().batch(8, drop_remainder=True)
    return rows.map(lambda rows: (tf.gather(x, rows), tf.gather(y, rows)))


def piped(batches=stream):
    whole = data()
    splits = (whole.train, whole.validation, whole.test)
    return Data("piped", *splits, CROSS_ENTROPY, ("accuracy",), classes=3, batches=batches)
