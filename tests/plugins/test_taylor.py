"""Taylor against gradients worked out in NumPy, per weight and per channel."""

from dataclasses import replace

import numpy as np
import pytest

from kerastickets import registry
from kerastickets.cutting.cut_scores import cut
from kerastickets.cutting.groups import UnitAxis
from kerastickets.testing import toy_ticket
from kerastickets.testing.toys import scoring_of


@pytest.fixture(scope="module")
def scoring():
    return scoring_of(toy_ticket().build, 0.5, trained=True)


@pytest.fixture(scope="module")
def changes(scoring):
    """w * dL/dw of the 64-6-10 net on the first batch, in float64."""
    from kerastickets.models.variables import snapshot

    w = {key: value.astype("float64") for key, value in snapshot(scoring.model).items()}
    x, y = scoring.batches[0]
    x = x.reshape(len(x), -1).astype("float64")
    before = x @ w["dense/kernel"] + w["dense/bias"]
    hidden = np.maximum(before, 0)
    logits = hidden @ w["dense_1/kernel"] + w["dense_1/bias"]
    share = np.exp(logits - logits.max(1, keepdims=True))
    delta = (share / share.sum(1, keepdims=True) - np.eye(10)[y]) / len(y)
    below = (delta @ w["dense_1/kernel"].T) * (before > 0)
    gradients = {"dense/kernel": x.T @ below, "dense_1/kernel": hidden.T @ delta}
    return {key: w[key] * gradient for key, gradient in gradients.items()}


def scores(scoring, **options):
    return registry.create("criteria", "taylor", options)(scoring)


def test_the_change_of_the_loss_without_each_weight(scoring, changes):
    for key, score in scores(scoring).items():
        np.testing.assert_allclose(score, np.abs(changes[key]), atol=1e-6)


def test_layers_are_normalised_by_their_euclidean_norm(scoring, changes):
    for key, score in scores(scoring, normalise=True).items():
        expected = np.abs(changes[key]) / np.sqrt((changes[key] ** 2).sum())
        np.testing.assert_allclose(score, expected, atol=1e-5)


def test_a_channels_change_is_summed_before_its_size_is_taken(scoring, changes):
    for key, score in scores(scoring, unit="channel", normalise=True).items():
        sums = np.abs(changes[key].sum(0))
        np.testing.assert_allclose(score.sum(0), sums / np.sqrt((sums**2).sum()), atol=1e-4)
        for channel in range(score.shape[1]):
            kept = score[:, channel][scoring.masks[key][:, channel]]
            assert np.ptp(kept) == 0
            assert not score[:, channel][~scoring.masks[key][:, channel]].any()


def test_cutting_channels_by_it_keeps_the_best(scoring, changes):
    key = "dense/kernel"
    mask = np.ones_like(scoring.masks[key])
    full = {key: np.broadcast_to(np.abs(changes[key].sum(0)) / 64, mask.shape)}
    made = cut(full, 128, {key: mask}, granularity="channel")[key]
    best = np.argsort(-np.abs(changes[key].sum(0)))[:2]
    assert sorted(np.flatnonzero(made.all(0))) == sorted(best)


def test_no_batch_is_refused():
    with pytest.raises(Exception, match="`batches` must be at least 1"):
        registry.create("criteria", "taylor:batches=0")


def test_the_units_of_a_run_decide_what_is_summed(scoring, changes):
    """By the first axis of one kernel and the last of the other, as one unit each, their changes add up."""
    units = np.arange(6)
    groups = {"dense/kernel": (UnitAxis(1, units),), "dense_1/kernel": (UnitAxis(0, units),)}
    made = registry.create("criteria", "taylor", {"unit": "channel"})(replace(scoring, groups=groups))
    expected = np.abs(changes["dense/kernel"].sum(0) + changes["dense_1/kernel"].sum(1))
    found = made["dense/kernel"].sum(0) + made["dense_1/kernel"].sum(1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
