import json
import random

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets import layers as kt
from kerastickets.errors import AlignError
from kerastickets.models.architecture import (
    architecture,
    custom_classes,
    faithful_architecture,
    is_keras,
    plain_class,
    rebuild,
)
from kerastickets.models.variables import variables, walk
from tests.helpers import nets

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_two_builds_have_one_architecture_and_it_builds_them": ("recurrent", "nested"),
}


ids = {"ids": lambda build: build.__name__}


def shapes(model):
    return [(place.key, tuple(place.variable.shape)) for place in walk(model)]


@pytest.mark.parametrize("build", nets.REBUILDABLE, **ids)
def test_two_builds_have_one_architecture_and_it_builds_them(build, tmp_path):
    model = build()
    config = architecture(model)
    assert architecture(build()) == config
    assert json.loads(json.dumps(config)) == config
    model.save(tmp_path / "model.keras")
    assert architecture(keras.models.load_model(tmp_path / "model.keras")) == config
    again = rebuild(config, custom_classes(model))
    assert shapes(again) == shapes(model)
    assert architecture(again) == config
    assert faithful_architecture(model) == config


def names(model):
    return [layer["config"]["name"] for layer in architecture(model)["config"]["layers"]]


def test_made_up_names_are_numbered_in_reading_order():
    layers.Dense(1), layers.Dense(1)
    assert names(nets.two_outputs())[0] == "input_layer"
    assert sorted(names(nets.two_outputs())) == ["dense", "dense_1", "dense_2", "dense_3", "input_layer"]
    assert architecture(nets.plain())["config"]["name"] == "sequential"


def test_chosen_names_stay_and_numbers_go_around_them():
    assert names(nets.named()) == ["input_layer", "dense", "dense_2", "head", "dense_1"]


def test_outputs_by_name_follow_their_layers_when_those_are_renumbered():
    start = keras.Input((3,))
    model = keras.Model(start, {"a": layers.Dense(2)(start), "b": layers.Dense(1)(start)})
    assert {name: out.shape for name, out in rebuild(architecture(model)).output.items()} == {
        "a": (None, 2),
        "b": (None, 1),
    }


def test_reading_leaves_the_model_and_the_config_alone():
    model = nets.nested()
    before = [layer.name for layer in model.layers]
    config = architecture(model)
    copy = json.loads(json.dumps(config))
    rebuild(config)
    assert [layer.name for layer in model.layers] == before
    assert config == copy


def test_compiling_and_training_change_nothing():
    model = nets.plain()
    config = architecture(model)
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 4)), np.zeros((4, 3)), verbose=0)
    assert architecture(model) == config


def test_other_models_have_other_architectures():
    wide = keras.Sequential([keras.Input((4,)), layers.Dense(7, activation="tanh"), layers.Dense(3)])
    assert architecture(wide) != architecture(nets.plain())


def test_a_model_without_a_config_has_none():
    assert architecture(nets.opaque()) == {}
    assert faithful_architecture(nets.opaque()) == {}


def test_a_model_whose_config_cannot_be_followed_has_none_that_is_faithful():
    class Forgetful(nets.WithConfig):
        @classmethod
        def from_config(cls, config):
            raise RuntimeError("forgotten")

    model = Forgetful()
    model(np.zeros((1, 4), "float32"))
    assert architecture(model) != {}
    assert faithful_architecture(model) == {}


def test_a_subclassed_model_is_rebuilt_with_its_input_shape():
    config = architecture(nets.subclassed())
    assert config["build_config"]["input_shape"] == [1, 4]
    assert rebuild(config).built


def test_a_layer_shared_across_a_nested_models_border_is_refused():
    x, y = keras.Input((4,)), keras.Input((4,))
    dense = layers.Dense(4)
    inner = keras.Model(x, dense(x))
    model = keras.Model(y, dense(inner(y)))
    assert list(variables(model)) == ["functional/dense/kernel", "functional/dense/bias"]
    with pytest.raises(
        AlignError, match=r"differs: .* Received: .* shared between a nested and an outer model"
    ):
        faithful_architecture(model)


def test_mask_aware_layers_are_stored_as_their_base_class():
    masked = keras.Sequential([keras.Input((8, 8, 1)), kt.Conv2D(2, 3), layers.Flatten(), kt.Dense(3)])
    config = architecture(masked)
    assert {layer["module"] for layer in config["config"]["layers"]} == {"keras.layers"}
    assert "kerastickets" not in json.dumps(config)
    again = rebuild(config)
    assert type(again.layers[0]) is layers.Conv2D
    assert shapes(again) == shapes(masked)


def test_mask_aware_layers_inside_wrappers_are_stored_as_their_base_class():
    x = keras.Input((5, 4))
    model = keras.Model(x, layers.Bidirectional(kt.GRU(2))(layers.TimeDistributed(kt.Dense(3))(x)))
    other = keras.Model(
        y := keras.Input((5, 4)),
        layers.Bidirectional(layers.GRU(2))(layers.TimeDistributed(layers.Dense(3))(y)),
    )
    assert architecture(model) == architecture(other)


def test_plain():
    assert plain_class(kt.LSTM) is layers.LSTM
    assert plain_class(layers.LSTM) is layers.LSTM
    assert is_keras(layers.Dense)
    assert not is_keras(kt.Dense)
    assert not is_keras(nets.Scaled)


def test_custom_classes_are_known_by_both_names():
    known = custom_classes(nets.custom())
    assert known == {"Scaled": nets.Scaled, "tests>Scaled": nets.Scaled}
    assert custom_classes(nets.attention()) == {}


def test_checking_a_model_does_not_move_the_callers_random_numbers():
    model = nets.plain()
    random.seed(3)
    expected = random.Random(3).random()
    faithful_architecture(model)
    assert random.random() == expected
