"""The built-in criteria, against hand-worked numbers and against gradients taken without this library's help."""

import re
from dataclasses import replace
from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastickets import registry
from kerastickets.cutting.cut_scores import cut, ones
from kerastickets.data.dataset import CROSS_ENTROPY
from kerastickets.errors import PluginError, RecipeError
from kerastickets.foundations.tree import generator, kept
from kerastickets.models.initial_weights import fresh
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import snapshot, variables
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.prune_model import prune
from kerastickets.pruning.scoring import Batches, Scoring

LOSS = keras.losses.get(CROSS_ENTROPY)


def dense():
    layers = keras.layers
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(3)])


def convolutional():
    layers = keras.layers
    body = [layers.Conv2D(3, 3), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]
    return keras.Sequential([keras.Input((6, 6, 2)), *body, layers.Dense(3)])


def embedding():
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((5,)), layers.Embedding(7, 4), layers.GlobalAveragePooling1D(), layers.Dense(3)]
    )


def scored(build, seed=0, **changes):
    """A scoring of `build`'s model on 12 random examples, in batches of 4."""
    model = fresh(build, seed)
    shape = (12, *model.input_shape[1:])
    draw = generator("criteria", seed)
    x = draw.integers(0, 7, shape) if build is embedding else draw.normal(size=shape)
    batches = Batches((x.astype("float32"), np.arange(12) % 3), 4, seed, step=0)
    masks = ones({entry.key: entry.shape for entry in weight_reports(model) if entry.masked})
    return replace(Scoring(model, masks, snapshot(model), None, batches, LOSS, seed), **changes)


def plain_gradients(scoring, batches=1):
    """dL/dw by key of the mean loss over batches, from nothing but a tape and the model itself."""
    own, before = variables(scoring.model), snapshot(scoring.model)
    weights = [own[key].value for key in scoring.masks]
    with tf.GradientTape() as tape:
        losses = []
        for x, y in (scoring.batches[n] for n in range(batches)):
            losses.append(LOSS(y, scoring.model(x, training=True)))
        loss = tf.add_n(losses) / batches
    gradients = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, weights)]
    for key, variable in own.items():
        variable.assign(before[key])  # training=True moved the statistics
    return dict(zip(scoring.masks, gradients, strict=True))


NETS = pytest.mark.parametrize(
    ("build", "prunable"),
    [
        (dense, {"dense/kernel": (4, 5), "dense_1/kernel": (5, 3)}),
        (convolutional, {"conv2d/kernel": (3, 3, 2, 3), "dense/kernel": (48, 3)}),
        (embedding, {"embedding/embeddings": (7, 4), "dense/kernel": (4, 3)}),
    ],
)


@NETS
@pytest.mark.parametrize("batches", [1, 3])
def test_snip_is_weight_times_gradient_over_its_sum(build, prunable, batches):
    scoring = scored(build)
    gradients = plain_gradients(scoring, batches)
    products = {key: np.abs(snapshot(scoring.model)[key] * gradients[key]) for key in gradients}
    scale = sum(float(product.sum(dtype="float64")) for product in products.values())
    scores = registry.create("criteria", "snip", {"batches": batches})(scoring)
    # Biases and normalisation are not ranked.
    assert {key: score.shape for key, score in scores.items()} == prunable
    for key, product in products.items():
        assert product.max() > 0
        np.testing.assert_allclose(scores[key], product / scale, rtol=1e-4, atol=1e-8)


@NETS
def test_the_gradient_of_a_mask_at_one_is_weight_times_gradient(build, prunable):
    scoring = scored(build)
    gradients = plain_gradients(scoring)
    for key, gradient in scoring.gradient().items():
        np.testing.assert_allclose(gradient, gradients[key], rtol=1e-4, atol=1e-7)
    for key, gradient in scoring.mask_gradient().items():
        np.testing.assert_allclose(gradient, scoring.weights[key] * gradients[key], rtol=1e-4, atol=1e-7)


def test_gradients_can_be_taken_at_other_weights():
    scoring, other = scored(dense), scored(dense, seed=1)
    there = scoring.gradient({"dense/kernel": other.weights["dense/kernel"]})
    variables(scoring.model)["dense/kernel"].assign(other.weights["dense/kernel"])
    for key, gradient in plain_gradients(scoring).items():
        np.testing.assert_allclose(there[key], gradient, rtol=1e-4, atol=1e-7)


def test_snip_scores_pruned_weights_zero():
    scoring = scored(dense)
    mask = np.arange(20).reshape(4, 5) % 2 == 0
    variables(scoring.model)["dense/kernel"].assign(scoring.weights["dense/kernel"] * mask)
    scores = registry.create("criteria", "snip")(
        replace(scoring, masks=scoring.masks | {"dense/kernel": mask})
    )
    assert (scores["dense/kernel"][~mask] == 0).all()
    assert sum(score.sum() for score in scores.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["snip", "iterative-snip"])
def test_snip_refuses_gradients_that_are_all_zero(name):
    """They would make every saliency 0 / 0, and the mask whatever ties give."""
    flat = scored(dense, loss=lambda y, predictions: 0.0 * keras.ops.sum(predictions))
    dead = scored(dense)
    for key in dead.masks:
        variables(dead.model)[key].assign(np.zeros(dead.masks[key].shape))
    message = "gradients that are all zero, in 2 layers on 1 batches. Look for weights that start at zero"
    for scoring in (flat, dead):
        with pytest.raises(RecipeError, match=re.escape(message)):
            registry.create("criteria", name)(scoring)


