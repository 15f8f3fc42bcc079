"""Masks stay and pruned weights are exactly zero, whatever trains the model."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerastickets import layers as aware_layers
from kerastickets.callbacks import KeepMasks
from kerastickets.errors import AlignError, RecipeError
from kerastickets.models.initial_weights import fresh
from kerastickets.models.masking import (
    assign_masks,
    guard,
    masks_of,
    sparsify,
    strip,
)
from kerastickets.models.prunable_weights import matches, weight_reports
from kerastickets.models.variables import mask_of, snapshot, variables
from kerastickets.training.recipe import Recipe
from kerastickets.training.trainer import Trainer
from tests.helpers import nets

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_zeros_stay_under_xla": ("nesterov",),
    "test_zeros_stay_in_every_kind_of_layer": ("recurrent", "attention"),
    "test_zeros_stay_in_the_trainer": (
        "clipvalue",
        "ema-overwrites",
        "clipnorm",
        "nesterov",
        "adafactor",
        "momentum",
    ),
    "test_zeros_stay_in_fit_after_sparsify": ("adafactor", "ema-overwrites", "clipnorm", "decay"),
}


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

# Fast rates, so that nine steps move every weight that may move.
OPTIMIZERS = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    "nesterov": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.01}),
    "adamw": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
    "lion": ("Lion", {"learning_rate": 0.01}),
    "muon": ("Muon", {"learning_rate": 0.01}),
    "adafactor": ("Adafactor", {"learning_rate": 0.01}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "centered": True}),
    "ftrl": ("Ftrl", {"learning_rate": 0.1}),
}
EXTRAS = {
    "decay": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    "clipnorm": ("Adam", {"learning_rate": 0.01, "clipnorm": 0.1}),
    "global-clipnorm": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "global_clipnorm": 0.5}),
    "clipvalue": ("Lion", {"learning_rate": 0.01, "clipvalue": 0.1}),
    "ema": ("Adam", {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.5}),
    "ema-overwrites": ("Muon", {"learning_rate": 0.01, "use_ema": True, "ema_overwrite_frequency": 2}),
    "accumulation": ("AdamW", {"learning_rate": 0.01, "gradient_accumulation_steps": 3}),
}


def slow(chosen):
    """An optimizer that the fast tests leave out here, because they have it elsewhere."""
    return pytest.param(chosen, marks=pytest.mark.slow)


def optimizer(name):
    class_name, config = (OPTIMIZERS | EXTRAS)[name]
    return keras.optimizers.get({"class_name": class_name, "config": dict(config)})


def aware():
    """`nets.plain` of mask-aware layers."""
    dense = aware_layers.Dense
    return keras.Sequential([keras.Input((4,)), dense(6, activation="tanh"), dense(3)])


def halves(model, seed=3):
    """About half of every prunable weight, at random: no whole rows or columns, so that all others move."""
    generator = np.random.default_rng(seed)
    return {entry.key: generator.random(entry.shape) < 0.5 for entry in weight_reports(model) if entry.masked}


def check(before, after, held, masks):
    """Zeros are zero, masks as they were, and the others moved: the negative ones just as the positive."""
    assert held.keys() == masks.keys()
    for key, mask in masks.items():
        assert (held[key] == mask).all()
        assert np.count_nonzero(after[key][~mask]) == 0
        for sign in (1, -1):
            these = mask & (sign * before[key] > 0)
            assert (after[key][these] != before[key][these]).all(), f"{key} of sign {sign} stood still"


def by_trainer(build, chosen, jit="off"):
    class_name, config = (OPTIMIZERS | EXTRAS)[chosen]
    recipe = Recipe(
        train=9,
        eval_every=9,
        batch_size=8,
        jit=jit,
        keep="last",
        optimizer={"class_name": class_name, "config": dict(config)},
    )
    model = fresh(build, 0)
    weights, masks = snapshot(model), halves(model)
    trainer = Trainer(build, nets.data(), recipe, masks)
    live = []
    outcome = trainer.train(
        weights,
        masks,
        seed=0,
        on_row=lambda row: live.append((snapshot(trainer.model), masks_of(trainer.model))),
    )
    check(weights, *live[-1], masks)
    check(weights, outcome.final, masks_of(trainer.model), masks)
    assert not any(np.signbit(outcome.final[key][~mask]).any() for key, mask in masks.items())
    return trainer


def by_fit(build, chosen, jit=False, attach=sparsify, callbacks=()):
    model = fresh(build, 0)
    weights, masks = snapshot(model), halves(model)
    model.compile(optimizer(chosen), LOSS, jit_compile=jit)
    attach(model, masks)
    model.fit(*nets.vectors(), batch_size=8, epochs=3, verbose=0, callbacks=list(callbacks))
    check(weights, snapshot(model), masks_of(model), masks)
    return model


@functools.cache
def trained(chosen):
    return by_trainer(nets.plain, chosen).model


@functools.cache
def fitted(chosen):
    return by_fit(nets.plain, chosen)


@pytest.mark.parametrize("chosen", [*OPTIMIZERS, *EXTRAS])
def test_zeros_stay_in_the_trainer(chosen):
    trained(chosen)


@pytest.mark.parametrize(
    "chosen", sorted((OPTIMIZERS | EXTRAS).keys() - {"sgd", "rmsprop", "ftrl", "clipvalue"})
)
def test_zeros_stay_in_fit_after_sparsify(chosen):
    fitted(chosen)


# Only what moves a weight whose gradient is zero tests a constraint that stands alone.
@pytest.mark.parametrize(
    "chosen", ["momentum", "adam", "adamw", slow("lion"), slow("muon"), slow("adafactor"), "accumulation"]
)
def test_zeros_stay_in_fit_of_a_mask_aware_model_by_its_constraints_alone(chosen):
    by_fit(aware, chosen, attach=assign_masks)


@pytest.mark.parametrize("chosen", ["ema", "ema-overwrites"])
def test_zeros_stay_in_fit_of_a_mask_aware_model_that_averages(chosen):
    by_fit(aware, chosen, attach=assign_masks, callbacks=[KeepMasks()])


@pytest.mark.parametrize("chosen", ["nesterov", slow("muon")])
def test_zeros_stay_under_xla(chosen):
    by_trainer(nets.plain, chosen, jit="on")
    by_fit(nets.plain, chosen, jit=True)


@pytest.mark.slow
def test_zeros_stay_in_a_mask_aware_model_under_xla():
    by_trainer(aware, "adamw", jit="on")
    by_fit(aware, "adam", jit=True, attach=assign_masks)


@pytest.fixture
def mixed_float16():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("mixed_float16")
@pytest.mark.parametrize("chosen", [slow("clipnorm"), slow("muon"), "ema"])
def test_zeros_stay_in_mixed_float16(chosen):
    trainer = by_trainer(nets.plain, chosen)
    assert isinstance(trainer.model.optimizer, keras.optimizers.LossScaleOptimizer)
    by_fit(nets.plain, chosen)


@pytest.mark.slow
@pytest.mark.usefixtures("mixed_float16")
def test_zeros_stay_in_mixed_float16_under_xla_and_in_mask_aware_models():
    by_trainer(aware, "momentum", jit="on")


def inputs_of(build):
    generator = np.random.default_rng(0)
    if build is nets.attention:
        return generator.integers(0, 7, (24, 5))
    return generator.normal(size=(24, *build().input_shape[1:])).astype("float32")


@pytest.mark.parametrize(
    "build",
    [nets.convolutional, nets.recurrent, nets.attention, nets.subclassed, nets.shared, nets.custom],
    ids=lambda build: build.__name__,
)
def test_zeros_stay_in_every_kind_of_layer(build):
    model = fresh(build, 0)
    weights, masks = snapshot(model), halves(model)
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=0.5), LOSS)
    sparsify(model, masks)
    x = inputs_of(build) if build is not nets.subclassed else nets.vectors()[0]
    model.fit(x, np.arange(24) % 3, batch_size=8, epochs=2, verbose=0)
    after = snapshot(model)
    assert all((masks_of(model)[key] == mask).all() for key, mask in masks.items())
    assert all(np.count_nonzero(after[key][~mask]) == 0 for key, mask in masks.items())
    assert all((after[key][mask] != weights[key][mask]).any() for key, mask in masks.items())


def test_zeros_stay_with_train_on_batch_and_a_train_step_of_ones_own():
    class Own(keras.Model):
        def train_step(self, batch):
            x, y = batch[:2]
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    inner = nets.plain()
    model = Own(inner.inputs, inner.outputs)
    weights, masks = snapshot(model), halves(model)
    model.compile(optimizer("momentum"), LOSS)
    sparsify(model, masks)
    for _ in range(5):
        model.train_on_batch(*nets.vectors())
    check(weights, snapshot(model), masks_of(model), masks)


# What reaches the optimizer.


def slots(optimizer, name):
    """The optimizer's variables of this name for the first kernel."""
    return next(v.numpy() for v in optimizer.variables if f"kernel_{name}" in v.path)


