"""A trained model cut once and in place: masks by hand, what is left alone, and a model unchanged by an error."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerastickets as kt
from kerastickets.callbacks import PruneDuringTraining
from kerastickets.errors import DataError, LayerCollapseError, PluginError, RecipeError
from kerastickets.models.variables import snapshot
from tests.helpers import nets
from tests.helpers.training import same


def two():
    """3 -> 2 -> 1 without biases: magnitudes 1 to 6 and 10, 20, signs mixed."""
    bias = {"use_bias": False}
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, **bias), layers.Dense(1, **bias)])
    model.set_weights([np.array([[1.0, -2.0], [3.0, -4.0], [5.0, 6.0]]), np.array([[-10.0], [20.0]])])
    return model


def kept(model):
    return {key: mask.astype(int).tolist() for key, mask in kt.masks_of(model).items()}


def test_the_lowest_magnitudes_of_the_whole_model_go():
    model = two()
    assert kt.cut_model(model, 0.5) is model
    assert kept(model) == {"dense/kernel": [[0, 0], [0, 0], [1, 1]], "dense_1/kernel": [[1], [1]]}
    assert model.get_weights()[0].tolist() == [[0, 0], [0, 0], [5, 6]]
    assert model.get_weights()[1].tolist() == [[-10], [20]]


def test_by_layer_every_layer_has_the_same_density():
    assert kept(kt.cut_model(two(), 0.5, scope="layer")) == {
        "dense/kernel": [[0, 0], [0, 1], [1, 1]],
        "dense_1/kernel": [[0], [1]],
    }


def test_masks_that_the_model_holds_are_respected_and_count():
    model = two()
    kt.sparsify(model, {"dense/kernel": np.array([[1, 1], [1, 1], [0, 0]], bool)})
    # 2 of 8 are pruned; 0.5 prunes 1 and -2 besides, and what was pruned does not return.
    kt.cut_model(model, 0.5)
    assert kept(model)["dense/kernel"] == [[0, 0], [1, 1], [0, 0]]
    kt.cut_model(model, 0.75, allow_collapse=True)
    assert kept(model) == {"dense/kernel": [[0, 0], [0, 0], [0, 0]], "dense_1/kernel": [[1], [1]]}
    with pytest.raises(RecipeError, match=r"in \[1, 2\], the weights that are left. Received: sparsity=0.5"):
        kt.cut_model(model, 0.5)


def test_a_bias_that_was_masked_before_goes_on_being_pruned():
    model = nets.plain()
    model.layers[1].bias.assign([1e-9, 5.0, 6.0])
    kt.sparsify(model, {"dense_1/bias": np.array([1, 1, 0], bool)})
    kt.cut_model(model, 0.5)
    assert kept(model)["dense_1/bias"] == [0, 1, 0]
    assert sum(map(np.sum, kept(model).values())) == round((24 + 18 + 3) / 2)


def test_frozen_layers_are_left_alone_unless_a_pattern_names_them():
    model = two()
    model.layers[0].trainable = False
    kt.cut_model(model, 0.5)
    assert kept(model) == {"dense_1/kernel": [[0], [1]]}
    kt.cut_model(model, 0.5, only=["dense"])
    assert kept(model) == {"dense_1/kernel": [[0], [1]], "dense/kernel": [[0, 0], [0, 1], [1, 1]]}
    other = two()
    other.layers[0].trainable = False
    kt.cut_model(other, 0.5, include=["dense/kernel"])
    assert kept(other) == {"dense/kernel": [[0, 0], [0, 0], [1, 1]], "dense_1/kernel": [[1], [1]]}


def test_a_frozen_layer_keeps_the_mask_that_it_has():
    model = kt.cut_model(two(), 0.5, only=["dense"])
    model.layers[0].trainable = False
    kt.cut_model(model, 0.5)
    assert kept(model) == {"dense/kernel": [[0, 0], [0, 1], [1, 1]], "dense_1/kernel": [[0], [1]]}


def test_patterns_choose_a_part_of_the_model():
    model = keras.Sequential([keras.Input((4,)), nets.plain(), layers.Dense(2, name="head")])
    kt.cut_model(model, 0.5, only=["sequential/*"], exclude=["*/dense_1"])
    assert {key: int(np.sum(mask)) for key, mask in kept(model).items()} == {"sequential/dense/kernel": 12}
    model.layers[1].bias.assign([0.0, 9.0])
    kt.cut_model(model, 0.5, only=["head"], include=["head/bias"])
    # Of the head's 6 weights and 2 biases the half stay, and a bias of 9 is one of them.
    assert (int(np.sum(kept(model)["head/kernel"])), kept(model)["head/bias"]) == (3, [0, 1])


def test_training_keeps_the_zeros():
    model = nets.plain()
    model.compile(keras.optimizers.Adam(0.1, weight_decay=0.1), "mse")
    x = np.ones((8, 4), "float32")
    model.fit(x, x[:, :3], verbose=0)  # Adam has moments, and fit has traced its step
    kt.cut_model(model, 0.8)
    before = snapshot(model)
    model.fit(x, x[:, :3], epochs=2, verbose=0)
    for key, mask in kt.masks_of(model).items():
        now = snapshot(model)[key]
        assert not now[~mask].any()
        assert (now[mask] != before[key][mask]).any()
    assert sum(int(mask.sum()) for mask in kt.masks_of(model).values()) == round(42 * 0.2)


X = np.array([[1.0, 0.0], [1.0, 2.0]], "float32")
Y = np.array([[1.0], [1.0]], "float32")


def regression():
    """y = 2 a + 0.1 b, whose inputs are as above: by magnitude b goes, by SNIP a."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[1.0], [0.1]])])
    model.compile("sgd", "mse")
    return model


