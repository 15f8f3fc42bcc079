"""Mask-aware layers: masks that are seen, saved, loaded and obeyed."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import kerastickets.layers as kt
from kerastickets.errors import AlignError, RecipeError
from kerastickets.layers import aware
from kerastickets.models.architecture import architecture, faithful_architecture
from kerastickets.models.masking import assign_masks, masks_of, sparsify, strip
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import snapshot, variables
from tests.helpers import nets

# One call of each public layer: how it is made, and the shape of one example.
MADE = {
    "Dense": (lambda cls: cls(3), (4,)),
    "EinsumDense": (lambda cls: cls("ab,bc->ac", 3), (4,)),
    "Embedding": (lambda cls: cls(5, 3), (4,)),
    "Conv1D": (lambda cls: cls(2, 3), (6, 2)),
    "Conv2D": (lambda cls: cls(2, 3), (5, 5, 2)),
    "Conv3D": (lambda cls: cls(2, 2), (3, 3, 3, 1)),
    "Conv1DTranspose": (lambda cls: cls(2, 3), (6, 2)),
    "Conv2DTranspose": (lambda cls: cls(2, 3), (5, 5, 2)),
    "Conv3DTranspose": (lambda cls: cls(2, 2), (3, 3, 3, 1)),
    "DepthwiseConv1D": (lambda cls: cls(3), (6, 2)),
    "DepthwiseConv2D": (lambda cls: cls(3), (5, 5, 2)),
    "SeparableConv1D": (lambda cls: cls(2, 3), (6, 2)),
    "SeparableConv2D": (lambda cls: cls(2, 3), (5, 5, 2)),
    "MultiHeadAttention": (lambda cls: cls(2, 3), (4, 3)),
    "SimpleRNN": (lambda cls: cls(2), (4, 3)),
    "LSTM": (lambda cls: cls(2), (4, 3)),
    "GRU": (lambda cls: cls(2), (4, 3)),
}


def model_of(name, cls=None):
    make, shape = MADE[name]
    x = keras.Input(shape)
    layer = make(cls or getattr(kt, name))
    h = layer(x, x) if name == "MultiHeadAttention" else layer(x)
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(h)))


def masked_model(name):
    """The model with random masks of its mask-aware layer, and those masks."""
    model = model_of(name)
    generator = np.random.default_rng(0)
    masks = {key: generator.random(mask.shape) < 0.5 for key, mask in masks_of(model).items()}
    assign_masks(model, masks)
    return model, masks


def equal(a, b):
    return a.keys() == b.keys() and all((a[key] == b[key]).all() for key in a)


def through_file(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def test_every_public_layer_is_tried_here():
    public = {name for name, value in vars(kt).items() if isinstance(value, type) and name != "Masks"}
    assert public - {"RecipeError", "Any"} == set(MADE)


@pytest.mark.parametrize("name", MADE)
def test_a_saved_layer_comes_back_with_its_masks(name, tmp_path):
    model, masks = masked_model(name)
    prunable = [entry.key for entry in weight_reports(model_of(name, getattr(layers, name))) if entry.masked]
    assert [*masks] == prunable[:-1]  # the last is the plain head's
    loaded = through_file(model, tmp_path)
    assert equal(masks_of(loaded), masks)
    assert equal(snapshot(loaded), snapshot(model))
    x = np.random.default_rng(1).integers(0, 5, (2, *MADE[name][1])).astype("float32")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize("name", ["Dense", "Conv2D", "LSTM", "MultiHeadAttention", "Embedding"])
def test_a_loaded_model_trains_on_and_keeps_its_masks(name, tmp_path):
    model, masks = masked_model(name)
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(1).integers(0, 5, (12, *MADE[name][1])).astype("float32")
    model.optimizer.build(model.trainable_variables)
    model = through_file(model, tmp_path)  # with its optimizer: plain Keras is all that fit needs
    before = snapshot(model)
    model.fit(x, np.arange(12) % 3, batch_size=4, epochs=2, verbose=0)
    after = snapshot(model)
    assert equal(masks_of(model), masks)
    assert all(np.count_nonzero(after[key][~mask]) == 0 for key, mask in masks.items())
    assert all((after[key][mask] != before[key][mask]).any() for key, mask in masks.items())


def test_wrapped_layers_come_back_too(tmp_path):
    x = keras.Input((5, 4))
    h = layers.TimeDistributed(kt.Dense(3))(x)
    model = keras.Model(x, layers.Bidirectional(kt.GRU(2))(h))
    assert list(masks_of(model)) == [
        "time_distributed/dense/kernel",
        "bidirectional/forward_gru/gru_cell/kernel",
        "bidirectional/forward_gru/gru_cell/recurrent_kernel",
        "bidirectional/backward_gru/gru_cell/kernel",
        "bidirectional/backward_gru/gru_cell/recurrent_kernel",
    ]
    masks = {key: np.random.default_rng(0).random(mask.shape) < 0.5 for key, mask in masks_of(model).items()}
    assign_masks(model, masks)
    assert equal(masks_of(through_file(model, tmp_path)), masks)


@pytest.mark.slow
def test_another_process_loads_the_file(tmp_path):
    model, masks = masked_model("Dense")
    model.save(tmp_path / "model.keras")
    code = (
        "import sys, keras, kerastickets.layers; from kerastickets.models.masking import masks_of; "
        "print(int(masks_of(keras.models.load_model(sys.argv[1]))['dense/kernel'].sum()))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.keras")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == [str(int(masks["dense/kernel"].sum()))], done.stderr


def test_summary_counts_masks_as_weights_that_do_not_train():
    model = keras.Sequential([keras.Input((4,)), kt.Dense(6), kt.Dense(3)])
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line), line_length=100)
    text = "\n".join(lines)
    # 4*6 + 6 + 6*3 + 3 weights, and a mask for each of the 4*6 + 6*3 kernel entries.
    assert "Trainable params: 51 " in text
    assert "Non-trainable params: 42 " in text
    assert [w.name for w in model.non_trainable_weights] == ["kernel_mask", "kernel_mask"]


def test_a_fresh_layer_keeps_everything_and_computes_what_the_plain_one_does():
    model, plain = model_of("Dense"), model_of("Dense", layers.Dense)
    assert all(mask.all() for mask in masks_of(model).values())
    assert [*variables(model)] == [*variables(plain)]
    for ours, theirs in zip(variables(model).values(), variables(plain).values(), strict=True):
        theirs.assign(ours)
    x = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    np.testing.assert_array_equal(model(x), plain(x))


def test_a_constraint_of_ones_own_stays_inside_the_mask():
    constraint = keras.constraints.NonNeg()
    layer = kt.Dense(2, kernel_constraint=constraint)
    layer.build((None, 2))
    assert layer.kernel.constraint.inner is constraint


def test_a_clone_has_masks_of_ones():
    model, _ = masked_model("Conv2D")
    clone = keras.models.clone_model(model)
    assert all(mask.all() for mask in masks_of(clone).values())
    assert masks_of(clone).keys() == masks_of(model).keys()


def test_sparsify_finds_the_masks_that_are_there():
    model, masks = masked_model("Dense")
    holder = model.layers[1].masks
    sparsify(model)
    assert (masks_of(model)["dense/kernel"] == masks["dense/kernel"]).all()
    assert model.layers[1].kernel.constraint.value is holder.weights[0]


def test_architectures_name_the_base_class():
    dense = keras.Sequential([keras.Input((4,)), kt.Dense(6), kt.Dense(3)])
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(6), layers.Dense(3)])
    assert architecture(dense) == architecture(plain)
    assert faithful_architecture(dense) == architecture(plain)


@pytest.mark.parametrize("name", ["Dense", "LSTM", "MultiHeadAttention", "SeparableConv2D"])
def test_strip_gives_the_plain_model(name):
    model, masks = masked_model(name)
    clean = strip(model)
    assert clean is not model
    assert masks_of(clean) == {}
    assert len(clean.weights) == len(model.weights) - len(masks)
    assert equal(snapshot(clean), snapshot(model))
    assert all(type(layer).__module__.startswith("keras.") for layer in clean.layers)
    assert equal(masks_of(model), masks)


# Layers of somebody's own.


@keras.saving.register_keras_serializable("tests")
class Lazy(layers.Layer):
    """A layer without `build`, whose sublayers are built when it is called."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units, self.first, self.second = units, layers.Dense(units), layers.Dense(units)

    def call(self, x):
        return self.second(self.first(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("tests", "OddTwo")
class Two(layers.Layer):
    """Two inputs, one kernel, and no `build`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)

    def call(self, a, b):
        return self.dense(a) + b


class Unregistered(layers.Dense):
    """A class that Keras knows nothing of."""


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize(
    ("layer_class", "keys"),
    [
        (nets.Scaled, ["scaled/kernel", "scaled/dense/kernel"]),
        (Lazy, ["lazy/dense/kernel", "lazy/dense_1/kernel"]),
        (Unregistered, ["unregistered/kernel"]),
    ],
    ids=["own-build", "no-build", "unregistered"],
)
def test_aware_makes_any_layer_class_mask_aware(layer_class, keys, tmp_path):
    model = keras.Sequential([keras.Input((4,)), aware(layer_class)(5), layers.Dense(3)])
    masks = {key: np.random.default_rng(0).random(mask.shape) < 0.5 for key, mask in masks_of(model).items()}
    assert [*masks] == keys
    assign_masks(model, masks)
    assert equal(masks_of(through_file(model, tmp_path)), masks)
    plain = keras.Sequential([keras.Input((4,)), layer_class(5), layers.Dense(3)])
    assert architecture(model) == architecture(plain)
    assert equal(snapshot(strip(model)), snapshot(model))
    assert type(strip(model).layers[0]) is layer_class


def test_aware_is_the_same_class_on_every_call():
    assert aware(layers.Dense) is aware(layers.Dense) is kt.Dense is aware(kt.Dense)


def test_a_class_of_the_same_name_does_not_take_the_place_of_keras_own(tmp_path):
    own = type("Dense", (layers.Dense,), {})
    assert aware(own) is not kt.Dense
    model, _ = masked_model("Dense")
    assert type(through_file(model, tmp_path).layers[1]) is kt.Dense


def test_the_arguments_are_those_of_the_base_class():
    layer = kt.Conv2D(4, (3, 2), padding="same", name="own")
    assert layer.get_config() == {**layers.Conv2D(4, (3, 2), padding="same", name="own").get_config()}


def test_a_layer_of_two_inputs_without_build_is_refused_when_nothing_is_built():
    layer = aware(Two)()
    with pytest.raises(RecipeError, match=r"must build its sublayers in `build`. Received: Two"):
        layer.build((None, 4))
    called = aware(Two)()
    called(np.zeros((1, 4)), np.zeros((1, 3)))  # a call tells Keras enough
    assert list(masks_of(called)) == ["dense/kernel"]


def test_strip_says_why_a_model_without_config_cannot_be_stripped():
    model = nets.Opaque(lambda units: kt.Dense(units))
    model(np.zeros((1, 4), "float32"))
    assert list(masks_of(model)) == ["dense/kernel", "dense_1/kernel"]
    with pytest.raises(AlignError, match=r"Received: a Opaque without one"):
        strip(model)
