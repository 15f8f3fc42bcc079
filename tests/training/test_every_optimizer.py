"""Every optimizer that Keras ships, under every setting that Keras has: zeros stay zero, masks as they were."""

import inspect
import itertools
import json

import keras
import numpy as np
import pytest

from kerastickets.errors import RecipeError
from kerastickets.models.masking import masks_of
from kerastickets.models.variables import snapshot
from kerastickets.training.optimizers import make_optimizer
from kerastickets.training.recipe import Recipe
from tests.helpers.training import plain, start, trainer

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_zeros_stay_under_every_optimizer": ("Adafactor*", "Nadam*", "Adagrad*", "Adadelta*"),
}


SHIPPED = {
    name: cls
    for name, cls in sorted(vars(keras.optimizers).items())
    if isinstance(cls, type)
    and issubclass(cls, keras.optimizers.Optimizer)
    and cls is not keras.optimizers.Optimizer
}
#: Those that hold other optimizers have no rate of their own.
PLAIN = {name: cls for name, cls in SHIPPED.items() if "learning_rate" in inspect.signature(cls).parameters}

#: Rates at which four steps move every weight by more than float32 rounds away.
RATES = {"Adadelta": 1.0, "SGD": 0.1}

#: What goes into the optimizer's config, and what into the recipe.
SETTINGS = {
    "plain": ({}, {}),
    "weight_decay": ({"weight_decay": 0.1}, {}),
    "clipnorm": ({"clipnorm": 0.1}, {}),
    "global_clipnorm": ({"global_clipnorm": 0.1}, {}),
    "use_ema": ({"use_ema": True, "ema_momentum": 0.5}, {}),
    "gradient_accumulation_steps": ({"gradient_accumulation_steps": 2}, {}),
    "loss_scale_factor": ({"loss_scale_factor": 128.0}, {}),
    "loss_scale_optimizer": ({}, {}),
    "schedule": ({}, {"lr_schedule": "cosine", "warmup": "2it"}),
}

WHOLE = list(itertools.product(PLAIN, SETTINGS))
DIAGONAL = [(name, [*SETTINGS][n % len(SETTINGS)]) for n, name in enumerate(PLAIN)]


def checkered():
    """Masks under which every unit keeps an input and an output, so that every kept weight has a gradient."""
    shapes = {"dense/kernel": (4, 8), "dense_1/kernel": (8, 3)}
    return {key: np.indices(shape).sum(axis=0) % 2 == 0 for key, shape in shapes.items()}


def serialized(optimizer):
    return json.loads(json.dumps(keras.optimizers.serialize(optimizer)))


def config_of(name, setting):
    config = {"learning_rate": RATES.get(name, 0.01)} | SETTINGS[setting][0]
    if setting == "loss_scale_optimizer":
        return serialized(keras.optimizers.LossScaleOptimizer(SHIPPED[name](**config), initial_scale=64.0))
    return {"class_name": name, "config": config}


def threes():
    """The net, built with weights far from those that trainings start from."""
    model = plain()
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, 3.0, "float32"))
    return model


def train(optimizer, **dials):
    """Four steps under checkered masks, after which zeros are zero, masks are as they were and the rest moved."""
    made = trainer(
        threes,
        optimizer=optimizer,
        **{"lr": None, "train": "4it", "eval_every": "1it", "keep": "last"} | dials,
    )
    live = []

    def remember(row):
        live.append((snapshot(made.model), masks_of(made.model)))

    begin, masks = start(), checkered()
    outcome = made.train(begin, masks, seed=0, on_row=remember)
    for weights, held in live:
        assert held.keys() == masks.keys()
        for key, mask in masks.items():
            assert (held[key] == mask).all()
            assert not weights[key][~mask].any()
    for key, mask in masks.items():
        assert not outcome.final[key][~mask].any()
        assert not np.signbit(outcome.final[key][~mask]).any()
        assert np.isfinite(outcome.final[key]).all()
        # At one step or another: Lion's, all of one size, may lead back.
        moved = np.any([weights[key] != begin[key] for weights, _ in live], axis=0)
        assert moved[mask].all(), f"{key} stood still"
        # Some optimizers copy the weights that they are built on: none of that may leak into a training.
        assert np.abs(outcome.final[key] - begin[key])[mask].max() < 1.5
    return made