FORMS = {
    "arrays": (X, Y),
    "weighted": (X, Y, np.ones(2, "float32")),
    "batches": tf.data.Dataset.from_tensor_slices((X, Y)).batch(1),
    "splits": {"train": (X, Y), "test": (X[:1], Y[:1])},
    "data": kt.Data("two", (X, Y), (X, Y), (X, Y), loss="mse", metrics=(), classes=None),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_criterion_scores_on_any_form_of_data(form):
    """Errors are 0 and 0.2: dL/da = (0 * 1 + 0.2 * 1) = 0.2, dL/db = (0 + 0.2 * 2) = 0.4; times 1 and 0.1: a stays."""
    assert kept(kt.cut_model(regression(), 0.5, criterion="snip", data=FORMS[form])) == {
        "dense/kernel": [[1], [0]]
    }
    swapped = (X, np.array([[3.0], [1.2]], "float32"))
    # Errors are -2 and 0: dL/db = 0, so a stays again; with errors 0 and 0 at a, b would.
    assert kept(kt.cut_model(regression(), 0.5, criterion="snip", data=swapped))["dense/kernel"] == [[1], [0]]
    only_b = (np.array([[0.0, 2.0]], "float32"), Y[:1])
    assert kept(kt.cut_model(regression(), 0.5, criterion="snip", data=only_b))["dense/kernel"] == [[0], [1]]


def test_the_callback_scores_on_the_same_forms():
    model = regression()
    prune = PruneDuringTraining("snip", {0: 0.5}, data=FORMS["batches"])
    model.fit(X, Y, verbose=0, callbacks=[prune])
    assert kept(model) == {"dense/kernel": [[1], [0]]}


def test_random_needs_neither_data_nor_a_loss():
    masks = [kept(kt.cut_model(nets.plain(), 0.5, criterion="random", seed=seed)) for seed in (0, 0, 1)]
    assert masks[0] == masks[1] != masks[2]
    assert sum(map(np.sum, masks[0].values())) == 21


def test_channels_go_whole_and_the_output_layer_stays():
    model = two()
    # Neuron sums are 9 and 12: the first goes with its three weights, half of the six.
    kt.cut_model(model, 0.5, granularity="channel")
    assert kept(model) == {"dense/kernel": [[0, 1], [0, 1], [0, 1]]}
    assert [layer["after"] for layer in kt.compact(model).facts["layers"]] == [1, 1]


def test_recurrent_units_go_with_their_biases():
    model = keras.Sequential([keras.Input((5, 3)), layers.LSTM(2), layers.Dense(2)])
    lstm = model.layers[0].cell
    lstm.kernel.assign(np.tile([[1.0, 2.0]], (3, 4)))
    lstm.recurrent_kernel.assign(np.zeros((2, 8)))
    kt.cut_model(model, 0.5, granularity="channel")
    masks = kt.masks_of(model)
    assert masks["lstm/lstm_cell/bias"].tolist() == [False, True] * 4
    assert masks["lstm/lstm_cell/kernel"].all(0).tolist() == [False, True] * 4
    assert masks["lstm/lstm_cell/recurrent_kernel"].astype(int).tolist() == [[0] * 8, [0, 1] * 4]


def test_a_subclassed_model_is_cut_by_weight():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(4), layers.Dense(2)

        def call(self, x):
            return self.two(self.one(x))

    model = Own()
    with pytest.raises(RecipeError, match="must be built"):
        kt.cut_model(model, 0.5)
    model(np.ones((1, 3)))
    kt.cut_model(model, 0.5)
    assert sum(map(np.sum, kept(model).values())) == 10
    with pytest.raises(RecipeError, match="Which layers give the outputs"):
        kt.cut_model(model, 0.5, granularity="channel")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"sparsity": 1.0}, RecipeError, r"sparsity must be in \[0, 1\)"),
        ({"sparsity": "half"}, RecipeError, r"sparsity must be in \[0, 1\). Received: sparsity='half'"),
        ({"sparsity": 0.99}, RecipeError, "a target of 0"),
        ({"scope": "all"}, RecipeError, "scope must be"),
        ({"granularity": "filter"}, RecipeError, "`granularity` must be one of weight, channel"),
        ({"criterion": "snop"}, PluginError, "Did you mean 'snip'"),
        ({"criterion": "snip"}, RecipeError, "This criterion scores on data. Received: none."),
        ({"criterion": "snip", "data": 5}, DataError, "The data to score on must be"),
        ({"criterion": "snip", "data": {"test": (X, Y)}}, DataError, "the split `train`"),
        (
            {"criterion": "snip", "data": (X, np.ones((2, 3)))},
            DataError,
            r"labels \(3,\) of data to score on",
        ),
        ({"criterion": "snip", "data": (np.ones((2, 5)), Y)}, DataError, "must take inputs"),
        ({"batch_size": 0}, RecipeError, "`batch_size` must be"),
        ({"only": ["head"]}, RecipeError, "Expected a pattern that matches a weight. Received: 'head'"),
        ({"exclude": ["*"]}, RecipeError, "There must be a prunable weight"),
        ({"sparsity": 0.8}, LayerCollapseError, "dense/kernel"),
    ],
)
def test_an_error_leaves_the_model_as_it_was(arguments, error, match):
    model = two() if arguments.get("sparsity") == 0.8 else regression()
    before = snapshot(model)
    with pytest.raises(error, match=match):
        kt.cut_model(model, **({"sparsity": 0.5} | arguments))
    assert kt.masks_of(model) == {}
    assert same(snapshot(model), before)


def test_what_is_no_live_model_or_has_no_loss():
    with pytest.raises(RecipeError, match=r"must be a live Keras model. Received: str. Load a file by"):
        kt.cut_model("net.keras", 0.5)
    with pytest.raises(RecipeError, match="scores by the loss that a model is compiled with"):
        kt.cut_model(nets.plain(), 0.5, criterion="snip", data=(np.ones((4, 4)), np.ones(4)))


def test_an_excluded_mask_of_the_trained_model_stays_in_a_winning_ticket():
    model, copy = two(), two()
    mask = np.array([[1, 1], [1, 1], [1, 0]], bool)
    kt.sparsify(model, {"dense/kernel": mask})
    ticket = kt.winning_ticket(model, copy, 0.5, exclude=["dense/kernel"])
    assert ticket.masks["dense/kernel"].tolist() == mask.tolist()
    assert ticket.masks["dense_1/kernel"].tolist() == [[False], [True]]
