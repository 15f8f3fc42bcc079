"""Masks and weights agree, whoever wrote to the weights meanwhile."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import kerastickets as kt
from kerastickets.callbacks import KeepMasks, PruneDuringTraining
from kerastickets.errors import RecipeError
from kerastickets.models.masking import guard, optimizers_of
from kerastickets.models.pruned_weights import held_masks, reconcile

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MASKS = {"dense/kernel": np.arange(40).reshape(10, 4) % 3 > 0}


def points(n=80):
    x = np.random.default_rng(0).normal(size=(n, 10)).astype("float32")
    return x, (x[:, 0] > 0).astype("int64")


def net():
    model = keras.Sequential([keras.Input((10,)), layers.Dense(4, activation="relu"), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.01), LOSS)
    return model


def zeros(model):
    return sum(int((np.asarray(v) == 0).sum()) for v in model.trainable_variables if v.name == "kernel")


class Restored(keras.callbacks.Callback):
    """Restores the weights of the beginning, as `EarlyStopping(restore_best_weights=True)` may."""

    def on_train_begin(self, logs=None):
        self.best = [np.array(value) + 1 for value in self.model.get_weights()]

    def on_train_end(self, logs=None):
        self.model.set_weights(self.best)


@pytest.mark.parametrize("order", [1, -1])
def test_best_weights_that_are_restored_are_pruned(order):
    x, y = points()
    model = net()
    callbacks = [PruneDuringTraining("magnitude", {2: 0.2, 12: 0.75}), Restored()]
    with pytest.warns(RuntimeWarning, match="Something wrote to pruned weights"):  # noqa: PT031
        model.fit(x, y, epochs=3, batch_size=20, verbose=0, callbacks=callbacks[::order])
        masks = kt.masks_of(model)
    assert sum(int((~mask).sum()) for mask in masks.values()) == zeros(model) == 36


def loaded(model, folder):
    dense = net()
    dense.save_weights(folder / "dense.weights.h5")
    model.load_weights(folder / "dense.weights.h5")


def averaged(model, folder):
    optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5)
    optimizer.build(model.trainable_variables)
    for average, variable in zip(
        optimizer._model_variables_moving_average, model.trainable_variables, strict=True
    ):
        average.assign(variable.value + 1)
    optimizer.finalize_variable_values(model.trainable_variables)


@pytest.mark.parametrize("write", [loaded, averaged])
@pytest.mark.parametrize("read", [kt.masks_of, kt.strip, reconcile])
def test_whatever_wrote_to_pruned_weights_is_undone_and_said(tmp_path, write, read):
    model = net()
    kt.sparsify(model, MASKS)
    write(model, tmp_path)
    count = int((~MASKS["dense/kernel"]).sum())
    with pytest.warns(RuntimeWarning, match=rf"{count} of dense/kernel were not zero"):
        read(model)
    assert (np.asarray(model.layers[0].kernel)[~MASKS["dense/kernel"]] == 0).all()


def test_nothing_is_said_where_nothing_was_written():
    model = net()
    kt.sparsify(model, MASKS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert reconcile(model) == {}
        assert (kt.masks_of(model)["dense/kernel"] == MASKS["dense/kernel"]).all()


def test_keep_masks_undoes_what_was_loaded_before_and_during_training(tmp_path):
    x, y = points()
    model = net()
    kt.sparsify(model, MASKS)
    loaded(model, tmp_path)
    with pytest.warns(RuntimeWarning, match="Something wrote"):
        model.fit(x, y, verbose=0, callbacks=[KeepMasks()])
    assert zeros(model) == (~MASKS["dense/kernel"]).sum()


def test_adapters_that_fill_pruned_weights_are_refused():
    model = net()
    kt.sparsify(model, MASKS)
    model.layers[0].enable_lora(2)
    for use in (kt.masks_of, kt.strip, reconcile):
        with pytest.raises(
            RecipeError, match="dense/kernel alone, but the layer adds a product of LoRA matrices"
        ):
            use(model)


class TwoOptimizers(keras.Model):
    """A model whose `train_step` has two optimizers of its own, as a GAN has."""

    def __init__(self):
        super().__init__()
        self.one, self.two = layers.Dense(4), layers.Dense(2)
        self.first, self.second = keras.optimizers.Adam(0.01), [keras.optimizers.SGD(0.1)]

    def build(self, shape):
        self.one.build(shape)
        self.two.build((None, 4))

    def call(self, x):
        return self.two(self.one(x))

    def train_step(self, batch):
        import tensorflow as tf

        x, y = batch
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_mean(LOSS(y, self(x)))
        for optimizer, layer in ((self.first, self.one), (self.second[0], self.two)):
            optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
        return {"loss": loss}


def test_every_optimizer_of_a_model_is_guarded_and_its_batches_are_counted():
    x, y = points()
    model = TwoOptimizers()
    model.build((None, 10))
    model.compile(loss=LOSS)
    assert [model.first, model.second[0]] == optimizers_of(model)[-2:]
    model.fit(
        x, y, batch_size=20, epochs=2, verbose=0, callbacks=[PruneDuringTraining("magnitude", {3: 0.5})]
    )
    masks = held_masks(model)
    assert sum(int((~mask).sum()) for mask in masks.values()) == zeros(model) == 24
    assert not guard(model.first)
    assert not guard(model.second[0])
    moments = model.first._momentums[0]
    assert reconcile(model) == {}
    assert np.asarray(moments).shape == (10, 4)


@pytest.mark.parametrize("execution", [1, 3])
def test_batches_are_counted_over_epochs_and_executions(execution):
    x, y = points()
    model = net()
    model.compile("adam", LOSS, steps_per_execution=execution)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(sum(int((~mask).sum()) for mask in held_masks(self.model).values()))

    callbacks = [PruneDuringTraining("magnitude", {4: 0.25, 8: 0.5}), Watch()]
    model.fit(x, y, batch_size=20, epochs=3, verbose=0, callbacks=callbacks)
    assert seen == [12, 24, 24]


def test_a_schedule_that_was_not_reached_is_said():
    x, y = points()
    model = net()
    with pytest.warns(
        RuntimeWarning, match=r"ended after 4 batches, before the schedule's last step, 9: 25\.0% .* not 50"
    ):
        model.fit(
            x, y, batch_size=20, verbose=0, callbacks=[PruneDuringTraining("magnitude", {2: 0.25, 9: 0.5})]
        )


def test_two_losses_are_no_matter():
    x, y = points()
    inputs = keras.Input((10,))
    model = keras.Model(inputs, [layers.Dense(2, name="a")(inputs), layers.Dense(1, name="b")(inputs)])
    model.compile("adam", [LOSS, "mse"])
    given = {"x": x, "y": [y, x[:, :1]], "batch_size": 20, "verbose": 0}
    model.fit(**given, callbacks=[PruneDuringTraining("magnitude", {2: 0.5})])
    assert zeros(model) == 15
    with pytest.raises(RecipeError, match="must have the structure that `fit` takes"):
        model.fit(**given, callbacks=[PruneDuringTraining("snip", {2: 0.6}, data=(x, y))])
    model.fit(**given, callbacks=[PruneDuringTraining("snip", {2: 0.6}, data=(x, given["y"]))])
    assert zeros(model) == 18
