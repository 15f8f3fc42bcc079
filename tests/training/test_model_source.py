import random
import sys

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets import layers as kt
from kerastickets.data.dataset import Data
from kerastickets.errors import AlignError, DataError, PluginError, RecipeError, TicketError
from kerastickets.models.architecture import architecture
from kerastickets.models.masking import masks_of, sparsify
from kerastickets.models.variables import snapshot, variables
from kerastickets.pruning.prune_model import prune
from kerastickets.testing.toys import toy_ticket
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import (
    data_digest,
    data_files,
    data_name,
    data_of,
    file_digest,
    find_model,
    model_recipe,
    source_of,
    ticket_recipe,
)
from tests.helpers import nets

SPARSE = "sparse_categorical_crossentropy"


def source(found, **more):
    return source_of(found, nets.data(), "spec", **more)


def equal(a, b):
    return a.keys() == b.keys() and all((a[key] == b[key]).all() for key in a)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module and makes it importable under its name."""

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


# Names.


def test_a_registered_name_with_its_options():
    plugin = find_model("mlp:5-4")
    assert plugin.widths == (5, 4)
    made = source(plugin)
    assert made.name == "spec"
    assert variables(made.build())["dense_2/kernel"].shape == (4, 3)
    assert made.recipe["lr"] == 1e-3
    assert made.objective is None
    assert made.architecture == architecture(made.build())


def test_initial_weights_follow_the_seed_whatever_was_built_before():
    made = source(find_model("mlp:5"))
    random.seed(1)
    first = made.init(3)
    made.build()
    assert equal(first, made.init(3))
    assert not equal(first, made.init(4))


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("lenet-300-10", PluginError, r"No model named 'lenet-300-10'. Did you mean 'lenet-300-100'\?"),
        ("mlp:widths=x", PluginError, "widths"),
        (
            "conv-3:same",
            PluginError,
            r"'conv-3' and no module of that name. Did you mean 'conv-[246]'\? .*'conv-3:same'",
        ),
        (
            "nowhere.at.all:build",
            PluginError,
            r"no module of that name. Installed: .* Received: 'nowhere.at.all:build'",
        ),
        ("json.nowhere:build", PluginError, "no module of that name"),
        (
            "json:nothing",
            PluginError,
            r"module json must have a function 'nothing'. Received: 'json:nothing'",
        ),
        ("json:__doc__", PluginError, "must have a function '__doc__'"),
        (":build", PluginError, r"The module '' must import. Received: ':build', ValueError"),
        ("no-such.keras", RecipeError, "A model file must exist. Received: no-such.keras"),
        ("no-such.h5", RecipeError, "A model file must exist. Received: no-such.h5"),
    ],
)
def test_names_that_are_none_are_refused(spec, error, message):
    with pytest.raises(error, match=message):
        find_model(spec)


def test_a_path_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="A model file must exist"):
        find_model(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import not_installed_here", "ModuleNotFoundError: No module named 'not_installed_here'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_fails_to_import_is_named_with_its_cause(module, text, message):
    module("broken_nets", text)
    with pytest.raises(PluginError, match=rf"The module 'broken_nets' must import. Received: .*{message}"):
        find_model("broken_nets:build")


# Functions.


def test_a_function_of_a_module(module):
    module(
        "own_nets",
        "import keras\n"
        "def build(data):\n"
        "    dense = keras.layers.Dense(data.outputs)\n"
        "    return keras.Sequential([keras.Input(data.input_shape), dense])\n",
    )
    made = source(find_model("own_nets:build"))
    assert variables(made.build())["dense/kernel"].shape == (4, 3)
    assert equal(made.init(0), made.init(0))


def test_functions_with_and_without_an_argument():
    def with_data(data):
        return keras.Sequential([keras.Input(data.input_shape), layers.Dense(data.outputs)])

    def with_optional_data(data=None):
        return with_data(data)

    def with_dials(units=3, *, activation="relu"):
        return keras.Sequential([keras.Input((4,)), layers.Dense(units, activation=activation)])

    def with_anything(*args, **kwargs):
        return with_data(*args, **kwargs)

    def with_any_dials(**kwargs):
        return with_dials(**kwargs)

    for function in (
        with_data,
        with_optional_data,
        with_dials,
        with_anything,
        with_any_dials,
        lambda: with_dials(),
    ):
        assert variables(source(function).build())["dense/kernel"].shape == (4, 3)


def test_a_class_of_models_is_built_on_the_data():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    made = source(Net)
    assert list(made.init(0)) == ["dense/kernel", "dense/bias"]
    assert made.build().built


def test_a_functions_recipe_is_its_own():
    def build():
        return nets.plain()

    build.recipe = {"lr": 0.5, "rate": {"output": 0.1}}
    assert source(build).recipe == {"lr": 0.5}
    assert model_recipe(build) == ({"lr": 0.5}, {"rate": {"output": 0.1}})
    assert model_recipe(nets.plain) == ({}, {})


def test_a_function_that_compiles_gives_optimizer_and_objective():
    def build():
        model = nets.plain()
        model.compile(keras.optimizers.SGD(0.25, momentum=0.5), SPARSE, metrics=["accuracy"])
        return model

    made = source(build)
    assert made.recipe["optimizer"]["class_name"] == "SGD"
    assert made.recipe["optimizer"]["config"]["momentum"] == 0.5
    assert (made.objective.loss, made.objective.metrics()) == (SPARSE, ["accuracy"])


def test_a_function_may_build_what_no_config_can():
    def shared():
        x, y = keras.Input((4,)), keras.Input((4,))
        dense = layers.Dense(4)
        return keras.Model(y, layers.Dense(3)(dense(keras.Model(x, dense(x))(y))))

    made = source(shared)
    assert made.architecture == {}
    assert made.init(0).keys() == variables(made.build()).keys()
    assert source(nets.opaque).architecture == {}
    with pytest.raises(AlignError, match="or pass a function"):
        source(shared())


def test_a_function_of_mask_aware_layers():
    made = source(lambda: keras.Sequential([keras.Input((4,)), kt.Dense(6, activation="tanh"), kt.Dense(3)]))
    assert made.architecture == architecture(nets.plain())
    assert masks_of(made.build()).keys() == {"dense/kernel", "dense_1/kernel"}
    assert equal(made.init(0), source(nets.plain).init(0))


@pytest.mark.parametrize(("given", "received"), [(lambda: 3, "int"), (lambda data: None, "NoneType")])
def test_a_function_that_gives_no_model_is_refused(given, received):
    with pytest.raises(RecipeError, match=f"spec must return a keras.Model. Received: {received}"):
        source(given)


@pytest.mark.parametrize("thing", [3, None, {"a": 1}])
def test_other_things_are_refused(thing):
    with pytest.raises(RecipeError, match=f"A model must be a name, a .keras file.* Received: {thing}"):
        source(thing)


# Models.


def test_a_model_is_not_touched():
    model = nets.normalised()
    model.compile(keras.optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    before, apply, names = snapshot(model), model.optimizer.apply, [layer.name for layer in model.layers]
    random.seed(3)
    made = source(model)
    built = made.build()
    built.layers[0].kernel.assign(np.ones((4, 6)))
    assert random.random() == random.Random(3).random()
    assert equal(snapshot(model), before)
    assert masks_of(model) == {}
    assert model.optimizer.apply == apply
    assert not model.optimizer.built
    assert [layer.name for layer in model.layers] == names


def test_a_models_weights_are_the_initial_ones_for_every_seed():
    model = nets.plain()
    made = source(model)
    kept = {key: value.copy() for key, value in snapshot(model).items()}
    model.layers[0].kernel.assign(np.zeros((4, 6)))  # what happens to it later is its own affair
    assert equal(made.init(0), kept)
    assert equal(made.init(1), kept)


def test_a_models_name_does_not_count_the_models_before_it():
    assert source(nets.plain()).name == source(nets.plain()).name == "sequential"
    assert source(keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="own")).name == "own"


def test_masks_that_a_model_holds_are_where_pruning_begins(tmp_path):
    model = keras.Sequential([keras.Input((4,)), kt.Dense(6, activation="tanh"), kt.Dense(3)])
    mask = np.random.default_rng(3).random((4, 6)) < 0.5
    sparsify(model, {"dense/kernel": mask})
    model.save(tmp_path / "sparse.keras")
    for found in (model, tmp_path / "sparse.keras"):
        masks = source(found).masks
        assert (masks["dense/kernel"] == mask).all()
        assert masks["dense_1/kernel"].all()
    assert source(nets.plain()).masks == {}
    training = {"train": "1it", "eval_every": "1it", "batch_size": 8, "jit": "off"}
    run = prune(model, nets.data(), levels=1, rate=0.5, no_train=True, **training)
    assert run.tickets[0].kept == mask.sum() + 18
    assert not (run.tickets[1].masks["dense/kernel"] & ~mask).any()


@pytest.mark.parametrize(
    "build", [nets.nested, nets.residual, nets.subclassed, nets.custom], ids=lambda b: b.__name__
)
def test_a_model_is_built_again_from_its_config(build):
    made = source(build())
    assert snapshot(made.build()).keys() == made.init(0).keys()


def test_a_model_without_a_config_is_refused():
    with pytest.raises(
        RecipeError, match=r"must have a config that Keras can build it from. Received: a Opaque"
    ):
        source(nets.opaque())


def swish_of_ones_own(x):
    return x * keras.ops.sigmoid(x)


def test_parts_that_are_no_layers_come_by_custom_objects(tmp_path):
    own = {"swish_of_ones_own": swish_of_ones_own}
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation=swish_of_ones_own)])
    with pytest.raises(RecipeError, match="or name its parts in custom_objects"):
        source(model)
    assert source(model, custom_objects=own).build().layers[0].activation is swish_of_ones_own
    model.save(tmp_path / "own.keras")
    made = source(find_model(tmp_path / "own.keras"), custom_objects=own)
    assert made.build().layers[0].activation is swish_of_ones_own


def test_a_mixed_precision_models_optimizer_is_the_one_inside():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = nets.plain()
        model.compile("sgd", SPARSE)
    finally:
        keras.config.set_dtype_policy("float32")
    assert source(model).recipe["optimizer"]["class_name"] == "SGD"


# Files.


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving")
def test_a_file_gives_its_weights_and_is_recorded_by_name_and_content(tmp_path, suffix):
    model = nets.plain()
    model.compile("sgd", SPARSE)
    model.save(tmp_path / f"net{suffix}")
    found = find_model(str(tmp_path / f"net{suffix}"))
    made = source(found)
    assert made.name == f"net{suffix}"
    assert dict(made.files) == {f"net{suffix}": file_digest(tmp_path / f"net{suffix}")}
    assert equal(made.init(0), snapshot(model))
    assert made.recipe["optimizer"]["class_name"] == "SGD"


def test_a_file_of_mask_aware_layers(tmp_path):
    keras.Sequential([keras.Input((4,)), kt.Dense(3)]).save(tmp_path / "aware.keras")
    made = source(tmp_path / "aware.keras")
    assert made.architecture["config"]["layers"][1]["module"] == "keras.layers"


@pytest.mark.parametrize("damage", ["text", "cut", "empty"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving")
def test_a_file_that_keras_cannot_read_is_refused(tmp_path, damage, suffix):
    path = tmp_path / f"net{suffix}"
    nets.plain().save(path)
    whole = path.read_bytes()
    path.write_bytes({"text": b"not a model", "cut": whole[: len(whole) // 2], "empty": b""}[damage])
    with pytest.raises(RecipeError, match=rf"net{suffix} must be a model saved by Keras. Received: "):
        source(path)


def test_a_file_with_code_in_it_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x), layers.Dense(3)])
    model.save(tmp_path / "code.keras")
    with pytest.raises(RecipeError, match="must be a model saved by Keras"):
        source(tmp_path / "code.keras")


# Tickets.


def ticket_with(**provenance):
    return toy_ticket().replace(provenance=dict(toy_ticket().provenance) | provenance)


def test_a_ticket_is_a_source():
    made = source(toy_ticket())
    assert made.name == "ticket"
    assert equal(made.init(5), toy_ticket().weights("init"))
    assert made.recipe["train"] == "1ep"
    assert made.architecture == toy_ticket().architecture
    assert snapshot(made.build()).keys() == made.init(0).keys()


def test_a_tickets_model_brings_its_rates_only_where_it_is_a_registered_name(module):
    assert model_recipe(ticket_with(model="lenet-300-100")) == ({}, {"rate": {"dense": 0.2, "output": 0.1}})
    module("stranger", "raise AssertionError('a ticket must not import anything')")
    for name in ("stranger:build", "unknown", None):
        assert model_recipe(ticket_with(model=name)) == ({}, {})


def optimizer(**config):
    return {"module": "keras.optimizers", "class_name": "SGD", "config": config, "registered_name": None}


def test_a_tickets_recipe_keeps_its_dials_and_drops_what_is_none():
    recipe = {"lr": 0.5, "future_dial": 1, "optimizer": optimizer(momentum=0.5)}
    assert ticket_recipe(ticket_with(recipe=recipe)) == {"lr": 0.5, "optimizer": optimizer(momentum=0.5)}
    assert ticket_recipe(ticket_with(recipe=None)) == {}
    named = {"optimizer": {"class_name": "sgd", "config": {"momentum": 0.5}}}
    assert ticket_recipe(ticket_with(recipe=named)) == named


LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {}}


@pytest.mark.parametrize(
    "hostile",
    [
        {"module": "os", "class_name": "system", "config": "true", "registered_name": None},
        {"module": "stranger", "class_name": "SGD", "config": {}, "registered_name": None},
        optimizer(learning_rate=LAMBDA),
        {"class_name": "SGD", "config": {"learning_rate": LAMBDA}},
    ],
)
def test_a_tickets_optimizer_names_nothing_that_a_ticket_may_not(hostile):
    with pytest.raises(TicketError, match="A ticket may not hold"):
        source(ticket_with(recipe={"optimizer": hostile}))


def test_a_tickets_own_optimizer_is_vouched_for_by_custom_objects():
    own = {"module": "mine", "class_name": "Own", "config": {}, "registered_name": "Own"}
    assert ticket_recipe(ticket_with(recipe={"optimizer": own}), {"Own"})["optimizer"] == own


def test_a_ticket_of_custom_layers(tmp_path):
    model = nets.custom()
    ticket = Ticket(architecture(model), {}, {"init": snapshot(model)})
    made = source(ticket, custom_objects={"Scaled": nets.Scaled})
    assert type(made.build().layers[0]) is nets.Scaled


# Data.


def test_data_by_name_and_as_itself():
    data = nets.data()
    assert data_of(data) is data
    assert data_of("moons-circles").name
    with pytest.raises(PluginError, match=r"No data ?set named 'digit'. Did you mean 'digits'\?"):
        data_of("digit")
    with pytest.raises(DataError, match=r"a name, a kerastickets.Data, .* Received: int"):
        data_of(1)


def test_data_is_named_without_its_folder():
    assert data_name("npz:/somewhere/points.npz") == "npz:points.npz"
    assert data_name(nets.data()) == "vectors"


def test_files_of_data_are_recorded_by_content(tmp_path):
    (tmp_path / "points.npz").write_bytes(b"abc")
    # sha256 of "abc", from FIPS 180-2.
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert data_files(f"npz:{tmp_path / 'points.npz'}") == {"points.npz": known}
    assert data_files("digits") == data_files(nets.data()) == {}


def test_equal_data_has_one_digest_however_it_lies_in_memory():
    data = nets.data()
    x, y = data.train
    turned = Data("t", (np.asfortranarray(x), y), data.validation, data.test, data.loss, (), classes=3)
    assert data_digest(turned) == data_digest(data)
    moved = x.copy()
    moved[0, 0] += 1
    other = Data("t", (moved, y), data.validation, data.test, data.loss, (), classes=3)
    assert data_digest(other) != data_digest(data)
