"""Data sets and models: each broken promise is caught, odd but good ones pass."""

import itertools

import keras
import numpy as np
import pytest

from kerastickets import testing
from kerastickets.data.dataset import Data
from kerastickets.testing import datasets_and_models as sourcechecks
from tests.helpers.badplugins import plugin, refused

# Data sets


def data(**changes):
    toy = testing.toy_data()
    fields = ("name", "train", "validation", "test", "loss", "metrics", "classes")
    return Data(**{name: getattr(toy, name) for name in fields} | changes)


def batches_of(shape, seeded=True):
    import tensorflow as tf

    def batches(seed):
        noise = np.random.default_rng(seed if seeded else None).random((4, *shape), np.float32)
        return tf.data.Dataset.from_tensor_slices((noise, np.arange(4))).batch(2)

    return batches


def with_noise():
    x, y = testing.toy_data().train
    return data(train=(x + np.random.random(x.shape), y))


BAD_DATASETS = {
    "arrays": (lambda: testing.toy_data().train, "must give a kerastickets.Data. Received: tuple"),
    "missing": (lambda: data(train=([], [])), "must load. Received: DataError"),
    "unseeded": (with_noise, "must give equal arrays each time"),
    "validation": (
        lambda: data(validation=tuple(a[:30] for a in testing.toy_data().train)),
        "validation of Bad must not be part of train. Received: 30 of 30 in both",
    ),
    "test": (lambda: data(test=testing.toy_data().validation), "test of Bad must not be part of validation"),
    "loss": (lambda: data(loss="nonsense"), "Keras must know the loss .*nonsense"),
    "metric": (lambda: data(metrics=("nonsense",)), "Keras must know the loss and metrics"),
    "batches": (lambda: data(batches=batches_of((9,))), r"inputs \(8, 8, 1\)\. Received: \(9,\)"),
    "unseeded batches": (lambda: data(batches=batches_of((8, 8, 1), seeded=False)), "equal for equal seeds"),
}


@pytest.mark.parametrize(("call", "message"), BAD_DATASETS.values(), ids=BAD_DATASETS)
def test_a_bad_data_set_is_caught(call, message):
    refused(testing.check_dataset, call, message)


def test_data_sets_with_pipelines_and_targets_pass():
    testing.check_dataset(plugin(lambda: data(batches=batches_of((8, 8, 1)))))
    x, _ = testing.toy_data().train
    parts = {"train": x, "validation": x + 1, "test": x + 2}
    parts = {name: (part, part[:, 0, :2, 0]) for name, part in parts.items()}
    testing.check_dataset(plugin(lambda: data(**parts, loss="mse", metrics=("mae",), classes=None)))


# Models


def net(*body):
    return keras.Sequential([keras.Input((8, 8, 1)), *body, keras.layers.Flatten(), keras.layers.Dense(10)])


class Opinionated(keras.Model):
    def __init__(self, width, units):
        super().__init__()
        self.last = keras.layers.Dense(units)

    def call(self, x):
        return self.last(keras.ops.reshape(x, (-1, 64)))


def drawn_outside_the_seed(data):
    model = net()
    model.layers[-1].bias.assign(np.random.random(10))
    return model


def growing():
    widths = itertools.count(3)
    return lambda data: net(keras.layers.Dense(next(widths)))


def weightless(data):
    layers = keras.layers
    pooled = [
        layers.Reshape((64, 1)),
        layers.AveragePooling1D(6),
        layers.Flatten(),
        layers.BatchNormalization(),
    ]
    return keras.Sequential([keras.Input((8, 8, 1)), *pooled])


BAD_MODELS = {
    "no model": (lambda data: "model", "must build a model. Received: RecipeError"),
    "outputs": (
        lambda data: keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]),
        "have 10 outputs",
    ),
    "no config": (lambda data: Opinionated(3, data.outputs), "must be a model that its own config rebuilds"),
    "unseeded": (drawn_outside_the_seed, "must depend on the seed alone. Received: a changed dense/bias"),
    "growing": (growing(), "must have equal keys and shapes"),
    "nothing to prune": (weightless, "must have a weight to prune"),
}


@pytest.mark.parametrize(("call", "message"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_a_bad_model_is_caught(call, message):
    refused(testing.check_model, call, message)


def test_a_model_with_one_key_for_two_weights_is_caught(monkeypatch):
    walk = sourcechecks.walk
    monkeypatch.setattr(sourcechecks, "walk", lambda model: [*walk(model), *walk(model)])
    refused(testing.check_model, lambda data: net(), "must have a key of its own for each weight")


BAD_RECIPES = {
    "a dial that is none": (
        {"learning_rate": 0.1},
        "must have valid training settings. Received: .*'learning_rate'",
    ),
    "out of range": ({"lr": -1.0}, "must have valid training settings. Received: .*lr=-1"),
    "no such layer": ({"rate": {"conv": 0.1}}, "must fit its weights. Received: .*conv=0.1"),
    "all of it": ({"rate": 1.0}, r"must fit its weights. Received: .*must be in \(0, 1\)"),
    "none of it": ({"rate": {"*": 0.0}}, "must fit its weights"),
}


@pytest.mark.parametrize(("recipe", "message"), BAD_RECIPES.values(), ids=BAD_RECIPES)
def test_a_bad_recipe_is_caught(recipe, message):
    refused(testing.check_model, lambda data: net(), message, recipe=recipe)


def test_models_for_other_data_pass():
    x, y = np.zeros((6, 5), np.float32), np.arange(6) % 2
    table = data(train=(x, y), validation=(x, y), test=(x, y), classes=2)
    dense = keras.layers.Dense

    def small(data):
        return keras.Sequential([keras.Input(data.input_shape), dense(3), dense(data.outputs)])

    recipe = {"lr": 1e-3, "rate": {"dense": 0.2, "output": 0.1, "dense/kernel": 0.0}}
    testing.check_model(plugin(small, recipe=recipe), table)