@pytest.mark.parametrize(
    ("chosen", "names"), [("adam", ("momentum", "velocity")), ("momentum", ("momentum",))]
)
def test_moments_of_pruned_weights_stay_zero(chosen, names):
    for model in (fitted(chosen), trained(chosen)):
        mask = masks_of(model)["dense/kernel"]
        for name in names:
            slot = slots(model.optimizer, name)
            assert np.count_nonzero(slot[~mask]) == 0
            assert (slot[mask] != 0).all()


def test_a_mask_aware_model_guards_its_moments_with_keep_masks():
    model = by_fit(aware, "adam", attach=assign_masks, callbacks=[KeepMasks()])
    assert np.count_nonzero(slots(model.optimizer, "velocity")[~masks_of(model)["dense/kernel"]]) == 0


W = np.array([[1.0, -2.0], [3.0, -4.0]], "float32")
MASK = np.array([[True, True], [False, True]])


def linear(optimizer, constraint=None):
    """y = x W without bias; with x = I and y = 0 the gradient of half the squared error is W itself."""
    dense = layers.Dense(2, use_bias=False, kernel_constraint=constraint)
    model = keras.Sequential([keras.Input((2,)), dense])
    model.compile(optimizer, lambda y, p: keras.ops.sum((p - y) ** 2, axis=-1))
    dense.kernel.assign(W)
    return model


