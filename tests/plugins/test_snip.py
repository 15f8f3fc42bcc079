"""SNIP against references that share no line with it, in float64, and what it leaves alone and writes down."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from keras import layers

from kerastickets import registry
from kerastickets.cutting.cut_scores import compare, cut, ones
from kerastickets.data.dataset import CROSS_ENTROPY
from kerastickets.errors import PluginError, RecipeError
from kerastickets.foundations.tree import generator, kept
from kerastickets.models.initial_weights import fresh
from kerastickets.models.masking import sparsify
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import assign, snapshot
from kerastickets.pruning.prune_model import prune
from kerastickets.pruning.schedule import plan
from kerastickets.pruning.scoring import Batches, Scoring
from tests.helpers.training import data, find

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_scoring_leaves_weights_optimizer_and_statistics_bit_identical": ("snip", "snip:batches=3"),
}


LOSS = keras.losses.get(CROSS_ENTROPY)


def dense():
    return keras.Sequential([keras.Input((6,)), layers.Dense(7, activation="relu"), layers.Dense(3)])


def convolutional():
    body = [
        layers.Conv2D(2, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(3),
    ]
    return keras.Sequential([keras.Input((5, 5, 2)), *body])


def scored(build, seed=0, size=6, trained=False):
    """A scoring of 24 random examples whose weights are all moved, biases too, so that no gradient is trivial."""
    model = fresh(build, seed)
    draw = generator("snip", seed)
    moved = {k: v + 0.2 * draw.random(v.shape).astype("float32") for k, v in snapshot(model).items()}
    assign(model, moved)
    masks = ones({entry.key: entry.shape for entry in weight_reports(model) if entry.masked})
    if trained:
        sparsify(model)
        model.compile(keras.optimizers.Adam(), LOSS)
        model.fit(*examples(model, seed), verbose=0, batch_size=size, shuffle=False)
    batches = Batches(examples(model, seed), size, seed, step=0)
    return Scoring(model, masks, moved, None, batches, LOSS, seed)


def examples(model, seed):
    x = generator("snip-data", seed).normal(size=(24, *model.input_shape[1:])).astype("float32")
    return x, np.arange(24) % 3


def cross_entropy(logits, y):
    """Each example's, and its gradient with respect to the logits."""
    shifted = logits - logits.max(1, keepdims=True)
    share = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    return -np.log(share[np.arange(len(y)), y]), share - np.eye(logits.shape[1])[y]


def float64(scoring):
    return {key: value.astype("float64") for key, value in snapshot(scoring.model).items()}


def by_hand(scoring, batches):
    """|w dL/dw| of a net with one hidden layer, worked out by the chain rule in NumPy."""
    w = float64(scoring)
    sums = {key: np.zeros(mask.shape) for key, mask in scoring.masks.items()}
    for x, y in (scoring.batches[n] for n in range(batches)):
        x = x.astype("float64")
        before = x @ w["dense/kernel"] + w["dense/bias"]
        hidden = np.maximum(before, 0)
        back = cross_entropy(hidden @ w["dense_1/kernel"] + w["dense_1/bias"], y)[1] / len(y)
        sums["dense_1/kernel"] += hidden.T @ back
        sums["dense/kernel"] += x.T @ (back @ w["dense_1/kernel"].T * (before > 0))
    saliency = {key: np.abs(w[key] * value / batches) for key, value in sums.items()}
    return normalised(saliency)


def convolved(x, w):
    """The mean loss of `convolutional` in training, every step written out in NumPy."""
    x, y = x
    patches = np.lib.stride_tricks.sliding_window_view(x.astype("float64"), (3, 3), axis=(1, 2))
    h = np.einsum("nhwcij,ijcf->nhwf", patches, w["conv2d/kernel"]) + w["conv2d/bias"]
    h = (h - h.mean((0, 1, 2))) / np.sqrt(h.var((0, 1, 2)) + 1e-3)
    h = np.maximum(h * w["batch_normalization/gamma"] + w["batch_normalization/beta"], 0)
    return cross_entropy(h.reshape(len(y), -1) @ w["dense/kernel"] + w["dense/bias"], y)[0].mean()