def holds(name, setting):
    made = train(config_of(name, setting), **SETTINGS[setting][1])
    optimizer = made.model.optimizer
    if setting == "loss_scale_optimizer":
        assert type(optimizer) is keras.optimizers.LossScaleOptimizer
        optimizer = optimizer.inner_optimizer
    assert type(optimizer) is SHIPPED[name]
    for option, value in SETTINGS[setting][0].items():
        assert getattr(optimizer, option) == value


@pytest.mark.parametrize(("name", "setting"), DIAGONAL)
def test_zeros_stay_under_every_optimizer(name, setting):
    holds(name, setting)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "setting"), [pair for pair in WHOLE if pair not in DIAGONAL], ids="-".join)
def test_zeros_stay_under_every_optimizer_and_every_setting(name, setting):
    holds(name, setting)


def test_what_holds_other_optimizers_is_tried_here():
    assert SHIPPED.keys() - PLAIN.keys() <= {"LossScaleOptimizer", "MultiOptimizer"}
    assert len(PLAIN) >= 14


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("setting", ["clip_norm", "ema"])
def test_a_setting_that_no_optimizer_has_is_refused(name, setting):
    with pytest.raises(RecipeError, match=f"The optimizer '{name}' must take its settings"):
        make_optimizer(Recipe(optimizer={"class_name": name, "config": {setting: 1}}), 4, 2)


@pytest.mark.parametrize("name", sorted(SHIPPED.keys() - PLAIN.keys()))
def test_the_name_of_what_holds_other_optimizers_is_refused(name):
    with pytest.raises(RecipeError, match=f"No optimizer named '{name}'. .*Known: .*adam"):
        make_optimizer(Recipe(optimizer=name), 4, 2)


@pytest.mark.parametrize("setting", ["use_ema", "schedule"])
def test_a_scaled_loss_keeps_averages_and_schedules(setting):
    inner = keras.optimizers.SGD(0.1, **SETTINGS[setting][0])
    made = train(serialized(keras.optimizers.LossScaleOptimizer(inner, 64.0)), **SETTINGS[setting][1])
    rate = float(made.model.optimizer.learning_rate)
    # Cosine at the last step of four: 0.1 * (1 + cos(3 pi / 4)) / 2.
    assert rate == pytest.approx(0.1 if setting == "use_ema" else 0.05 * (1 - np.sqrt(0.5)), rel=1e-5)


def multi(default, **by_pattern):
    optimizers = keras.optimizers
    by_key = {f".*{name}/kernel": inner for name, inner in by_pattern.items()}
    return serialized(optimizers.MultiOptimizer(optimizers.OptimizerMap(default, by_key)))


needs_multi = pytest.mark.skipif("MultiOptimizer" not in SHIPPED, reason="this Keras has no MultiOptimizer")


@needs_multi
@pytest.mark.parametrize("setting", ["plain", "weight_decay", "clipnorm", "gradient_accumulation_steps"])
def test_zeros_stay_under_one_optimizer_for_each_weight(setting):
    config = SETTINGS[setting][0]
    made = train(
        multi(keras.optimizers.SGD(0.1, momentum=0.9, **config), dense=keras.optimizers.Adam(0.01, **config))
    )
    assert [type(one).__name__ for one in made.model.optimizer.optimizers] == ["Adam", "SGD"]


@needs_multi
@pytest.mark.parametrize(
    ("inner", "dials", "said"),
    [
        ({}, {"lr_schedule": "cosine"}, "need a rate to multiply"),
        ({}, {"warmup": "2it"}, "need a rate to multiply"),
        ({}, {"lr": 0.5}, "must take its settings"),
        ({}, {"weight_decay": 0.5}, "must take its settings"),
        ({"use_ema": True}, {}, "MultiOptimizer.* neither schedules nor averages"),
        (
            {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)},
            {},
            "MultiOptimizer.* neither schedules nor averages",
        ),
    ],
)
def test_what_one_optimizer_for_each_weight_cannot_follow_is_refused(inner, dials, said):
    config = multi(keras.optimizers.SGD(0.1), dense=keras.optimizers.SGD(**inner))
    with pytest.raises(RecipeError, match=said):
        make_optimizer(Recipe(optimizer=config, **dials), 4, 2)
