"""Compacted models compute what masked ones do, and are as small as the structure analysis says they can be.

The mistakes that other systems make here: constants of BatchNormalization and biases, which are not even where they
meet padding, are forgotten; shortcuts, concatenation, flattening, depthwise and grouped convolutions break; a layer
that loses all its channels crashes.
"""

import functools

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from keras import layers

from kerastickets import CROSS_ENTROPY, Data, Ticket, TicketError, compact, registry, sparsify
from kerastickets.layers import Dense as MaskAwareDense
from kerastickets.models.architecture import architecture
from kerastickets.models.variables import assign, snapshot, variables
from kerastickets.structure.reachability import Structure
from tests.helpers import compactnets, zoo

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_masked_and_compacted_compute_the_same": ("*-float32",),
}


quick = functools.partial(settings, deadline=None, derandomize=True, database=None)
NETS = {
    (form, dtype): build(dtype)
    for form, build in compactnets.FORMS.items()
    for dtype in ("float32", "float64")
}
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
DENSITIES = (0.5, 0.1, 0.01)


def difference(model, small, rng, batch=6):
    """The largest difference of two models' outputs, as a share of the largest output."""
    given = [
        rng.normal(size=(batch, *(size or 12 for size in one.shape[1:]))).astype(one.dtype)
        for one in model.inputs
    ]
    given = given[0] if len(given) == 1 else given
    pairs = zip(*(keras.tree.flatten(net(given, training=False)) for net in (model, small)), strict=True)
    found = [(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)) for a, b in pairs]
    return max(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30) for a, b in found)


def before_and_after(compacted):
    return {row["layer"]: (row["before"], row["after"]) for row in compacted.facts["layers"]}


@pytest.mark.parametrize(("form", "dtype"), NETS)
@given(st.data())
@quick(max_examples=3)
def test_masked_and_compacted_compute_the_same(form, dtype, data):
    model = NETS[form, dtype]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    keys = [key for key, value in snapshot(model).items() if value.ndim > 1]
    density = st.sampled_from((*DENSITIES, 0.0, 1.0))
    several = st.fixed_dictionaries(
        dict.fromkeys(keys, density)
    )  # a layer nearly empty between full ones, too
    densities = data.draw(st.sampled_from(DENSITIES) | several)
    compactnets.prune(model, densities, rng, whole=data.draw(st.sampled_from((0.0, 0.3))))
    found = compact(model)
    assert difference(model, found.model, rng) <= TOLERANCE[dtype]
    assert found.model.input_shape == model.input_shape
    assert found.model.output_shape == model.output_shape
    assert all(min(variable.shape, default=1) > 0 for variable in found.model.weights)


@pytest.mark.slow
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize(
    "name", ["lenet-5", "conv-2", "conv-4", "conv-6", "resnet-20", "vgg-19", "krizhevsky-lrn"]
)
def test_registered_models_in_full_size(name, density):
    x = np.zeros((10, 32, 32, 3), "float32")
    data = Data("sized", *[(x, np.arange(10))] * 3, loss=CROSS_ENTROPY, metrics=(), classes=10)
    model, rng = registry.create("models", name)(data), np.random.default_rng(0)
    compactnets.prune(model, density, rng, whole=0.3, gain=1.0)
    found = compact(model)
    assert difference(model, found.model, rng) <= 1e-5
    assert found.facts["weights_after"] < found.facts["weights_before"]


@pytest.mark.parametrize("form", zoo.FORMS)
def test_forms_that_structure_is_followed_through(form):
    model, _ = zoo.built(form)
    rng = np.random.default_rng(7)
    compactnets.prune(model, 0.25, rng)
    assert difference(model, compact(model).model, rng) <= 1e-5


@pytest.mark.parametrize("form", ["mlp", "nested", "conv-2", "lenet-5"])
def test_what_stays_is_what_is_active(form):
    """The structure of a ticket, read from its file, and the calls of a live model agree on every layer."""
    model, _ = zoo.built(form)
    compactnets.prune(model, 0.3, np.random.default_rng(3))
    masks = {key: value != 0 for key, value in snapshot(model).items() if value.ndim > 1}
    neurons = Structure.of(Ticket(architecture(model), masks, {"init": snapshot(model)})).neurons()
    active = {row["layer"]: max(1, row["active"]) for row in neurons}
    found = compact(model)
    assert [reason for reason in found.facts["kept"] if "must have a unit" not in reason] == []
    *hidden, last = [(row["layer"], row["before"], row["after"]) for row in found.facts["layers"]]
    assert [(name, after) for name, _, after in hidden] == [(name, active[name]) for name, _, _ in hidden]
    assert last[1] == last[2]


def dense_net(hidden, bias, out):
    """3 inputs, a hidden layer and an output, with the given weights."""
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(len(bias), activation="relu"), layers.Dense(1, use_bias=False)]
    )
    model.layers[0].set_weights([np.array(hidden, "float32"), np.array(bias, "float32")])
    model.layers[1].set_weights([np.array(out, "float32")[:, None]])
    return model