def one_step(model):
    # The loss is the mean over two examples of sum(p**2), so its gradient is W.
    model.train_on_batch(np.eye(2, dtype="float32"), np.zeros((2, 2), "float32"))
    return model.layers[0].kernel.numpy()


def test_pruned_weights_do_not_count_in_a_clipped_norm():
    expected = W * MASK
    norm = np.sqrt(1 + 4 + 16)
    for dial in ("clipnorm", "global_clipnorm"):
        model = linear(keras.optimizers.SGD(0.5, **{dial: 1.0}))
        # A gradient at the pruned weight that is not zero: it would be part of the norm.
        sparsify(model, {"dense/kernel": MASK})
        model.layers[0].kernel.constraint.value.assign(MASK.astype("float32"))
        model.optimizer.apply([tf.constant(W)], [model.layers[0].kernel])
        np.testing.assert_allclose(
            model.layers[0].kernel.numpy(), expected - 0.5 * expected / norm, rtol=1e-6
        )


def test_steps_equal_those_worked_out_by_hand():
    model = linear(keras.optimizers.SGD(0.1, momentum=0.5, weight_decay=0.2))
    sparsify(model, {"dense/kernel": MASK})
    w, velocity = (W * MASK).astype("float64"), np.zeros((2, 2))
    for _ in range(4):
        decayed = w - 0.2 * 0.1 * w
        velocity = 0.5 * velocity - 0.1 * w * MASK
        w = (decayed + velocity) * MASK
        np.testing.assert_allclose(one_step(model), w, rtol=1e-5)


