"""What cannot be followed is named, and what may look alike is told apart."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets import Data, Ticket, TicketError, registry
from kerastickets.models.architecture import architecture
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import snapshot
from kerastickets.structure.reachability import Structure
from tests.helpers import nets


def ticket(model, **masks):
    """Of the model as it is, all kept but what `masks` say."""
    weights = snapshot(model)
    kept = {entry.key: np.ones(entry.shape, bool) for entry in weight_reports(model) if entry.masked}
    return Ticket(architecture(model), kept | masks, {"init": weights})


def through(shape, *some):
    return keras.Sequential([keras.Input(shape), *some, layers.Dense(2)])


def called(shape, function):
    x = keras.Input(shape)
    return keras.Model(x, layers.Dense(2)(function(x)))


@keras.saving.register_keras_serializable("tests")
class Dense(layers.Dense):
    """Called as Keras's own, but each unit takes all others' sum as well."""

    def call(self, x, training=None):
        y = super().call(x, training=training)
        return y + keras.ops.sum(y, -1, keepdims=True)


@keras.saving.register_keras_serializable("tests")
def tanh(x):
    return keras.ops.tanh(x) * keras.ops.mean(x, -1, keepdims=True)


FIRST = {"data_format": "channels_first"}


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (lambda: through((5, 4), layers.LSTM(3)), "'lstm', a LSTM"),
        (lambda: through((5, 4), layers.Bidirectional(layers.GRU(3))), "'bidirectional', a Bidirectional"),
        (lambda: called((5, 4), lambda x: layers.MultiHeadAttention(2, 3)(x, x)), "a MultiHeadAttention"),
        (nets.attention, "'embedding', a Embedding"),
        (lambda: through((4,), layers.LayerNormalization()), "'layer_normalization', a LayerNormalization"),
        (lambda: through((8, 8, 4), layers.GroupNormalization(2)), "'group_normalization', a GroupNorm"),
        (lambda: through((4,), layers.UnitNormalization()), "'unit_normalization', a UnitNormalization"),
        (lambda: through((12,), layers.Reshape((3, 4))), "'reshape', a Reshape: it moves values between ch"),
        (lambda: through((3, 4), layers.Permute((2, 1))), "'permute', a Permute"),
        (lambda: through((4,), layers.RepeatVector(3)), "'repeat_vector', a RepeatVector"),
        (lambda: through((4, 4, 2), layers.Flatten(**FIRST)), "'flatten', a Flatten: its channels are not"),
        (
            lambda: through((2, 4, 4), layers.Conv2D(3, 2, **FIRST)),
            "'conv2d', a Conv2D: its channels are not",
        ),
        (
            lambda: through((2, 4, 4), layers.MaxPooling2D(2, **FIRST)),
            "'max_pooling2d', a MaxPooling2D: its ch",
        ),
        (lambda: through((4, 4, 2), layers.BatchNormalization(1)), "it normalises axis 1"),
        (lambda: through((4,), layers.EinsumDense("ab,bc->ac", 3)), "'einsum_dense', a EinsumDense"),
        (
            lambda: called((4,), lambda x: layers.Multiply()([x, layers.Dense(4)(x)])),
            "'multiply', a Multiply",
        ),
        (lambda: called((4,), lambda x: x * layers.Dense(4)(x)), "'multiply', a ops.Multiply"),
        (lambda: called((3,), lambda x: x * np.array([1, 0, 1], "float32")), "by an array of numbers"),
        (lambda: called((3,), lambda x: keras.ops.sum(x, -1, keepdims=True)), "'sum', a ops.Sum"),
        (lambda: called((3, 4), lambda x: layers.Concatenate(1)([x, x])), "it concatenates along axis 1"),
        (lambda: called((3, 4), lambda x: keras.ops.concatenate([x, x], 1)), "it concatenates along axis 1"),
        (
            lambda: called((4,), lambda x: layers.Add()([x, layers.Dense(1)(x)])),
            r"tensors of \[1, 4\] channels",
        ),
        (lambda: through((4,), layers.Dense(4, "glu"), layers.Dense(2)), "its activation glu may join"),
        (lambda: through((4,), layers.Dense(4, tanh)), "its activation tests>tanh may join"),
        (lambda: through((4,), Dense(4)), "'dense', a tests>Dense"),
        (nets.custom, "'scaled', a tests>Scaled"),
        (nets.pictures, "'conv_lstm2d', a ConvLSTM2D"),
        (nets.subclassed, "Received: WithConfig. A subclassed model"),
        (nets.opaque, "Received: a ticket without one, as a subclassed model"),
    ],
)
def test_what_cannot_be_followed_is_named(model, named):
    with pytest.raises(TicketError, match=named):
        Structure.of(ticket(model()))


@pytest.mark.parametrize(
    "softmax",
    [
        layers.Softmax,
        lambda: layers.Activation("log_softmax"),
        lambda: layers.Dense(3, activation="softmax"),
        lambda: layers.Dense(3, activation="sparsemax"),
        lambda: layers.Dense(3, activation=layers.Softmax()),
    ],
)
def test_a_softmax_is_followed_at_the_end_only(softmax):
    last, inner = softmax(), softmax()
    Structure.of(ticket(keras.Sequential([keras.Input((4,)), layers.Dense(3), last])))
    with pytest.raises(TicketError, match=f"Received: '{inner.name.rsplit('_', 1)[0]}.*feeds 'dense"):
        Structure.of(ticket(through((4,), layers.Dense(3), inner, layers.Dropout(0.1))))


def test_a_softmax_of_channels_feeds_no_convolution():
    some = [layers.Conv2D(3, 2, activation="softmax"), layers.DepthwiseConv2D(2, activation="softmax")]
    for one in some:
        with pytest.raises(TicketError, match="softmax can be followed at the end"):
            Structure.of(ticket(through((4, 4, 2), one, layers.Conv2D(2, 2))))


def test_masks_of_what_leads_nowhere():
    model = through((4,), layers.BatchNormalization())
    biased = ticket(model, **{"dense/bias": np.array([True, False])})
    assert [row["key"] for row in Structure.of(biased).facts()["layers"]] == ["dense/kernel"]
    scaled = ticket(model, **{"batch_normalization/gamma": np.array([True, False, True, True])})
    with pytest.raises(TicketError, match="Received: a mask of batch_normalization/gamma"):
        Structure.of(scaled)


def test_operators_take_no_name_from_a_layer():
    x = keras.Input((3,))
    _ = x + x  # so that the name Keras makes up for the next one is past `add`
    h = x + layers.Dense(3, name="add")(x)
    model = keras.Model(x, layers.Dense(2, name="add_1")(h))
    assert list(Structure.of(ticket(model)).weights) == ["add/kernel", "add_1/kernel"]


def test_an_input_without_a_size_is_refused():
    of_any_size = through((None, None, 3), layers.Conv2D(2, 2), layers.GlobalMaxPooling2D())
    Structure.of(ticket(of_any_size))
    layer = layers.Dense(2)
    x = keras.Input((2, 3))
    plain = ticket(keras.Model(x, layer(layers.Flatten()(x))))
    unsized = json.loads(json.dumps(dict(plain.architecture)))
    unsized["config"]["layers"][0]["config"]["batch_shape"][1] = None
    with pytest.raises(TicketError, match=r"known shape.*Received: \(None, 3\)"):
        Structure.of(plain.replace(architecture=unsized))


MODELS = ("conv-2", "conv-4", "conv-6", "lenet-300-100", "lenet-5", "mlp", "resnet-20", "vgg-19")


@pytest.mark.parametrize("name", MODELS)
def test_models_of_the_library_are_followed(name):
    x, y = np.zeros((10, 16, 16, 3)), np.arange(10)
    data = Data("images", (x, y), (x, y), (x, y), "mse", (), classes=10)
    options = {"width": 4} if name == "vgg-19" else {}
    whole = ticket(registry.create("models", name, options)(data))
    facts = Structure.of(whole).facts()
    assert facts["totals"] == {"active": whole.total, "inactive": 0, "zombie": 0, "pruned": 0}
    assert {row["key"] for row in facts["layers"]} == set(whole.masks)


def test_every_model_of_the_library_is_asked_about():
    assert set(MODELS) <= set(registry.names("models"))
