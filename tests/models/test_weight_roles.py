import keras
import pytest
from keras import layers

from kerastickets import layers as kt
from kerastickets.errors import RecipeError
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.weight_roles import kinds, output_keys
from tests.helpers import nets


def prunable(model):
    return [entry.key for entry in weight_reports(model) if entry.masked]


def outputs(model, *without):
    return output_keys(model, [key for key in prunable(model) if key not in without])


def functional(make, shape=(4,)):
    x = keras.Input(shape)
    return keras.Model(x, make(x))


def test_sequential():
    assert outputs(nets.plain()) == {"dense_1/kernel"}


def test_layers_without_prunable_weights_are_looked_through():
    tail = [layers.BatchNormalization(), layers.Dropout(0.1), layers.Activation("relu"), layers.Softmax()]
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.Dense(3), *tail])
    assert outputs(model) == {"dense_1/kernel"}
    assert outputs(model, "dense_1/kernel") == {"dense/kernel"}
    assert outputs(model, "dense/kernel", "dense_1/kernel") == set()


def test_functional_with_two_outputs():
    model = nets.two_outputs()
    assert sorted(outputs(model)) == ["dense_2/kernel", "dense_3/kernel"]


def test_an_addition_passes_both_of_its_sides_on():
    def make(x):
        h = layers.Dense(4)(x)
        return h + layers.Dense(4)(keras.ops.relu(h)) * 0.5

    # The first reaches the sum beside the second, and through it.
    assert outputs(functional(make)) == {"dense/kernel", "dense_1/kernel"}
    assert outputs(nets.residual()) == {"dense_2/kernel"}


def test_concatenated_branches():
    model = nets.branched()
    assert len(outputs(model)) == 1
    branches = functional(lambda x: layers.Concatenate()([layers.Dense(2)(x), layers.Dense(3)(x), x]))
    assert outputs(branches) == {"dense/kernel", "dense_1/kernel"}


def test_nested_models_are_entered():
    head = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.Dense(3)])
    model = functional(lambda x: head(layers.Dense(4)(x)))
    assert outputs(model) == {"sequential/dense_1/kernel"}
    assert outputs(nets.nested()) == {"dense_1/kernel"}
    # With the outer head out of the way, the last of the nested model is next.
    assert outputs(nets.nested(), "dense_1/kernel") == {"sequential/dense/kernel"}


def test_a_nested_model_that_lets_its_input_through():
    y = keras.Input((4,))
    skip = keras.Model(y, y + layers.Dense(4)(y))
    model = functional(lambda x: skip(layers.Dense(4)(x)))
    assert outputs(model) == {"functional/dense/kernel", "dense/kernel"}
    plain = keras.Sequential([keras.Input((4,)), layers.ReLU()])
    assert outputs(functional(lambda x: plain(layers.Dense(4)(x)))) == {"dense/kernel"}


def test_a_nested_model_with_two_inputs_passes_each_on_to_its_own():
    a, b = keras.Input((4,)), keras.Input((4,))
    mixed = keras.Model([a, b], a + layers.Dense(4, name="inner")(b))
    model = functional(lambda x: mixed([layers.Dense(4, name="left")(x), layers.Dense(4, name="right")(x)]))
    assert outputs(model) == {"functional/inner/kernel", "left/kernel"}


def test_only_the_output_of_a_nested_model_that_is_used_counts():
    y = keras.Input((4,))
    two = keras.Model(y, [layers.Dense(4, name="a")(y), layers.Dense(4, name="b")(y)])
    assert outputs(functional(lambda x: two(x)[1])) == {"functional/b/kernel"}


def test_a_shared_layer_and_a_shared_model():
    def make(x):
        dense = layers.Dense(4)
        return dense(dense(x))

    assert outputs(functional(make)) == {"dense/kernel"}
    assert outputs(nets.shared()) == {"dense_1/kernel"}
    assert outputs(nets.shared(), "dense_1/kernel") == {"sequential/dense/kernel"}


def test_layers_made_of_layers_count_as_a_whole():
    recurrent = functional(
        lambda x: layers.Bidirectional(layers.GRU(2))(layers.LSTM(3, return_sequences=True)(x)), (5, 4)
    )
    assert outputs(recurrent) == {
        f"bidirectional/{way}_gru/gru_cell/{name}"
        for way in ("forward", "backward")
        for name in ("kernel", "recurrent_kernel")
    }
    attention = functional(lambda x: layers.MultiHeadAttention(2, 3)(x, x), (5, 4))
    assert len(outputs(attention)) == 4


def test_mask_aware_layers():
    model = keras.Sequential([keras.Input((4,)), kt.Dense(5), kt.Dense(3)])
    assert outputs(model) == {"dense_1/kernel"}


@pytest.mark.parametrize("build", [nets.subclassed, nets.opaque], ids=lambda build: build.__name__)
def test_a_subclassed_model_has_no_graph_to_follow(build):
    with pytest.raises(RecipeError, match=r"Received: (WithConfig|Opaque). Give the rate by key"):
        outputs(build())


def test_kinds():
    model = nets.convolutional()
    assert kinds(model, prunable(model)) == {
        "conv2d/kernel": "conv",
        "depthwise_conv2d/kernel": "conv",
        "separable_conv2d/depthwise_kernel": "conv",
        "separable_conv2d/pointwise_kernel": "conv",
        "dense/kernel": "dense",
    }
    other = kinds(nets.attention(), prunable(nets.attention()))
    assert other["embedding/embeddings"] == "other"
    assert other["multi_head_attention/query/kernel"] == "dense"
    assert kinds(nets.recurrent(), ["lstm/lstm_cell/kernel"]) == {"lstm/lstm_cell/kernel": "other"}
    masked = keras.Sequential([keras.Input((8, 8, 1)), kt.Conv2D(2, 3), layers.Flatten(), kt.Dense(3)])
    assert kinds(masked, prunable(masked)) == {"conv2d/kernel": "conv", "dense/kernel": "dense"}
