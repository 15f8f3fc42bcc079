"""Tickets of models whose layers or classes make variables from values, have tables, or tie weights, can be built."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.errors import AlignError, TicketError
from kerastickets.models.architecture import faithful_architecture
from kerastickets.models.proof import example_batch, outputs
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.untrusted import rebuild_untrusted
from kerastickets.models.variables import snapshot
from kerastickets.tickets.ticket import Ticket


class CompilesItself(keras.Model):
    """As tasks of keras-hub do: it compiles itself in `__init__`, and here also builds its optimizer."""

    def __init__(self, units=3, **options):
        inputs = keras.Input((4,))
        super().__init__(inputs, layers.Dense(units)(inputs), **options)
        self.units = units
        optimizer = keras.optimizers.Adam(1e-3)
        self.compile(optimizer, "mse", metrics=["mae"])
        optimizer.build(self.trainable_variables)

    def get_config(self):
        return {"units": self.units, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


class Computes(layers.Dense):
    """It looks at values while it is built, which a graph does not have."""

    def build(self, shape):
        super().build(shape)
        self.scale = float(keras.ops.sqrt(4.0))


OWN = {"CompilesItself": CompilesItself, "Computes": Computes}


def sequential(*parts, shape=(4,), dtype="float32", batch=None):
    return keras.Sequential([keras.Input(shape, batch, dtype), *parts])


def learned(layer, data):
    layer.adapt(data)
    return layer


def embedded(lookup, shape=(4,), dtype="int64"):
    return sequential(
        lookup, layers.Embedding(9, 3), layers.Flatten(), layers.Dense(2), shape=shape, dtype=dtype
    )


def replaced():
    lookup = layers.IntegerLookup(vocabulary=[3, 5])
    lookup.set_vocabulary([0, 1, 5])
    return embedded(lookup)


MODELS = {
    "compiles itself": CompilesItself,
    "computes": lambda: sequential(Computes(2)),
    "stateful LSTM": lambda: sequential(layers.LSTM(8, stateful=True), shape=(5, 3), batch=20),
    "stateful GRU": lambda: sequential(
        layers.Bidirectional(layers.GRU(8, stateful=True)), layers.Dense(2), shape=(5, 3), batch=20
    ),
    "numbers given": lambda: embedded(layers.IntegerLookup(vocabulary=[0, 1, 7])),
    "numbers learned": lambda: embedded(learned(layers.IntegerLookup(), np.array([1, 1, 0]))),
    "numbers replaced": replaced,
    "numbers as bits": lambda: sequential(
        layers.IntegerLookup(vocabulary=[0, 5], output_mode="multi_hot"), layers.Dense(2), dtype="int64"
    ),
    "words": lambda: embedded(layers.StringLookup(vocabulary=["a", "the"]), dtype="string"),
    "texts": lambda: embedded(
        learned(layers.TextVectorization(output_sequence_length=4), ["a the", "a"]), shape=(), dtype="string"
    ),
    "texts weighted": lambda: sequential(
        learned(layers.TextVectorization(output_mode="tf_idf"), ["a the", "a"]),
        layers.Dense(2),
        shape=(),
        dtype="string",
    ),
    "hashes": lambda: embedded(layers.Hashing(9)),
    "LayerScale": lambda: sequential(
        layers.Conv2D(4, 1), keras.src.applications.convnext.LayerScale(0.5, 4), shape=(6, 6, 3)
    ),
    "reversible": lambda: sequential(layers.ReversibleEmbedding(7, 3), dtype="int32"),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_model_of_a_ticket_computes_what_the_live_model_computes(name):
    model = MODELS[name]()
    masks = {entry.key: np.ones(entry.shape, bool) for entry in weight_reports(model) if entry.masked}
    ticket = Ticket(faithful_architecture(model, OWN), masks, {"init": snapshot(model)}, {})
    again = Ticket(*ticket.__reduce__()[1]).build(OWN)
    batch = example_batch(model)
    for ours, theirs in zip(outputs(again, batch), outputs(model, batch), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_vocabulary_learned_from_data_stands_in_the_architecture():
    config = faithful_architecture(MODELS["numbers learned"]())["config"]["layers"][1]["config"]
    assert config["vocabulary"] == [1, 0]  # the most frequent first
    config = faithful_architecture(MODELS["texts weighted"]())["config"]["layers"][1]["config"]
    assert config["vocabulary"] == ["a", "the"]
    # log(1 + documents / (1 + documents with the word)), as Keras documents it
    np.testing.assert_allclose(config["idf_weights"], [np.log(1 + 2 / 3), np.log(1 + 2 / 2)], rtol=1e-6)


def test_the_limit_holds_for_models_whose_variables_come_from_values():
    config = faithful_architecture(MODELS["stateful LSTM"]())
    weights = 3 * 32 + 8 * 32 + 32
    rebuild_untrusted(config, weights)
    with pytest.raises(TicketError, match=f"at most the {weights - 1} values stored. Received: {weights}"):
        rebuild_untrusted(config, weights - 1)


def test_state_that_is_no_weight_is_bounded_as_well():
    huge = faithful_architecture(MODELS["stateful LSTM"]())
    huge["config"]["layers"][0]["config"]["batch_shape"] = [10**13, 5, 3]
    # Two states of 8 for each example, which would need 640 TB, and two numbers that are a seed.
    with pytest.raises(TicketError, match=f"Received: {2 * 8 * 10**13 + 384 + 2}"):
        rebuild_untrusted(huge, 384)


# Tied weights


def tied_afterwards():
    first, second = layers.Dense(4), layers.Dense(4)
    model = sequential(first, second)
    second._trainable_variables[0] = first.kernel
    object.__setattr__(second, "_kernel", first.kernel)
    return model


def tied_besides():
    first, second = layers.Dense(4), layers.Dense(4)
    model = sequential(first, second)
    second._tracker.unlock()
    second._kernel = first.kernel
    return model


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (tied_afterwards, "The model has dense_1/kernel. Received: no such key"),
        (tied_besides, r"must be one in the model .* dense/kernel and dense_1/kernel_1, which are tied"),
    ],
)
def test_weights_tied_from_outside_are_refused(make, said):
    with pytest.raises(AlignError, match=said):
        faithful_architecture(make())


class Tied(keras.Model):
    """Ties the weights of its layers itself, so that every copy does."""

    def __init__(self, **options):
        super().__init__(**options)
        self.there, self.back = layers.Dense(3, use_bias=False), Back()

    def build(self, shape):
        self.there.build(shape)
        self.back.kernel = self.there.kernel
        self.built = True

    def call(self, x):
        return self.back(self.there(x))

    def get_config(self):
        return {"name": self.name}


class Back(keras.Layer):
    def call(self, x):
        return x @ keras.ops.transpose(self.kernel)


def test_weights_tied_by_their_class_are_rebuilt_as_one_variable():
    model = Tied(name="tied")
    model.build((None, 4))
    model(np.ones((1, 4), "float32"))
    config = faithful_architecture(model, {"Tied": Tied})
    ticket = Ticket(config, {"dense/kernel": np.eye(4, 3) > 0}, {"init": snapshot(model)}, {})
    twin = ticket.build({"Tied": Tied})
    assert twin.back.kernel is twin.there.kernel
    kernel = model.there.kernel.numpy() * np.eye(4, 3)
    np.testing.assert_allclose(twin(np.eye(4)), kernel @ kernel.T, rtol=1e-5)
