"""Models are equal to those that Keras itself deserializes, and no layer of a Sequential is called twice."""

import copy
import json

import pytest

from kerastickets.models.deserialization import deserialize

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_a_model_is_the_one_that_keras_makes": ("frozen", "nested", "keeper", "built_without_input"),
}


keras = pytest.importorskip("keras")
layers = keras.layers


@keras.saving.register_keras_serializable("deserialization")
class Mine(keras.Sequential):
    """A registered subclass that adds and reads its layers as Keras does."""


@keras.saving.register_keras_serializable("deserialization")
class Stepwise(keras.Sequential):
    """A registered subclass that looks at each layer as it is added."""

    def add(self, layer, rebuild=True):
        super().add(layer, rebuild)
        self.seen = [*getattr(self, "seen", []), (layer.name, self.built)]


@keras.saving.register_keras_serializable("deserialization")
class Keeper(layers.Layer):
    """A layer of the caller that keeps the configuration which it received."""

    def __init__(self, inner=None, **options):
        super().__init__(**options)
        self.inner = inner

    def call(self, x):
        return x

    def get_config(self):
        return {**super().get_config(), "inner": self.inner}


def inner(*more, **options):
    return keras.Sequential([keras.Input((4,)), layers.Dense(4, name="first"), *more], **options)


def plain():
    return inner(layers.BatchNormalization(), layers.Dropout(0.5, seed=3), name="plain")


def without_input():
    return keras.Sequential([layers.Dense(3), layers.Dense(2)])


def built_without_input():
    model = keras.Sequential([layers.Dense(3, dtype="mixed_bfloat16"), layers.Dense(2)])
    model.build((None, 5))
    return model


def functional_first():
    x = keras.Input((4,))
    return keras.Sequential([keras.Model(x, layers.Dense(3)(x)), layers.Dense(2), inner_of(2)])


def inner_of(size):
    return keras.Sequential([keras.Input((size,)), layers.Dense(size)])


def nested():
    return inner(inner(inner(name="deep"), name="middle"), layers.Dense(1), name="outer")


def in_functional():
    shared, x = inner(name="shared"), keras.Input((4,))
    y = shared(shared(x))
    y = layers.TimeDistributed(keras.Sequential([keras.Input((2,)), layers.Dense(3)]))(
        layers.Reshape((2, 2))(y)
    )
    return keras.Model(x, y)


def frozen():
    model = plain()
    model.trainable = False
    return model


def compiled():
    model = inner(layers.Dense(1))
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def mine():
    return Mine([keras.Input((4,)), layers.Dense(2), Mine([layers.Dense(1)], name="below")])


def stepwise():
    model = Stepwise(name="stepwise")
    for layer in (keras.Input((4,)), layers.Dense(2), layers.Dense(1)):
        model.add(layer)
    return model


def keeper():
    return inner(Keeper(keras.saving.serialize_keras_object(plain())))


def only_input():
    return keras.Sequential([keras.Input((4,))])


MODELS = [
    *(plain, without_input, built_without_input, functional_first, nested, in_functional, frozen, compiled),
    *(mine, stepwise, keeper, only_input, lambda: keras.Sequential(name="empty")),
]


def facts(model):
    paths = [(weight.path, tuple(weight.shape), weight.dtype, weight.trainable) for weight in model.weights]
    config = keras.saving.serialize_keras_object(model)
    kept = getattr(model, "seen", None), model.compiled, model.built, type(model), [*map(type, model.layers)]
    return paths, json.dumps(config, sort_keys=True), kept


@pytest.mark.parametrize(
    "make", [pytest.param(one, marks=[pytest.mark.slow] if n % 2 else []) for n, one in enumerate(MODELS)]
)
def test_a_model_is_the_one_that_keras_makes(make):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(make())))
    before = copy.deepcopy(config)
    keras.backend.clear_session()
    expected = facts(keras.saving.deserialize_keras_object(copy.deepcopy(config)))
    keras.backend.clear_session()
    assert facts(deserialize(config)) == expected
    assert config == before


def test_custom_objects_by_name_and_in_the_older_format():
    config = json.loads(
        json.dumps(keras.saving.serialize_keras_object(inner(Mine([layers.Dense(1)], name="m"))))
    )
    old = {"class_name": "Own", "config": config["config"]["layers"][2]["config"]}
    config["config"]["layers"][2] = old
    model = deserialize(config, {"Own": Mine})
    assert [type(layer) for layer in model.layers] == [layers.Dense, Mine]
    root = {"class_name": "Own", "config": config["config"]}
    assert deserialize(root, {"Own": Mine}).output_shape == (None, 1)


def test_each_layer_is_called_once():
    config = keras.saving.serialize_keras_object(
        keras.Sequential([keras.Input((4,)), *map(layers.Dense, [2] * 9)])
    )
    model = deserialize(config)
    assert [len(layer._inbound_nodes) for layer in model.layers] == [1] * 9


def test_a_model_is_built_once_wherever_it_stands(monkeypatch):
    built = []
    build = keras.Sequential.build
    config = keras.saving.serialize_keras_object(in_functional())
    model = keras.saving.serialize_keras_object(inner(*map(layers.Dense, [2] * 5), name="hidden"))
    call = config["config"]["layers"][1]["inbound_nodes"][0]
    monkeypatch.setattr(
        keras.Sequential, "build", lambda self, shape: built.append(self.name) or build(self, shape)
    )
    deserialize(config)
    assert sorted(built) == sorted({*built})
    built.clear()
    call["kwargs"] = {"unknown": [model]}
    with pytest.raises(TypeError):
        deserialize({**config, "compile_config": {"optimizer": model}})
    assert built.count("hidden") == 1


def test_other_objects_and_errors_are_those_of_keras():
    assert deserialize({"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}}).units == 3
    sequential = {"module": "keras", "class_name": "Sequential", "registered_name": None}
    with pytest.raises(ValueError, match="must be a dictionary containing the 'name'"):
        deserialize({**sequential, "config": {"layers": []}})
    twice = [{"module": "keras.layers", "class_name": "Dense", "config": {"units": 3, "name": "a"}}] * 2
    with pytest.raises(ValueError, match="should have unique names"):
        deserialize({**sequential, "config": {"name": "s", "layers": twice}})
    with pytest.raises(KeyError):
        deserialize({**sequential, "config": {"name": "s"}})
