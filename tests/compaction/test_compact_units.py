"""Compaction takes away what pruning by channels prunes: heads, recurrent units, transposed channels, gated channels.

Sizes are worked out by hand; what the smaller model computes is compared with the masked one.
"""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.compaction.compact_model import compact
from kerastickets.errors import RecipeError
from kerastickets.models.variables import assign, snapshot, variables
from tests.helpers import compactnets, unitnets

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_units_that_pruning_takes_are_taken_away": ("simple rnn", "lstm"),
}


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def input_of(model, rng, batch=5):
    shape = (batch, *(size or 4 for size in model.input_shape[1:]))
    embeds = any("embeddings" in key for key in variables(model))
    return rng.integers(0, 9, shape) if embeds else rng.normal(size=shape).astype("float32")


def sizes(found):
    return {row["layer"]: (row["before"], row["after"]) for row in found.facts["layers"]}


def check_same(model, found, rng):
    x = input_of(model, rng)
    expected = outputs(model, x)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(outputs(found.model, x), expected, atol=1e-5 * np.abs(expected).max())


def drawn(model, rng, density=1.0):
    """Draw all weights, biases included."""
    compactnets.prune(model, density, rng)
    return snapshot(model)


#: By hand: what is left of each layer if half of the weights of layers that go together are pruned.
HALVED = {
    "autoencoder": {
        "conv2d": (4, 2),
        "conv2d_transpose": (4, 2),
        "conv2d_transpose_1": (4, 2),
        "conv2d_1": (1, 1),
    },
    "attention": {
        "dense": (6, 6),
        "multi_head_attention": (4, 2),
        "dense_1": (8, 4),
        "dense_2": (6, 6),
        "dense_3": (2, 2),
    },
    "grouped attention": {"grouped_query_attention": (2, 1), "dense": (2, 2)},
    "lstm": {"lstm": (4, 2), "lstm_1": (6, 3), "dense": (2, 2)},
    "gru": {"gru": (4, 2), "gru_1": (6, 3), "dense": (2, 2)},
    "simple rnn": {"simple_rnn": (4, 2), "simple_rnn_1": (6, 3), "dense": (2, 2)},
    "residual": {"conv2d": (6, 3), "conv2d_1": (4, 2), "conv2d_2": (6, 3), "dense": (2, 2)},
    "separable": {
        "conv2d": (6, 3),
        "separable_conv2d": (4, 2),
        "conv2d_1": (2, 1),
        "conv2d_2": (4, 2),
        "dense": (2, 2),
    },
}


@pytest.mark.parametrize("name", unitnets.NETS)
@pytest.mark.filterwarnings("ignore:Channels of")
def test_units_that_pruning_takes_are_taken_away(name):
    model, masks = unitnets.halved(name)
    assign(model, {key: value * masks.get(key, 1) for key, value in snapshot(model).items()})
    found = compact(model)
    assert sizes(found) == HALVED[name]
    check_same(model, found, np.random.default_rng(0))


#: Other nets, and the residual one, whose constants meet padding, are fast; the halved nets above have been compared.
QUICK = {(name, 1) for name in (*unitnets.FURTHER, "residual", "lstm")}


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        pytest.param(name, seed, marks=() if (name, seed) in QUICK else pytest.mark.slow)
        for name in (*unitnets.NETS, *unitnets.FURTHER)
        for seed in range(12)
    ],
)
def test_masked_and_compacted_compute_the_same(name, seed):
    """Whole units, single weights, biases or none: whatever is 0, both compute the same."""
    build, units = unitnets.NETS.get(name) or (unitnets.FURTHER[name], list)
    model, rng = build(), np.random.default_rng(seed)
    weights = drawn(model, rng, float(rng.choice([1.0, 0.8, 0.5])))
    for unit in (unit for layer in units() for unit in layer if rng.random() < 0.4):
        for key, place in unit:
            if rng.random() < 0.9 or not key.endswith("bias"):
                weights[key][place] = 0
    for key in weights if seed % 2 else ():
        if key.endswith(("kernel", "embeddings")) and not units():
            weights[key][..., rng.random(weights[key].shape[-1]) < 0.3] = 0
        if key.endswith("bias"):
            weights[key] *= rng.random(weights[key].shape) < 0.5
    assign(model, weights)
    check_same(model, compact(model), rng)