def test_snip_needs_a_batch_and_enough_examples():
    with pytest.raises(PluginError, match=r"`batches` must be at least 1\. Received: batches=0"):
        registry.create("criteria", "snip:batches=0")
    with pytest.raises(
        RecipeError, match=r"There are 3 batches of 4 to score on\. Received: a request for 4"
    ):
        registry.create("criteria", "snip:batches=4")(scored(dense))


def test_magnitude_is_the_absolute_weight():
    scoring = scored(dense)
    weight = np.array(
        [[1.0, -2.0, 0.5], [0.0, -0.0, 3.0], [-0.5, 0.25, 4.0], [0, 0, 0], [0, 0, 0]], "float32"
    )
    variables(scoring.model)["dense_1/kernel"].assign(weight)
    scores = registry.create("criteria", "magnitude")(scoring)
    assert sorted(scores) == ["dense/kernel", "dense_1/kernel"]
    assert scores["dense_1/kernel"].tolist() == [[1, 2, 0.5], [0, 0, 3], [0.5, 0.25, 4], [0, 0, 0], [0, 0, 0]]
    last = {key: mask for key, mask in scoring.masks.items() if key == "dense_1/kernel"}
    masks = cut({"dense_1/kernel": scores["dense_1/kernel"]}, 5, last)
    # Of the two weights of size 0.5 the earlier one stays.
    assert np.flatnonzero(masks["dense_1/kernel"]).tolist() == [0, 1, 2, 5, 8]


def test_random_keeps_exactly_what_is_asked_at_every_density():
    scoring, random = scored(convolutional), registry.create("criteria", "random")
    scores = random(scoring)
    masks = [cut(scores, count, scoring.masks, allow_collapse=True) for count in (197, 100, 50, 1)]
    assert [kept(mask) for mask in masks] == [197, 100, 50, 1]
    for more, less in pairwise(masks):
        assert all((less[key] <= more[key]).all() for key in more)


def test_random_depends_on_seed_and_key_alone():
    random = registry.create("criteria", "random")
    scoring = scored(dense)
    scores = random(scoring)
    later = replace(
        scoring,
        masks={key: np.arange(mask.size).reshape(mask.shape) % 2 == 0 for key, mask in scoring.masks.items()},
        batches=replace(scoring.batches, step=3),
    )
    other = random(replace(scoring, seed=1))
    for key, score in scores.items():
        np.testing.assert_array_equal(random(later)[key], score)
        assert (other[key] != score).all()
    assert (scores["dense/kernel"].ravel()[:15] != scores["dense_1/kernel"].ravel()).all()


def test_random_is_uniform():
    big = replace(scored(dense), masks={"a": np.ones((100, 100), bool), "b": np.ones((50, 200), bool)})
    scores = registry.create("criteria", "random")(big)
    masks = cut(scores, 10000, big.masks)
    # The share of one layer is hypergeometric: 5000 with a standard deviation of 35.
    assert abs(int(masks["a"].sum()) - 5000) < 5 * 35


@pytest.fixture(scope="module")
def iterative():
    return prune(
        "mlp:8", "digits", "iterative-snip", levels=3, rate=0.5, scope="global", train="1ep", jit="off"
    )


def test_iterative_snip_keeps_what_was_planned_and_trains_only_the_end(iterative):
    # 64 * 8 + 8 * 10 weights, halved three times.
    assert [ticket.kept for ticket in iterative.tickets] == [592, 296, 148, 74]
    assert [sorted(ticket.snapshots) for ticket in iterative.tickets] == [["init"]] * 3 + [["final", "init"]]
    assert {row["level"] for row in iterative.rows} == {3}
    for more, less in pairwise(iterative.tickets):
        assert all((less.masks[key] <= more.masks[key]).all() for key in more.masks)


def test_the_first_step_of_iterative_snip_is_snip(iterative):
    once = prune("mlp:8", "digits", "snip", target=296, no_train=True)
    assert [sorted(ticket.snapshots) for ticket in once.tickets] == [["init"], ["init"]]
    for key, mask in once.tickets[1].masks.items():
        np.testing.assert_array_equal(iterative.tickets[1].masks[key], mask)


def test_later_steps_of_iterative_snip_rescore_what_is_left_on_new_batches(iterative):
    prepared = PreparedRun(PruneJob.of("mlp:8", "digits", "snip", dials={"target": 296}))
    first, second = iterative.tickets[1:3]
    model = first.build()
    batches = Batches(prepared.data.train, prepared.recipe.batch_size, seed=0, step=1)
    scoring = Scoring(model, first.masks, first.weights("init"), None, batches, LOSS, seed=0)
    gradients = plain_gradients(scoring)
    products = {key: np.abs(weight * gradients[key]) for key, weight in scoring.weights.items()}
    for key, mask in cut(products, 148, first.masks).items():
        np.testing.assert_array_equal(second.masks[key], mask)
    stale = replace(scoring, batches=replace(batches, step=0))
    products = {key: np.abs(scoring.weights[key] * g) for key, g in plain_gradients(stale).items()}
    assert any((mask != second.masks[key]).any() for key, mask in cut(products, 148, first.masks).items())


def test_the_defaults_make_methods_of_criteria():
    assert registry.create("criteria", "snip").defaults["levels"] == 1
    run = prune("mlp:8", "digits", "iterative-snip", no_train=True)
    # A sparsity of 0.9 leaves rint(59.2); on the way 592 * (59 / 592) ** (t / 5) = 373.3, 235.4, 148.4, 93.6.
    assert [ticket.kept for ticket in run.tickets] == [592, 373, 235, 148, 94, 59]
