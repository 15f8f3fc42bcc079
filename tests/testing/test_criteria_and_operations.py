"""What every plugin must be, and what a criterion must: each broken promise is caught, odd but good ones pass."""

import itertools
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from kerastickets import testing
from tests.helpers.badplugins import plugin, refused

# What every plugin must be


@dataclass
class Thawed:
    def __call__(self, scoring):
        return {}


@dataclass(frozen=True)
class Opaque:
    by: object = print

    def __call__(self, scoring):
        return {}


@dataclass(frozen=True)
class Infinite:
    power: float = float("inf")

    def __call__(self, scoring):
        return {}


@pytest.mark.parametrize(
    "check",
    # A study is a module; its own check is tested beside it.
    [
        getattr(testing, name)
        for name in testing.__all__
        if name.startswith("check_") and name != "check_study"
    ],
    ids=lambda check: check.__name__,
)
def test_a_plugin_is_a_frozen_dataclass_with_json_ready_options(check):
    for stranger in (lambda scoring: {}, Thawed(), Opaque):
        with pytest.raises(AssertionError, match=r"must be an instance of a frozen dataclass\. Received: "):
            check(stranger)
    for opaque in (Opaque(), Infinite()):
        with pytest.raises(AssertionError, match=r"The options of \w+ must be JSON-ready\. Received: "):
            check(opaque)


# Criteria


def magnitude(scoring):
    return {key: np.abs(weight) for key, weight in scoring.weights.items()}


def then(change):
    """A magnitude that also does `change` to its scoring."""
    return lambda scoring: (magnitude(scoring), change(scoring))[0]


def layers(scoring, kind):
    return [layer for layer in scoring.model.layers if isinstance(layer, kind)]


def forget_a_weight(scoring):
    scoring.model.layers[-1].kernel.assign_add(keras.ops.ones_like(scoring.model.layers[-1].kernel))


def update_statistics(scoring):
    for layer in layers(scoring, keras.layers.BatchNormalization):
        layer(np.ones((2, 3, 3, 2), "float32"), training=True)


def draw_noise(scoring):
    for layer in layers(scoring, keras.layers.Dropout):
        layer(np.ones((2, 3), "float32"), training=True)


def unmask(scoring):
    scoring.model.layers[-1].kernel.constraint.value.assign(np.zeros((6, 10)))


def clear_a_mask(scoring):
    scoring.masks["dense_1/kernel"][:] = False


def scribble_on_init(scoring):
    scoring.init["dense/bias"][:] = 7


BAD_STATE = {
    "weights": (forget_a_weight, "a changed .*kernel"),
    "statistics": (
        update_statistics,
        "BatchNormalization and Dropout, must leave the model unchanged.* changed .*moving_mean",
    ),
    "seeds": (draw_noise, "a changed .*seed_generator_state"),
    "optimizer": (lambda scoring: scoring.model.optimizer.iterations.assign_add(1), "a changed .*iteration"),
    "compiled anew": (lambda scoring: scoring.model.compile("sgd", "mse"), "a changed .*adam"),
    "attached masks": (unmask, "a changed mask of dense_1/kernel"),
    "masks": (clear_a_mask, "a changed dense_1/kernel in `masks`"),
    "init": (scribble_on_init, "a changed dense/bias in `init`"),
}


@pytest.mark.parametrize(("change", "message"), BAD_STATE.values(), ids=BAD_STATE)
def test_a_criterion_that_changes_something_is_caught(change, message):
    refused(testing.check_criterion, then(change), message)


def counting():
    count = itertools.count()
    return lambda scoring: {key: score + next(count) for key, score in magnitude(scoring).items()}


BAD_SCORES = {
    "no mapping": (lambda scoring: [*magnitude(scoring).values()], "scores by key. Received: list"),
    "a key more": (lambda s: magnitude(s) | {"dense/bias": np.ones(6)}, "must score exactly .*'dense/bias'"),
    "a key less": (lambda s: {"dense/kernel": magnitude(s)["dense/kernel"]}, "exactly .*: ..dense/kernel..$"),
    "flat": (
        lambda scoring: {key: score.ravel() for key, score in magnitude(scoring).items()},
        r"must score dense/kernel in its shape \(64, 6\)\. Received: \(384,\)",
    ),
    "nan": (
        lambda scoring: {key: np.log(score - score) * 0 for key, score in magnitude(scoring).items()},
        "finite scores for kept weights. Received: 384 that are not finite in dense/kernel",
    ),
    "text": (
        lambda scoring: {key: score.astype(str) for key, score in magnitude(scoring).items()},
        "with numbers. Received: <U",
    ),
    "unseeded": (
        lambda scoring: {key: np.random.random(mask.shape) for key, mask in scoring.masks.items()},
        "give equal scores for equal scorings. Received: different scores of dense/kernel",
    ),
    "remembering": (counting(), "give equal scores for equal scorings"),
    "failing": (
        lambda scoring: scoring.masks["nowhere"],
        "a dense net, must score. Received: KeyError: 'nowhere'",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD_SCORES.values(), ids=BAD_SCORES)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_criterion_with_bad_scores_is_caught(call, message):
    refused(testing.check_criterion, call, message)


def test_a_criterion_that_fails_on_half_pruned_nets_alone_is_caught():
    def over_mean(scoring):
        means = {
            key: np.where(scoring.masks[key], score, np.nan).mean()
            for key, score in magnitude(scoring).items()
        }
        return {key: score / means[key] for key, score in magnitude(scoring).items()}

    refused(testing.check_criterion, over_mean, "on a half-pruned net .*must have finite scores")


def test_scores_of_pruned_weights_may_be_anything_and_of_any_number_type():
    def of_masks(scoring):
        return {key: np.where(mask, 1.0, np.nan) for key, mask in scoring.masks.items()}

    testing.check_criterion(plugin(of_masks))
    testing.check_criterion(plugin(lambda scoring: dict(scoring.masks)))


def test_init_and_rewind_are_given():
    seen = []

    def moved(scoring):
        seen.append(scoring.rewind is not None)
        since = scoring.rewind or scoring.init
        return {key: np.abs(weight - since[key]) for key, weight in scoring.weights.items()}

    testing.check_criterion(plugin(moved))
    assert set(seen) == {True, False}
