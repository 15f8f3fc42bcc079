"""Layers are asked which axis of which weight is a unit's. Expected axes are those of Keras's documentation."""

import keras
import pytest
from keras import layers

from kerastickets.layers import Dense as MaskAwareDense
from kerastickets.models.masking import weight_reports
from kerastickets.models.units import model_units

IMAGE, STEPS, TOKENS = (6, 6, 3), (5, 4), (4,)
#: A layer, its input, and for its kernels the axes of their units.
KNOWN = {
    "dense": (layers.Dense(3), STEPS, {"kernel": [1]}),
    "square dense": (layers.Dense(4), STEPS, {"kernel": [1]}),
    "mask-aware": (MaskAwareDense(4), STEPS, {"kernel": [1]}),
    "conv 1d": (layers.Conv1D(4, 2), STEPS, {"kernel": [2]}),
    "grouped": (layers.Conv2D(6, 2, groups=3), IMAGE, {"kernel": [3]}),
    "transposed": (layers.Conv2DTranspose(3, 2), IMAGE, {"kernel": [2]}),
    "separable": (layers.SeparableConv2D(3, 2), IMAGE, {"pointwise_kernel": [3]}),
    "embedding": (layers.Embedding(4, 4), TOKENS, {"embeddings": [1]}),
    "einsum": (layers.EinsumDense("abc,dc->abd", (5, 4)), STEPS, {"kernel": [0]}),
    "lstm": (layers.LSTM(4), STEPS, {"kernel": [1], "recurrent_kernel": [0, 1]}),
    "conv lstm": (layers.ConvLSTM2D(3, 2), (2, *IMAGE), {"kernel": [3], "recurrent_kernel": [2, 3]}),
    "each step": (layers.TimeDistributed(layers.Dense(4)), STEPS, {"kernel": [1]}),
}


def units_of(layer, shape, calls=1):
    x = keras.Input(shape)
    model = keras.Model(x, layer(*[x] * calls))
    return model_units(model, [entry.key for entry in weight_reports(model) if entry.masked])


@pytest.mark.parametrize("name", KNOWN)
def test_the_axes_of_units(name):
    layer, shape, axes = KNOWN[name]
    (found,) = units_of(layer, shape).layers
    kernels = {key.rpartition("/")[2]: [axis.axis for axis in own] for key, own in found.axes.items()}
    kernels.pop("bias", None)
    assert kernels == axes


def test_gates_lie_side_by_side():
    (found,) = units_of(layers.GRU(2), STEPS).layers
    assert found.stateful
    assert found.axes["gru/gru_cell/bias"][0].units.tolist() == [0, 1, 0, 1, 0, 1]
    assert [axis.units.tolist() for axis in found.axes["gru/gru_cell/recurrent_kernel"]] == [
        [0, 1],
        [0, 1, 0, 1, 0, 1],
    ]


def test_both_directions_have_their_units():
    found = units_of(layers.Bidirectional(layers.LSTM(3)), STEPS).layers
    assert [(units.layer.split("/")[1], units.count) for units in found] == [
        ("forward_lstm", 3),
        ("backward_lstm", 3),
    ]


def test_query_heads_go_with_the_key_head_that_serves_them():
    (found,) = units_of(layers.GroupQueryAttention(3, 4, 2), STEPS, calls=2).layers
    name = "grouped_query_attention"
    assert (found.count, found.channels) == (2, False)
    assert found.axes[f"{name}/query/kernel"][0].units.tolist() == [0, 0, 1, 1]
    assert found.axes[f"{name}/key/kernel"][0].units.tolist() == [0, 1]
    assert [axis.axis for axis in found.axes[f"{name}/attention_output/kernel"]] == [0]


@pytest.mark.parametrize(
    ("layer", "key"),
    [
        (layers.DepthwiseConv2D(2), "depthwise_conv2d/kernel"),
        (layers.DepthwiseConv2D(2, depth_multiplier=2), "depthwise_conv2d/kernel"),
        (layers.SeparableConv2D(3, 2), "separable_conv2d/depthwise_kernel"),
    ],
)
def test_a_depthwise_kernel_follows_the_channels_of_its_input(layer, key):
    assert units_of(layer, IMAGE).followers == {key: 2}


def test_two_new_axes_are_no_units():
    found = units_of(layers.EinsumDense("abc,cde->abde", (5, 3, 2)), STEPS)
    assert found.layers == ()
    assert [*found.unknown] == ["einsum_dense/kernel"]


@keras.saving.register_keras_serializable("test_units")
class Attention(layers.Layer):
    """Heads that share the width of the input, as many models have them."""

    def __init__(self, num_heads, **given):
        super().__init__(**given)
        self.num_heads = num_heads

    def build(self, shape):
        width = shape[-1] // self.num_heads
        for part in ("query", "key", "value"):
            weight = self.add_weight(shape=(shape[-1], self.num_heads, width), name=f"{part}_kernel")
            setattr(self, part, weight)
        self.out = self.add_weight(shape=(self.num_heads, width, shape[-1]), name="out_kernel")

    def call(self, x):
        q, k, v = (keras.ops.einsum("btd,dhk->bthk", x, part) for part in (self.query, self.key, self.value))
        share = keras.ops.softmax(keras.ops.einsum("bthk,bshk->bhts", q, k))
        mixed = keras.ops.einsum("bhts,bshk->bthk", share, v)
        return keras.ops.einsum("bthk,hkd->btd", mixed, self.out)

    def get_config(self):
        return super().get_config() | {"num_heads": self.num_heads}


def test_heads_of_an_attention_of_your_own():
    (found,) = units_of(Attention(2), STEPS).layers
    assert found.count == 2
    assert {key: [axis.axis for axis in axes] for key, axes in found.axes.items()} == {
        "attention/query_kernel": [1],
        "attention/key_kernel": [1],
        "attention/value_kernel": [1],
        "attention/out_kernel": [0],
    }