def by_differences(scoring, step=1e-6):
    """|dL/dc| at c = 1, a mask at a time, by central differences of the loss."""
    w, batch, saliency = float64(scoring), scoring.batches[0], {}
    for key, mask in scoring.masks.items():
        slopes = np.empty(mask.size)
        for n in range(mask.size):
            losses = []
            for c in (1 + step, 1 - step):
                changed = w[key].copy()
                changed.ravel()[n] *= c
                losses.append(convolved(batch, w | {key: changed}))
            slopes[n] = (losses[0] - losses[1]) / (2 * step)
        saliency[key] = np.abs(slopes).reshape(mask.shape)
    return normalised(saliency)


def normalised(saliency):
    scale = sum(value.sum() for value in saliency.values())
    return {key: value / scale for key, value in saliency.items()}, scale


def check(scores, reference, scale):
    most = max(value.max() for value in reference.values())
    assert scores.keys() == reference.keys()
    for key, value in reference.items():
        assert scores[key].dtype == np.float64
        assert value.max() > 0
        assert np.abs(scores[key] - value).max() < 1e-4 * most, key
    assert scores.facts["saliency"]["total"] == pytest.approx(scale, rel=1e-4)
    for key, total in scores.facts["saliency"]["layers"].items():
        assert total == pytest.approx(reference[key].sum() * scale, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batches", [1, 4])
def test_scores_of_one_hidden_layer_are_those_of_numpy(seed, batches):
    scoring = scored(dense, seed)
    check(registry.create("criteria", "snip", {"batches": batches})(scoring), *by_hand(scoring, batches))


@pytest.mark.parametrize("seed", range(2))
def test_scores_of_a_convolutional_net_are_the_slopes_of_its_loss_in_the_masks(seed):
    scoring = scored(convolutional, seed)
    check(registry.create("criteria", "snip")(scoring), *by_differences(scoring))


def everything(model):
    """All that a model and its optimizer hold, bit for bit."""
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(variable)).tobytes() for variable in variables]


@pytest.mark.parametrize(
    "spec", ["snip", "snip:batches=3", "snip:batches=2,stratified=true", "iterative-snip"]
)
def test_scoring_leaves_weights_optimizer_and_statistics_bit_identical(spec):
    scoring = scored(convolutional, trained=True)
    before = everything(scoring.model)
    registry.create("criteria", spec)(scoring)
    assert everything(scoring.model) == before
    # Of a trained net with moments and statistics, not of zeros and ones.
    assert len(before) > 20
    assert snapshot(scoring.model)["batch_normalization/moving_mean"].any()
    assert np.abs(np.array(scoring.model.optimizer.variables[2])).max() > 0


def test_the_scale_of_saliency_is_told_as_json():
    scores = registry.create("criteria", "snip")(scored(dense))
    facts = json.loads(json.dumps(scores.facts))
    assert facts["saliency"]["total"] == sum(facts["saliency"]["layers"].values())
    assert sum(score.sum() for score in scores.values()) == pytest.approx(1)
    twice = registry.create("criteria", "snip")(replace(scored(dense), loss=lambda y, p: 2 * LOSS(y, p)))
    assert twice.facts["saliency"]["total"] == pytest.approx(2 * facts["saliency"]["total"])
    assert all(np.allclose(twice[key], scores[key]) for key in scores)


def test_stratified_batches_are_what_is_scored_on():
    scoring = scored(dense)
    snip = registry.create("criteria", "snip:stratified=true")
    assert snip.stratified
    assert [np.bincount(scoring.stratified().batches[n][1]).tolist() for n in range(4)] == [[2, 2, 2]] * 4
    reference = by_hand(scoring.stratified(), 1)
    check(snip(scoring), *reference)
    assert not np.allclose(snip(scoring)["dense/kernel"], by_hand(scoring, 1)[0]["dense/kernel"])