def test_a_constraint_of_the_users_own_is_applied_with_the_mask():
    model = linear(keras.optimizers.SGD(0.1), keras.constraints.NonNeg())
    sparsify(model, {"dense/kernel": MASK})
    np.testing.assert_allclose(one_step(model), [[0.9, 0.0], [0.0, 0.0]], rtol=1e-6)


@pytest.mark.parametrize("dials", [{}, {"clipnorm": 0.1}, {"use_ema": True}])
def test_embeddings_whose_gradients_come_as_slices(dials):
    x = keras.Input((3,), dtype="int32")
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(5, 4)(x))
    model = keras.Model(x, layers.Dense(3)(pooled))
    before, masks = snapshot(model), halves(model)
    model.compile(keras.optimizers.Adam(0.01, **dials), LOSS)
    sparsify(model, masks)
    rows = np.array([[0, 0, 1], [1, 1, 1], [2, 0, 2], [3, 2, 1]])  # 4 is met nowhere
    model.fit(rows, np.array([0, 1, 2, 0]), epochs=3, verbose=0)
    after, mask = snapshot(model)["embedding/embeddings"], masks["embedding/embeddings"]
    assert np.count_nonzero(after[~mask]) == 0
    assert (after[:4][mask[:4]] != before["embedding/embeddings"][:4][mask[:4]]).all()
    velocity = next(v.numpy() for v in model.optimizer.variables if "embeddings_velocity" in v.path)
    assert np.count_nonzero(velocity[~mask]) == 0


def test_slices_with_a_repeated_row_are_masked_row_by_row():
    layer = layers.Embedding(3, 2)
    layer.build()
    layer.embeddings.assign(np.ones((3, 2)))
    mask = np.array([[True, False], [True, True], [False, True]])
    assign_masks_to(layer, mask)
    chosen = keras.optimizers.SGD(1.0)
    guard(chosen)
    slices = tf.IndexedSlices(tf.ones((3, 2)), tf.constant([0, 2, 0]), tf.constant([3, 2]))
    chosen.apply([slices], [layer.embeddings])
    # Row 0 is met twice: 1 - 2 = -1; row 2 once: 1 - 1 = 0.
    np.testing.assert_array_equal(layer.embeddings.numpy(), [[-1, 0], [1, 1], [0, 0]])


def assign_masks_to(layer, mask):
    from kerastickets.models.masking import attach

    attach(layer.embeddings)
    assign_masks(layer, {"embeddings": mask})


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_weights_without_a_gradient_are_left_alone():
    model = linear(keras.optimizers.SGD(0.1))
    sparsify(model, {"dense/kernel": MASK})
    unused = keras.Variable(np.ones(2))
    model.optimizer.build([model.layers[0].kernel, unused])
    model.optimizer.apply([tf.constant(W), None])
    assert (unused.numpy() == 1).all()


# Attaching and detaching.


def test_weights_that_are_masked_by_default():
    assert [(f.key, f.masked) for f in weight_reports(nets.normalised())] == [
        ("dense/kernel", True),
        ("dense/bias", False),
        ("batch_normalization/gamma", False),
        ("batch_normalization/beta", False),
        ("dense_1/kernel", True),
        ("dense_1/bias", False),
    ]
    conv = [f.key for f in weight_reports(nets.convolutional()) if f.masked]
    assert conv == [
        "conv2d/kernel",
        "depthwise_conv2d/kernel",
        "separable_conv2d/depthwise_kernel",
        "separable_conv2d/pointwise_kernel",
        "dense/kernel",
    ]
    assert next(f.key for f in weight_reports(nets.attention()) if f.masked) == "embedding/embeddings"
    assert "lstm/lstm_cell/recurrent_kernel" in masks_after_sparsify(nets.recurrent())


def masks_after_sparsify(model):
    sparsify(model)
    return masks_of(model)


def test_normalisation_of_more_than_one_axis_is_no_kernel():
    model = keras.Sequential([keras.Input((4, 4)), layers.LayerNormalization(axis=(1, 2)), layers.Dense(2)])
    assert {f.key: f.why for f in weight_reports(model)}[
        "layer_normalization/gamma"
    ] == "not a kernel or embedding"