def test_a_constant_goes_into_the_bias_of_what_takes_it():
    # By hand: the second neuron is relu(2) = 2 whatever comes, the third relu(-1) = 0; 2 * 5 stays in the bias.
    model = dense_net([[1, 0, 0], [1, 0, 0], [1, 0, 0]], [0.5, 2, -1], [3, 5, 7])
    found = compact(model)
    first, last = found.model.layers[1:]
    assert before_and_after(found) == {"dense": (3, 1), "dense_1": (1, 1)}
    assert first.get_weights()[0].tolist() == [[1], [1], [1]]
    assert [value.tolist() for value in last.get_weights()] == [[[3]], [10]]
    assert found.facts["weights_before"] == 15
    assert found.facts["weights_after"] == 6
    assert found.facts["multiply_adds"] == {"dense": 12, "theoretical": 6, "executed": 4}


def test_a_layer_without_constants_gets_no_bias():
    model = dense_net([[1, 0], [1, 0], [1, 0]], [0.5, -1], [3, 5])
    assert not compact(model).model.layers[-1].use_bias


def test_dead_inputs_lose_their_weights_and_the_input_keeps_its_shape():
    model = dense_net([[1, 2], [0, 0], [0, 0]], [0, 0], [3, 5])
    found = compact(model)
    assert found.model.input_shape == (None, 3)
    assert found.model.layers[-2].get_weights()[0].tolist() == [[1, 2]]
    assert found.model(np.array([[2.0, 9.0, 9.0]])).numpy().tolist() == [[26]]


def test_constants_that_meet_padding_go_into_one_of_them():
    model = keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            layers.Conv2D(4, 1, activation="relu"),
            layers.Conv2D(2, 3, padding="same"),
        ]
    )
    kernel, _ = model.layers[0].get_weights()
    kernel[..., 1:] = 0  # channels 1 to 3 are their biases: 1, 4 and 2
    model.layers[0].set_weights([kernel, np.array([0, 1, 4, 2], "float32")])
    before = model.layers[1].get_weights()[0]
    found = compact(model)
    assert before_and_after(found) == {"conv2d": (4, 2), "conv2d_1": (2, 2)}
    after = found.model.layers[-1].get_weights()[0]
    # By hand: the one that stays is 4, and its weights take over 1/4 of those of 1 and 2/4 of those of 2.
    expected = before[:, :, 2] + before[:, :, 1] / 4 + before[:, :, 3] / 2
    np.testing.assert_allclose(after[:, :, 1], expected, rtol=1e-6, atol=1e-7)  # sums may cancel
    assert found.facts["kept"] == {
        "conv2d_1 (Conv2D): one constant, to hold all constants that meet its padding": 1
    }
    assert difference(model, found.model, np.random.default_rng(0)) <= 1e-6


def test_batch_normalisation_makes_constants_too():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)]
    )
    compactnets.prune(model, 1.0, np.random.default_rng(0))
    kernel, bias = model.layers[0].get_weights()
    model.layers[0].set_weights([kernel * [1, 0, 0], bias])
    found = compact(model)
    assert [value.shape for value in found.model.layers[2].get_weights()] == [(1,)] * 4
    assert difference(model, found.model, np.random.default_rng(1)) <= 1e-6


@keras.saving.register_keras_serializable("test_compact")
class Reversed(layers.Layer):
    def call(self, x):
        return x[..., ::-1]


STOPS = {
    "Dot": lambda x: layers.Flatten()(
        layers.Dot(axes=(2, 1))([layers.Reshape((1, 6))(x), layers.Reshape((6, 1))(x)])
    ),
    "LayerNormalization": layers.LayerNormalization(),
    "UnitNormalization": layers.UnitNormalization(),
    "Softmax": layers.Softmax(),
    "softmax": layers.Activation("softmax"),
    "Reshape": lambda x: layers.Reshape((6,))(layers.Reshape((2, 3))(x)),
    "MultiHeadAttention": lambda x: layers.Flatten()(
        layers.MultiHeadAttention(2, 3)(*[layers.Reshape((1, 6))(x)] * 2)
    ),
    "LSTM": lambda x: layers.LSTM(6, return_state=True)(layers.Reshape((1, 6))(x))[1],
    "Bidirectional": lambda x: layers.Bidirectional(layers.GRU(3))(layers.Reshape((2, 3))(x)),
    "Reversed": Reversed(),
    "Sort": lambda x: keras.ops.sort(x, axis=-1),
}


