"""What a criterion is given: gradients against arithmetic by hand, and a model that stays as it was."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.data.dataset import CROSS_ENTROPY
from kerastickets.errors import RecipeError
from kerastickets.models.initial_weights import fresh
from kerastickets.models.variables import assign, snapshot
from kerastickets.pruning.scoring import Batches, Scoring
from tests.helpers.training import data, noisy, same

X, Y = data().train


def scoring(build, keys, *, size=8, step=0, weights=None):
    model = fresh(build, 0)
    assign(model, snapshot(model) | (weights or {}))
    init = snapshot(model)
    masks = {key: np.ones(init[key].shape, bool) for key in keys}
    batches = Batches((X, Y), size, seed=3, step=step)
    return Scoring(model, masks, init, None, batches, keras.losses.get(CROSS_ENTROPY), seed=3)


def linear():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3)])


def softmax_gradient(x, y, kernel, bias):
    """d mean(cross-entropy) / d kernel of a softmax regression, as in any textbook."""
    logits = x @ kernel + bias
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    return x.T @ (share - np.eye(3)[y]) / len(x)


def test_the_gradient_of_a_softmax_regression_by_hand():
    given = scoring(linear, ["dense/kernel"])
    w = given.init
    expected = softmax_gradient(*given.batches[0], w["dense/kernel"], w["dense/bias"])
    found = given.gradient()
    assert found.keys() == {"dense/kernel"}
    np.testing.assert_allclose(found["dense/kernel"], expected, atol=1e-6)
    np.testing.assert_allclose(given.mask_gradient()["dense/kernel"], expected * w["dense/kernel"], atol=1e-6)


def test_gradients_average_over_batches():
    given = scoring(linear, ["dense/kernel"])
    w = given.init
    parts = [softmax_gradient(*given.batches[n], w["dense/kernel"], w["dense/bias"]) for n in range(5)]
    np.testing.assert_allclose(given.gradient(batches=5)["dense/kernel"], np.mean(parts, 0), atol=1e-6)
    whole = softmax_gradient(X, Y, w["dense/kernel"], w["dense/bias"])
    np.testing.assert_allclose(given.gradient(batches=5)["dense/kernel"], whole, atol=1e-6)


def test_gradients_at_substituted_weights_leave_the_model_alone():
    given = scoring(linear, ["dense/kernel"])
    other = np.full((4, 3), 0.25, "float32")
    expected = softmax_gradient(*given.batches[0], other, given.init["dense/bias"])
    np.testing.assert_allclose(given.gradient({"dense/kernel": other})["dense/kernel"], expected, atol=1e-6)
    assert same(snapshot(given.model), given.init)


def test_pruned_weights_have_a_gradient_and_no_mask_gradient():
    kernel = snapshot(fresh(linear, 0))["dense/kernel"]
    kernel[0] = 0
    given = scoring(linear, ["dense/kernel"], weights={"dense/kernel": kernel})
    assert np.abs(given.gradient()["dense/kernel"][0]).min() > 0
    assert not given.mask_gradient()["dense/kernel"][0].any()


def test_scoring_leaves_statistics_and_random_state_as_they_were():
    given = scoring(noisy, ["dense/kernel", "dense_1/kernel"])
    state = given.model.layers[3].seed_generator.state
    before = snapshot(given.model), state.numpy().tolist()
    first = given.mask_gradient(batches=2)
    assert same(snapshot(given.model), before[0])
    assert state.numpy().tolist() == before[1]
    assert same(given.mask_gradient(batches=2), first)


def test_scoring_sees_the_model_as_training_does():
    """With its batch statistics and its dropout: another result than in inference."""
    given = scoring(noisy, ["dense/kernel"])
    x, y = (keras.ops.convert_to_tensor(array) for array in given.batches[0])
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = given.loss(y, given.model(x, training=False))
    inference = tape.gradient(loss, given.model.layers[0].kernel.value)
    assert not np.allclose(given.gradient()["dense/kernel"], inference, atol=1e-4)


def test_embeddings_and_weights_that_the_loss_does_not_reach():
    def build():
        x = keras.Input((4,))
        words = layers.Embedding(5, 3)(keras.ops.cast(x > 0, "int32"))
        return keras.Model(x, layers.Dense(3)(layers.Flatten()(words)))

    given = scoring(build, ["embedding/embeddings", "dense/kernel"])
    gradient = given.gradient()["embedding/embeddings"]
    assert np.abs(gradient[:2]).min() > 0
    assert not gradient[2:].any()  # words that never occur


def test_weights_are_the_prunable_ones_as_they_are_now():
    given = scoring(noisy, ["dense/kernel"])
    assert given.weights.keys() == {"dense/kernel"}
    given.model.layers[0].kernel.assign(np.full((4, 8), 2.0))
    assert (given.weights["dense/kernel"] == 2).all()
    assert not (given.init["dense/kernel"] == 2).any()


def test_batches_are_disjoint_and_keyed_by_seed_and_step():
    split = np.arange(40.0)[:, None], np.arange(40)
    batches = Batches(split, 8, seed=0, step=0)
    seen = [batches[n][1].tolist() for n in range(5)]
    assert sorted(n for batch in seen for n in batch) == list(range(40))
    assert all((batches[n][0].ravel() == batches[n][1]).all() for n in range(5))
    assert Batches(split, 8, seed=0, step=0)[2][1].tolist() == seen[2]
    assert Batches(split, 8, seed=1, step=0)[2][1].tolist() != seen[2]
    assert Batches(split, 8, seed=0, step=1)[2][1].tolist() != seen[2]


def stratified(counts, size, step=0):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return Batches((np.arange(len(labels)), labels), size, 0, step, stratified=True), labels


def per_class(batches, labels, n):
    return np.bincount(batches[n][1], minlength=labels.max() + 1)


def test_stratified_batches_of_equal_classes_hold_each_equally_often():
    batches, labels = stratified([60] * 10, 60)
    assert [per_class(batches, labels, n).tolist() for n in range(10)] == [[6] * 10] * 10


@pytest.mark.parametrize(
    "counts", [(90, 60, 30), (493, 568, 544, 564, 531, 499, 542, 571, 539, 544), (100, 3)]
)
@pytest.mark.parametrize("size", [12, 60])
def test_stratified_batches_hold_every_class_in_its_share(counts, size):
    batches, labels = stratified(counts, size)
    share = np.array(counts) * size / sum(counts)
    for n in range(sum(counts) // size):
        assert np.abs(per_class(batches, labels, n) - share).max() < 2


def test_stratified_batches_are_disjoint_and_keyed_as_others_are():
    batches, labels = stratified([20, 20, 8], 12)
    rows = [batches[n][0].tolist() for n in range(4)]
    assert sorted(row for batch in rows for row in batch) == list(range(48))
    assert all((labels[row] == batches[n][1]).all() for n, row in enumerate(rows))
    assert stratified([20, 20, 8], 12)[0][2][0].tolist() == rows[2]
    assert stratified([20, 20, 8], 12, step=1)[0][2][0].tolist() != rows[2]


def test_a_stratified_scoring_differs_in_its_batches_alone():
    given = scoring(linear, ["dense/kernel"], size=9)
    other = given.stratified()
    assert other.batches == Batches((X, Y), 9, 3, 0, stratified=True)
    assert np.bincount(other.batches[0][1]).tolist() == [3, 3, 3]
    assert (other.model, other.masks, other.init) == (given.model, given.masks, given.init)


@pytest.mark.parametrize(
    ("y", "received"),
    [
        (np.zeros((8, 2), "float32"), "targets of float32"),
        (np.zeros(8, "float32"), "targets of float32"),
        (np.zeros((8, 2), "int64"), "labels of 2 tasks"),
    ],
)
def test_only_one_class_an_example_can_be_stratified(y, received):
    with pytest.raises(RecipeError, match=rf"Stratified batches need one class .* Received: {received}\."):
        Batches((np.zeros((8, 1)), y), 4, 0, 0, stratified=True)[0]


@pytest.mark.parametrize("n", [5, -1])
def test_asking_for_more_batches_than_there_are_is_refused(n):
    with pytest.raises(RecipeError, match=rf"There are 5 batches of 8 .* a request for {n + 1}"):
        Batches((X, Y), 8, seed=0, step=0)[n]


def test_mixed_precision_scores_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        given = scoring(linear, ["dense/kernel"])
        found = given.mask_gradient()["dense/kernel"]
    finally:
        keras.config.set_dtype_policy("float32")
    w = given.init
    expected = w["dense/kernel"] * softmax_gradient(*given.batches[0], w["dense/kernel"], w["dense/bias"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)