@pytest.mark.parametrize(
    ("include", "exclude", "masked"),
    [
        ((), (), ["dense/kernel", "dense_1/kernel"]),
        (("*/gamma",), (), ["dense/kernel", "batch_normalization/gamma", "dense_1/kernel"]),
        (("dense/bias",), (), ["dense/kernel", "dense/bias", "dense_1/kernel"]),
        ((), ("dense",), ["dense_1/kernel"]),
        ((), ("dense_?",), ["dense/kernel"]),
        (("dense",), ("*/kernel",), ["dense/bias"]),
        (("*",), ("*",), []),
    ],
)
def test_patterns(include, exclude, masked):
    report = sparsify(nets.normalised(), include=include, exclude=exclude)
    assert [entry.key for entry in report if entry.masked] == masked


def test_a_pattern_names_a_layer_on_the_path():
    assert matches("block/dense/kernel", "block")
    assert matches("block/dense/kernel", "block/*")
    assert not matches("blocks/dense/kernel", "block")
    assert not matches("dense/kernel", "kernel")


@pytest.mark.parametrize(
    "dials", [{"include": ["densse/*"]}, {"exclude": ["Dense"]}, {"include": ["*/moving_mean"]}]
)
def test_a_pattern_that_matches_nothing_is_an_error(dials):
    with pytest.raises(
        RecipeError, match=r"Received: '(densse/\*|Dense|\*/moving_mean)'. Weights: dense/kernel"
    ):
        sparsify(nets.normalised(), **dials)


def test_the_report_says_what_each_weight_became():
    model = nets.plain()
    given = {"dense/kernel": halves(model)["dense/kernel"]}
    assert [(f.key, f.masked, f.why) for f in sparsify(model, given)] == [
        ("dense/kernel", True, "mask given"),
        ("dense/bias", False, "not a kernel or embedding"),
        ("dense_1/kernel", False, "no mask given"),
        ("dense_1/bias", False, "not a kernel or embedding"),
    ]
    assert list(masks_of(model)) == ["dense/kernel"]
    report = {f.key: f.why for f in sparsify(model, exclude=["dense/kernel"], include=["dense/bias"])}
    assert (report["dense/kernel"], report["dense/bias"]) == ("masked already", "included")


def test_sparsify_twice_is_once():
    model = nets.plain()
    model.compile("adam", LOSS)
    masks = halves(model)
    sparsify(model, masks)
    constraint, apply = model.layers[0].kernel.constraint, model.optimizer.apply
    report = sparsify(model)
    assert next((f.key, f.masked) for f in report) == ("dense/kernel", True)
    assert model.layers[0].kernel.constraint is constraint
    assert constraint.inner is None
    assert model.optimizer.apply is apply
    assert all((masks_of(model)[key] == mask).all() for key, mask in masks.items())
    sparsify(model, halves(model, 5))
    assert (masks_of(model)["dense/kernel"] == halves(model, 5)["dense/kernel"]).all()


def test_sparsify_leaves_the_callers_masks_and_the_models_other_values_alone():
    model = nets.plain()
    before, masks = snapshot(model), halves(model)
    copies = {key: mask.copy() for key, mask in masks.items()}
    sparsify(model, masks)
    after = snapshot(model)
    assert all((masks[key] == copies[key]).all() for key in masks)
    assert all((after[key][masks[key]] == before[key][masks[key]]).all() for key in masks)
    assert (after["dense/bias"] == before["dense/bias"]).all()


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (
            {"dense/kernel": np.ones((4, 6), bool), "head/kernel": np.ones(2, bool)},
            r"Received: 'head/kernel'",
        ),
        ({"dense/kernel": np.ones((4, 6), bool), "dense_1/kernel": np.ones(2, bool)}, r"a mask of \(2,\)"),
    ],
)
def test_a_wrong_mask_leaves_the_model_as_it_was(masks, message):
    model = nets.plain()
    with pytest.raises(AlignError, match=message):
        sparsify(model, masks)
    assert masks_of(model) == {}