@pytest.mark.parametrize("name", STOPS)
def test_what_cannot_be_followed_is_kept_and_named(name):
    start = keras.Input((5,))
    x = layers.Dense(6, activation="relu")(start)
    x = STOPS[name](x)
    model = keras.Model(start, layers.Dense(2)(layers.Dense(8, activation="relu")(x)))
    compactnets.prune(model, 0.3, np.random.default_rng(2))
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([np.zeros_like(kernel), bias])
    found = compact(model)
    assert before_and_after(found)["dense"] == (6, 6)
    assert any(name in reason for reason in found.facts["kept"])
    assert difference(model, found.model, np.random.default_rng(0)) <= 1e-5


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layers.Conv2D(4, 3, groups=2, padding="same"), "groups of channels"),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), "a depth multiplier"),
        (layers.SeparableConv2D(4, 3, depth_multiplier=2), "a depth multiplier"),
        (layers.Rescaling([1.0, 2.0, 3.0, 4.0]), "numbers for each channel"),
    ],
)
def test_layers_whose_channels_are_tied_stay_whole(layer, reason):
    net = [
        keras.Input((6, 6, 3)),
        layers.Conv2D(4, 3),
        layer,
        layers.Conv2D(3, 1),
        layers.Flatten(),
        layers.Dense(2),
    ]
    model = keras.Sequential(net)
    compactnets.prune(model, 0.1, np.random.default_rng(1))
    found = compact(model)
    assert before_and_after(found)["conv2d"] == (4, 4)
    assert any(reason in said for said in found.facts["kept"])
    assert difference(model, found.model, np.random.default_rng(0)) <= 1e-5


def test_a_layer_that_is_called_twice_stays_whole():
    start, twice = keras.Input((4,)), layers.Dense(4, activation="relu")
    model = keras.Model(start, layers.Dense(2)(twice(twice(start))))
    compactnets.prune(model, 0.2, np.random.default_rng(0))
    found = compact(model)
    assert any("several calls" in reason for reason in found.facts["kept"])
    assert difference(model, found.model, np.random.default_rng(0)) <= 1e-6


def test_images_of_any_size():
    model = keras.Sequential(
        [
            keras.Input((None, None, 2)),
            *(layers.Conv2D(5, 3, padding="same", activation="relu") for _ in range(3)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    for seed in range(4):
        compactnets.prune(model, 0.2, np.random.default_rng(seed), whole=0.3)
        small = compact(model).model
        assert small.input_shape == (None, None, None, 2)
        for size in (3, 12):
            x = np.random.default_rng(size).normal(size=(2, size, size, 2)).astype("float32")
            np.testing.assert_allclose(small(x), model(x), atol=1e-5 * np.abs(model(x)).max())


def test_inputs_and_outputs_keep_their_names():
    start = {"left": keras.Input((3,), name="left"), "right": keras.Input((2,), name="right")}
    joined = layers.Concatenate()([layers.Dense(4)(start["left"]), layers.Dense(4)(start["right"])])
    model = keras.Model(start, {"a": layers.Dense(2)(joined), "b": layers.Dense(1)(joined)})
    compactnets.prune(model, 0.4, np.random.default_rng(0))
    small = compact(model).model
    x = {"left": np.ones((2, 3), "float32"), "right": np.ones((2, 2), "float32")}
    assert set(small(x)) == {"a", "b"}
    np.testing.assert_allclose(small(x)["a"], model(x)["a"], rtol=1e-5)


def test_the_model_is_left_as_it_was():
    model = compactnets.conv(1)("float32")
    compactnets.prune(model, 0.2, np.random.default_rng(0))
    before, calls = snapshot(model), len(model.layers[0]._inbound_nodes)
    compact(model)
    assert len(model.layers[0]._inbound_nodes) == calls
    assert all(np.array_equal(value, before[key]) for key, value in snapshot(model).items())


def test_masks_do_not_go_along():
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="relu"), layers.Dense(2)])
    aware = keras.Sequential([keras.Input((4,)), MaskAwareDense(6, activation="relu"), layers.Dense(2)])
    compactnets.prune(plain, 0.3, np.random.default_rng(0))
    assign(aware, snapshot(plain))
    sparsify(plain, {key: v != 0 for key, v in snapshot(plain).items() if v.ndim > 1})
    for model in (plain, aware):
        small = compact(model).model
        assert {type(layer) for layer in small.layers} <= {layers.InputLayer, layers.Dense}
        assert all(variable.constraint is None for variable in variables(small).values())
        assert difference(model, small, np.random.default_rng(0)) <= 1e-6


def test_a_compacted_model_is_saved_and_loaded_by_keras(tmp_path):
    model = compactnets.residual("float32")
    compactnets.prune(model, 0.1, np.random.default_rng(0), whole=0.3)
    small = compact(model).model
    small.save(tmp_path / "small.keras")
    assert difference(small, keras.models.load_model(tmp_path / "small.keras"), np.random.default_rng(0)) == 0
    assert compact(small).facts["weights_after"] == small.count_params()  # nothing is left to take away


def test_a_subclassed_model_is_refused_with_advice():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.ones((1, 3)))
    with pytest.raises(
        TicketError, match=r"Received: a Own, which does not say .* Export it without compaction"
    ):
        compact(model)