def test_two_recurrent_layers_are_as_small_as_they_are_by_hand():
    model, rng = unitnets.NETS["lstm"][0](), np.random.default_rng(0)
    weights, units = drawn(model, rng), unitnets.NETS["lstm"][1]()
    for unit in [*units[0][:2], *units[1][:3]]:
        for key, place in unit:
            weights[key][place] = 0
    assign(model, weights)
    found = compact(model)
    # 4 gates of 3 + 2 + 1 weights for each of 2 units, then of 2 + 3 + 1 for each of 3, then 3 + 1 for each of 2.
    assert found.facts["weights_after"] == 48 + 72 + 8
    small = found.model.layers[1].get_weights()
    columns = [2, 3, 6, 7, 10, 11, 14, 15]
    np.testing.assert_array_equal(small[0], weights["lstm/lstm_cell/kernel"][:, columns])
    np.testing.assert_array_equal(small[1], weights["lstm/lstm_cell/recurrent_kernel"][2:, columns])
    check_same(model, found, rng)


@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU, layers.SimpleRNN])
@pytest.mark.parametrize("use_bias", [True, False])
def test_a_constant_goes_into_the_bias_of_a_recurrent_layer(layer, use_bias):
    x = keras.Input((4, 2))
    h = layers.Dense(3, activation="relu")(x)
    model = keras.Model(x, layers.Dense(2)(layer(2, use_bias=use_bias)(h)))
    weights = drawn(model, rng := np.random.default_rng(1))
    weights["dense/kernel"][:, 1:] = 0
    weights["dense/bias"][:] = 0.3, 2.0, -1.0  # so that the second neuron is always 2, and the third 0
    assign(model, weights)
    found = compact(model)
    assert sizes(found)["dense"] == (3, 1)
    check_same(model, found, rng)


def test_a_recurrent_unit_whose_state_others_take_stays_and_is_named():
    x = keras.Input((4, 2))
    model = keras.Model(x, layers.Dense(2)(layers.SimpleRNN(3)(x)))
    weights = drawn(model, rng := np.random.default_rng(0))
    weights["simple_rnn/simple_rnn_cell/kernel"][:, 0] = 0
    weights["simple_rnn/simple_rnn_cell/recurrent_kernel"][:, 0] = 0  # but its row stays
    assign(model, weights)
    found = compact(model)
    assert sizes(found)["simple_rnn"] == (3, 3)
    assert found.facts["kept"] == {"simple_rnn (SimpleRNN): constant units inside": 1}
    check_same(model, found, rng)


def test_a_gated_channel_goes_with_its_gate():
    x = keras.Input((4, 4, 2))
    h = layers.Conv2D(3, 1, activation="relu")(x)
    g = layers.Dense(3, activation="sigmoid")(layers.GlobalAveragePooling2D()(h))
    h = layers.Multiply()([h, layers.Reshape((1, 1, 3))(g)])
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(h)))
    weights = drawn(model, rng := np.random.default_rng(0))
    weights["conv2d/kernel"][..., :2] = 0
    weights["conv2d/bias"][:] = -1.0, 0.5, 0.1
    assign(model, weights)
    found = compact(model)
    # The first channel is always 0. The second is always 0.5, but its gate varies.
    assert sizes(found) == {"conv2d": (3, 2), "dense": (3, 2), "dense_1": (2, 2)}
    assert found.model.get_layer("reshape").target_shape == (1, 1, 2)
    check_same(model, found, rng)


def test_a_head_that_is_constant_but_needed_stays_and_is_named():
    x = keras.Input((3, 4))
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(layers.MultiHeadAttention(2, 3)(x, x))))
    weights = drawn(model, rng := np.random.default_rng(0))
    weights["multi_head_attention/value/kernel"][:, 0] = 0
    assign(model, weights)
    found = compact(model)
    assert sizes(found)["multi_head_attention"] == (2, 2)
    assert found.facts["kept"] == {"multi_head_attention (MultiHeadAttention): constant units inside": 1}
    weights["multi_head_attention/attention_output/kernel"][0] = 0
    assign(model, weights)
    found = compact(model)
    # By hand: a head of width 3 has 3 x (4 + 1) weights for each of query, key and value, and 3 x 4 for the output.
    assert found.facts["weights_before"] - found.facts["weights_after"] == 3 * 15 + 12
    check_same(model, found, rng)