def test_masks_are_assigned_only_where_they_are_held():
    with pytest.raises(AlignError, match=r"hold a mask for dense/kernel: call sparsify"):
        assign_masks(nets.plain(), {"dense/kernel": np.ones((4, 6), bool)})


def test_a_model_without_weights_yet_is_refused():
    with pytest.raises(RecipeError, match=r"must be built, so that it has weights. Received: own"):
        sparsify(keras.Sequential([layers.Dense(3)], name="own"))


def test_a_step_traced_before_is_traced_again():
    model = nets.plain()
    model.compile(optimizer("adam"), LOSS)
    model.fit(*nets.vectors(), verbose=0)
    masks = halves(model)
    sparsify(model, masks)
    before = snapshot(model)
    model.fit(*nets.vectors(), epochs=2, verbose=0)
    check(before, snapshot(model), masks_of(model), masks)
    traced = model.train_function
    sparsify(model, halves(model, 5))  # only values change: what is compiled serves on
    assert model.train_function is traced
    strip(model)
    model.fit(*nets.vectors(), epochs=2, verbose=0)
    assert np.count_nonzero(snapshot(model)["dense/kernel"] == 0) == 0


def test_averages_of_weights_pruned_on_the_way_are_not_written_back():
    model = nets.plain()
    model.compile(optimizer("ema"), LOSS)
    model.fit(*nets.vectors(), verbose=0)
    masks = halves(model)
    sparsify(model, masks)
    model.fit(*nets.vectors(), verbose=0)
    after = snapshot(model)
    assert all(np.count_nonzero(after[key][~mask]) == 0 for key, mask in masks.items())


def test_compiling_again_needs_keep_masks_or_sparsify_for_moments_but_not_for_zeros():
    model = nets.plain()
    masks = halves(model)
    sparsify(model, masks)
    model.compile(optimizer("adam"), LOSS)
    before = snapshot(model)
    model.fit(*nets.vectors(), epochs=3, verbose=0)
    check(before, snapshot(model), masks_of(model), masks)


def test_strip_gives_back_constraints_and_optimizer():
    constraint = keras.constraints.NonNeg()
    model = linear(keras.optimizers.SGD(0.1), constraint)
    apply, finalize = model.optimizer.apply, model.optimizer.finalize_variable_values
    sparsify(model, {"dense/kernel": MASK})
    zeros = model.layers[0].kernel.numpy()
    assert strip(model) is model
    assert model.layers[0].kernel.constraint is constraint
    assert (model.optimizer.apply, model.optimizer.finalize_variable_values) == (apply, finalize)
    assert (model.layers[0].kernel.numpy() == zeros).all()
    assert masks_of(model) == {}
    model.optimizer.apply([tf.constant(-W)], [model.layers[0].kernel])
    assert model.layers[0].kernel.numpy()[1, 0] > 0


def test_a_sparsified_model_saves_and_clones_as_the_plain_model_it_is(tmp_path):
    model = nets.plain()
    model.compile("adam", LOSS)
    masks = halves(model)
    sparsify(model, masks)
    model.fit(*nets.vectors(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert masks_of(loaded) == {}
    assert len(loaded.get_weights()) == len(model.get_weights()) == 4
    assert all((snapshot(loaded)[key] == value).all() for key, value in snapshot(model).items())
    assert masks_of(keras.models.clone_model(model)) == {}


def test_masks_have_the_dtype_of_their_weight():
    dense = layers.Dense(2, dtype="bfloat16")
    model = keras.Sequential([keras.Input((2,)), dense])
    sparsify(model, {"dense/kernel": MASK})
    assert mask_of(dense.kernel).value.dtype == "bfloat16"
    assert (masks_of(model)["dense/kernel"] == MASK).all()
    assert snapshot(model)["dense/kernel"][1, 0] == 0


def test_a_mask_has_no_config():
    model = nets.plain()
    sparsify(model)
    with pytest.raises(NotImplementedError, match="sparsify"):
        mask_of(variables(model)["dense/kernel"]).get_config()
