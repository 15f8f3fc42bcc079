"""A model rebuilt from its config and its weights computes what the original computes, or it is refused by name."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.errors import AlignError
from kerastickets.models.architecture import faithful_architecture, rebuild
from kerastickets.models.derived_state import derive
from kerastickets.models.proof import check_copy, example_batch, outputs
from kerastickets.models.variables import assign, snapshot
from kerastickets.pruning.prune_model import prune
from kerastickets.training.evaluate_ticket import evaluate
from kerastickets.training.train_ticket import train
from kerastickets.training.trainer_cache import TrainerCache


def data(shift=1000.0, n=200):
    x = np.random.default_rng(0).normal(shift, 5, (n, 3)).astype("float32")
    y = (x[:, 0] > shift).astype("int64")
    halves = ((x[: n // 2], y[: n // 2]), (x[n // 2 :], y[n // 2 :]))
    return Data("d", halves[0], halves[1], halves[1], CROSS_ENTROPY, ("accuracy",), 2)


def normalised(shift=1000.0):
    layer = layers.Normalization()
    layer.adapt(data(shift).train[0])
    return keras.Sequential([keras.Input((3,)), layer, layers.Dense(2)])


def first(model, on, **more):
    return prune(model, on, levels=1, rate=0.1, train="1it", batch_size=20, jit="off", **more)


def test_what_a_layer_derives_from_its_weights_is_in_the_ticket():
    model, x = normalised(), data().test[0]
    ticket = first(model, data()).tickets[0]
    built = ticket.replace(provenance=dict(ticket.provenance) | {"start": "init"}).build()
    assert (np.asarray(built(x)) == np.asarray(model(x))).all()


def test_a_run_that_keeps_its_state_derives_before_it_compiles(tmp_path):
    model = normalised()
    kept, plain = (first(model, data(), **more) for more in ({"out": tmp_path / "run"}, {}))
    assert [row["val_loss"] for row in kept.rows] == [row["val_loss"] for row in plain.rows]
    assert kept.rows[0]["val_loss"] < 10  # not that of inputs of a thousand


@pytest.mark.slow
def test_what_is_derived_is_traced_again_for_other_weights():
    """Two tickets of one architecture share a compiled trainer; each normalises by its own mean."""
    cache = TrainerCache()
    near, far = (first(normalised(shift), data(shift)).tickets[0] for shift in (0.0, 1000.0))
    alone = [evaluate(far, data(1000.0)), train(far, data(1000.0), train="4it").metrics]
    on = data(1000.0)
    evaluate(near, on, trainers=cache)
    train(near, on, train="4it", trainers=cache)
    assert [evaluate(far, on, trainers=cache), train(far, on, train="4it", trainers=cache).metrics] == alone


class Factor(layers.Layer):
    """A user's own layer: a factor that it makes from its weight when it is loaded."""

    def build(self, shape):
        self.raw = self.add_weight(name="raw", shape=(shape[-1],), initializer="random_normal")
        self.factor = keras.ops.exp(self.raw.value)

    def call(self, x):
        return x * self.factor

    def load_own_variables(self, store):
        super().load_own_variables(store)
        self.factor = keras.ops.exp(self.raw.value)


class Hidden(layers.Layer):
    """A layer whose state is nowhere but in the live object."""

    def build(self, shape):
        self.table = np.random.normal(size=shape[-1]).astype("float32")

    def call(self, x):
        return x * self.table


class Sampling(layers.Layer):
    def __init__(self, **more):
        super().__init__(**more)
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, x):
        return x + keras.random.normal((2, 3), seed=self.seed_generator)


def words(layer, values):
    layer.adapt(values)
    return layer


def structured():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    return keras.Model(
        {"a": a, "b": b}, {"y": layers.Dense(2)(layers.Concatenate()([a, b])), "z": layers.Dense(1)(a)}
    )


def sequential(*parts, shape=(4,), dtype="float32", batch=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype, batch_size=batch), *parts])


MODELS = {
    "an own layer that derives": lambda: sequential(Factor(), layers.Dense(2)),
    "samples": lambda: sequential(layers.Dense(3), Sampling()),
    "stateful": lambda: sequential(layers.LSTM(4, stateful=True), layers.Dense(1), shape=(5, 3), batch=4),
    "tokens of any length": lambda: sequential(
        layers.Embedding(9, 4), layers.GlobalAveragePooling1D(), shape=(None,), dtype="int32"
    ),
    "inputs and outputs by name": structured,
    "words": lambda: sequential(
        words(layers.StringLookup(), ["a", "the", "ticket"]),
        layers.Embedding(9, 2),
        shape=(1,),
        dtype="string",
    ),
    "numbers": lambda: sequential(
        words(layers.IntegerLookup(), np.array([3, 5, 0])), layers.Embedding(9, 2), shape=(1,), dtype="int64"
    ),
    "texts": lambda: sequential(
        words(layers.TextVectorization(output_sequence_length=4), ["a the lottery", "ticket"]),
        layers.Embedding(9, 2),
        shape=(),
        dtype="string",
    ),
    "bins": lambda: sequential(
        words(layers.Discretization(num_bins=4), np.linspace(-1, 1, 50)), layers.Dense(2), shape=(1,)
    ),
    "spectral": lambda: sequential(layers.SpectralNormalization(layers.Dense(3))),
    "images of any size": lambda: sequential(
        layers.Conv2D(2, 3), layers.GlobalMaxPooling2D(), shape=(None, None, 3)
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_copy_computes_the_same_and_the_original_is_not_changed(kind):
    model = MODELS[kind]()
    before = [np.asarray(variable.value) for variable in model.variables]
    config = faithful_architecture(model)
    assert config
    assert all((a == np.asarray(b.value)).all() for a, b in zip(before, model.variables, strict=True))
    twin = rebuild(config, {"Factor": Factor, "Sampling": Sampling})
    assign(twin, snapshot(model))
    if kind != "samples":
        batch = example_batch(model)
        for one, other in zip(outputs(model, batch), outputs(twin, batch), strict=True):
            assert one.tobytes() == other.tobytes()


def test_hidden_state_is_refused_and_its_layer_named():
    model = sequential(layers.Dense(3), Hidden(name="mine"), layers.Dense(2))
    with pytest.raises(AlignError, match="Received: other outputs, first in the layer 'mine'"):
        faithful_architecture(model)


def test_a_copy_that_cannot_compute_is_refused():
    class Broken(layers.Layer):
        def call(self, x):
            if hasattr(x, "numpy") and not hasattr(self, "table"):
                raise KeyError("no table")
            return x * getattr(self, "table", 1.0)

    model, twin = sequential(Broken()), sequential(Broken())
    model.layers[0].table = 2.0
    with pytest.raises(AlignError, match="Received: KeyError"):
        check_copy(model, twin)


def test_a_digest_tells_when_derived_state_changed():
    assert derive(iter(sequential(layers.Dense(2)).layers)) == ""
    model = normalised()
    one = assign(model, snapshot(model))
    assert one == assign(model, snapshot(model)) != ""
    assert assign(model, snapshot(model) | {"normalization/mean": np.zeros(3, "float32")}) != one