def test_stratified_batches_of_targets_are_refused():
    scoring = scored(dense)
    x, y = scoring.batches.split
    targets = replace(scoring.batches, split=(x, np.eye(3, dtype="float32")[y]))
    with pytest.raises(RecipeError, match=r"need one class per example\. Received: targets of float32"):
        registry.create("criteria", "snip:stratified=true")(replace(scoring, batches=targets))
    with pytest.raises(PluginError, match="'stratified' of Snip must be"):
        registry.create("criteria", "snip:stratified=perhaps")


@pytest.mark.parametrize("build", [dense, convolutional])
@pytest.mark.parametrize("density", [0.8, 0.64, 0.512, 0.1])
def test_masks_of_snip_and_of_magnitude_differ(build, density):
    for seed in range(5):
        scoring = scored(build, seed)
        keep = round(density * kept(scoring.masks))
        one, other = (
            cut(registry.create("criteria", name)(scoring), keep, scoring.masks, allow_collapse=True)
            for name in ("snip", "magnitude")
        )
        assert compare(one, other)["total"]["only_a"] > 0, seed


@pytest.mark.parametrize("spacing", ["geometric", "linear"])
def test_iterative_snip_of_one_step_is_snip(spacing):
    dials = {"sparsity": 0.7, "no_train": True}
    once = find(criterion="snip", **dials).tickets[1].masks
    steps = find(criterion="iterative-snip", levels=1, spacing=spacing, **dials).tickets
    assert len(steps) == 2
    for key, mask in once.items():
        np.testing.assert_array_equal(steps[1].masks[key], mask)


@pytest.mark.parametrize(
    ("spacing", "counts"),
    # 4 * 8 + 8 * 3 = 56 weights to 14: shares of sqrt(.5), or 10.5 a step with ties to even.
    [("geometric", [56, 40, 28, 20, 14]), ("linear", [56, 46, 35, 24, 14])],
)
def test_iterative_snip_takes_its_steps_and_revives_nothing(spacing, counts):
    run = find(criterion="iterative-snip", levels=4, target=14, spacing=spacing, no_train=True)
    assert [ticket.kept for ticket in run.tickets] == counts
    for more, less in zip(run.tickets, run.tickets[1:], strict=False):
        assert all((less.masks[key] <= more.masks[key]).all() for key in more.masks)
    assert run.tickets[4].provenance["method"].get("spacing", "geometric") == spacing


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 99), st.sampled_from(["geometric", "linear"]))
def test_no_schedule_revives_a_weight_whatever_is_scored(target, levels, seed, spacing):
    masks = ones({"a": (5, 8), "b": (20,)})
    schedule = plan(masks, levels=levels, target=target, spacing=spacing)
    assert levels > 1 or schedule.counts == (60, target)
    draw = np.random.default_rng(seed)
    for count in schedule.counts:
        scores = {key: draw.random(mask.shape) for key, mask in masks.items()}
        after = cut(scores, count, masks, allow_collapse=True)
        assert all((after[key] <= masks[key]).all() for key in masks)
        assert kept(after) == count
        masks = after


def test_a_run_by_name_takes_the_options():
    run = prune(
        dense_for_data, data(), "snip:batches=2,stratified=true", sparsity=0.5, no_train=True, batch_size=6
    )
    assert run.tickets[1].provenance["options"] == {"batches": 2, "stratified": True}
    assert run.tickets[1].kept == 14


def dense_for_data():
    return keras.Sequential([keras.Input((4,)), layers.Dense(4, activation="tanh"), layers.Dense(3)])


def test_the_scale_of_saliency_is_in_the_tickets_provenance():
    dense, cut = prune("mlp:8", "digits", "snip", sparsity=0.5, train="1ep", jit="off").tickets
    saliency = cut.provenance["scores"]["saliency"]
    assert saliency["total"] == pytest.approx(sum(saliency["layers"].values()))
    assert saliency["total"] > 0
    assert "scores" not in dense.provenance