def test_features_of_an_embedding_go():
    model = unitnets.embedded()
    weights = drawn(model, rng := np.random.default_rng(0))
    weights["embedding/embeddings"][:, [1, 4]] = 0
    assign(model, weights)
    found = compact(model)
    assert sizes(found)["embedding"] == (5, 3)
    assert found.model.get_layer("lstm").get_weights()[0].shape == (3, 16)
    check_same(model, found, rng)


@pytest.mark.parametrize("ends", ["lstm", "average"])
def test_what_a_mask_leaves_out_is_no_constant(ends):
    """How many steps an LSTM or a mean counts depends on the input, also if no value does."""
    x = keras.Input((4,))
    h = layers.Dense(3, activation="relu")(layers.Embedding(9, 2, mask_zero=True)(x))
    h = layers.LSTM(3)(h) if ends == "lstm" else layers.GlobalAveragePooling1D()(h)
    model = keras.Model(x, layers.Dense(2)(h))
    weights = drawn(model, np.random.default_rng(0))
    for key in ("lstm/lstm_cell/kernel", "dense/kernel"):
        weights.get(key, np.zeros(1))[:] = 0
    assign(model, weights)
    found = compact(model)
    assert any("it leaves steps out" in reason for reason in found.facts["kept"])
    for tokens in ([[0, 0, 0, 3]], [[1, 2, 3, 4]]):
        np.testing.assert_allclose(
            outputs(found.model, np.array(tokens)), outputs(model, np.array(tokens)), rtol=1e-5
        )


def test_a_state_that_lasts_depends_on_the_number_of_steps():
    x = keras.Input((None, 2))
    model = keras.Model(x, layers.Dense(2)(layers.LSTM(3)(x)))
    weights = drawn(model, np.random.default_rng(0))
    for name in ("kernel", "recurrent_kernel"):
        weights[f"lstm/lstm_cell/{name}"][:, [1, 4, 7, 10]] = 0
    weights["lstm/lstm_cell/recurrent_kernel"][1] = 0
    assign(model, weights)
    found = compact(model, example=np.zeros((1, 5, 2)))
    assert "lstm (LSTM): constants that depend on the size of the input" in found.facts["kept"]
    for steps in (1, 7):
        x = np.random.default_rng(steps).normal(size=(2, steps, 2)).astype("float32")
        np.testing.assert_allclose(outputs(found.model, x), outputs(model, x), rtol=1e-4)


def test_an_example_shows_open_sizes():
    @keras.saving.register_keras_serializable("test_compact_units")
    class UpTo7(layers.Layer):
        """Refuses more than 7 steps (every size that `open_size` tries), as embeddings of positions do."""

        def call(self, x):
            if x.shape[1] is not None and x.shape[1] > 7:
                raise ValueError("too long")
            return x

    x = keras.Input((None, 3))
    h = UpTo7()(layers.Dense(4, activation="relu")(layers.Dense(5, activation="relu")(x)))
    model = keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(h)))
    weights = drawn(model, rng := np.random.default_rng(0))
    weights["dense/kernel"][:, 0] = 0
    assign(model, weights)
    with pytest.raises(ValueError, match="too long"):
        compact(model)
    found = compact(model, example=np.zeros((2, 6, 3)))
    assert sizes(found)["dense"] == (5, 4)
    # By hand: 6 steps of 3 x 4 + 4 x 4 multiply-adds, and 4 x 2 at the end.
    assert found.facts["multiply_adds"]["executed"] == 6 * (12 + 16) + 8
    check_same(model, found, rng)
    with pytest.raises(RecipeError, match="one array for each input"):
        compact(model, example=np.zeros((2, 6, 4)))
