import base64
import copy
import marshal
import resource

import pytest

from kerastickets.errors import TicketError
from kerastickets.models.untrusted import rebuild_untrusted, refuse_unsafe

keras = pytest.importorskip("keras")
layers, ops = keras.layers, keras.ops


def config(model):
    import json

    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


def node(class_name="Dense", module="keras.layers", config=None, **more):
    return {"module": module, "class_name": class_name, "config": config or {}, **more}


# What passes: real models


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2", kernel_constraint="max_norm"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.SeparableConv2D(4, 3, depthwise_initializer="he_normal"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5, seed=1),
            layers.Dense(2, activation=keras.activations.softmax, dtype="mixed_bfloat16"),
        ]
    )


def operators():
    x = keras.Input((4, 4, 2))
    y = layers.DepthwiseConv2D(3, padding="same")(x) + x
    y = ops.relu(y) * 2.0 - ops.mean(y, axis=-1, keepdims=True) / 3
    y = ops.concatenate([y, x[:, ::-1]], axis=-1)
    return keras.Model(x, ops.reshape(y, (-1, 4 * 4 * 4)))


def shared_and_nested():
    shared, x = layers.Dense(4, activation=ops.tanh), keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.LayerNormalization()])
    return keras.Model(x, layers.Add()([shared(shared(x)), inner(x), inner(shared(x))]))


def recurrent():
    x = keras.Input((5, 4))
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    y = layers.TimeDistributed(layers.Dense(2))(y)
    return keras.Model(x, layers.RNN(layers.StackedRNNCells([layers.GRUCell(2), layers.LSTMCell(3)]))(y))


def attention():
    x = keras.Input((6,), dtype="int32")
    y = layers.Embedding(10, 8)(x)
    y = layers.MultiHeadAttention(2, 4)(y, y) + y
    return keras.Model(x, layers.EinsumDense("abc,cd->abd", output_shape=(None, 3), bias_axes="d")(y))


def many_ends():
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    return keras.Model({"a": a, "b": b}, {"x": layers.Dense(1)(a), "y": layers.Concatenate()([a, b])})


MODELS = [sequential, operators, shared_and_nested, recurrent, attention, many_ends]


@pytest.mark.parametrize("make", MODELS)
def test_real_models_pass_and_are_rebuilt(make):
    model = make()
    refuse_unsafe(config(model))
    twin = rebuild_untrusted(config(model), limit=model.count_params())
    assert [tuple(v.shape) for v in twin.weights] == [tuple(v.shape) for v in model.weights]


@pytest.mark.parametrize("make", [sequential, attention])
def test_one_weight_less_than_needed_is_too_few(make):
    model = make()
    count = model.count_params()
    with pytest.raises(TicketError, match=f"at most the {count - 1} values stored. Received: {count}"):
        rebuild_untrusted(config(model), limit=count - 1)


def test_rebuilding_leaves_the_architecture_alone():
    given = config(sequential())
    before = copy.deepcopy(given)
    rebuild_untrusted(given, limit=10_000)
    assert given == before


@pytest.mark.parametrize(
    "allowed",
    [
        node("Functional", "keras.src.models.functional", registered_name="Functional"),
        node("Sequential", "keras"),
        node("DTypePolicy", "keras", {"name": "float32"}),
        node("Add", "keras.src.ops.numpy", registered_name="Add"),
        node("function", "builtins", "relu", registered_name="function"),
        node("function", "keras.activations", "gelu", registered_name="gelu"),
        node("Dense", "kerastickets.layers", registered_name="kerastickets>Dense"),
        node(
            "__keras_tensor__", None, {"shape": [None, 3], "dtype": "float32", "keras_history": ["a", 0, 0]}
        ),
        node("__numpy__", None, {"value": [1.0], "dtype": "float32"}),
        node(config={"activation": "relu", "kernel_initializer": "he_normal", "name": "Lambda"}),
    ],
)
def test_what_passes(allowed):
    refuse_unsafe(allowed)


# What does not


REFUSED = [
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    "IndexLookup",
]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    "spelled",
    [
        lambda name: node(name),
        lambda name: node(name, "keras.src.layers.core.lambda_layer", registered_name=name),
        lambda name: node(f"layers.{name}", "keras"),
        lambda name: node("Dense", registered_name=f"keras>{name}"),
        lambda name: node("Dense", None, registered_name=name),
        lambda name: {"class_name": name, "config": {}},
        lambda name: node("function", "keras.layers", name),
        lambda name: node("TimeDistributed", config={"layer": node(name)}),
        lambda name: node("Sequential", "keras", {"layers": [node(), [{"deep": node(name)}]]}),
        lambda name: node(config={"kernel_initializer": node(name)}),
        lambda name: node(inbound_nodes=[{"args": [node("__keras_tensor__", None), node(name)]}]),
        lambda name: node("__keras_tensor__", None, {"shape": [node(name)]}),
    ],
)
def test_refused_layers_wherever_they_appear(name, spelled):
    with pytest.raises(TicketError, match=name):
        refuse_unsafe(spelled(name))
    with pytest.raises(TicketError, match=name):
        refuse_unsafe(spelled(name), custom_objects=[name])


@pytest.mark.parametrize(
    "other",
    [
        node("system", "os"),
        node("Popen", "subprocess"),
        node("Dense", "tensorflow.keras.layers"),
        node("Dense", "keras_hub.layers"),
        node("Dense", "kerasx.layers"),
        node("Dense", "kerasticketsx"),
        node("Dense", None),
        node("Dense", ""),
        node("Dense", 3),
        node("Dense", ["keras.layers"]),
        {"class_name": "Dense", "config": {}},
        node("dense", "keras.layers"),
        node("", "keras.layers"),
        node(None, "keras.layers"),
        node({"class_name": "Dense"}, "keras.layers"),
        node("Dense.Lambda", "keras.layers"),
        node("get_file", "keras.utils"),
        node("FeatureSpace", "keras.utils"),
        node("function", "keras.utils", "get_file"),
        node("function", "keras.saving", "load_model"),
        node("function", "keras.models", "load_model"),
        node("load_model", "keras.models"),
        node("load_model", "keras.src.saving.saving_api"),
        node("ResNet50", "keras.applications"),
        node("TensorBoard", "keras.callbacks"),
        node("function", "builtins", "os.system"),
        node("function", "builtins", {"value": "x"}),
        node("function", "builtins", "package>mine"),
        node("function", "os", "system"),
        node("eval", "builtins"),
        node("__lambda__", None, {"value": "x"}),
        node("__typespec__", None, []),
        node("__numpy__", None, {"value": ["a"], "dtype": "U1000000000"}),
        node("__tensor__", None, {"value": ["a"], "dtype": "string"}),
        node("__tensor__", None, 3),
        node("Dense", registered_name="mine>Dense"),
        node("Dense", "kerastickets.layers", registered_name="mine>Dense"),
    ],
)
def test_other_names_are_refused(other):
    with pytest.raises(TicketError, match="may not hold"):
        refuse_unsafe({"config": {"layers": [node(), other]}})


def test_the_place_is_named():
    with pytest.raises(
        TicketError, match=r"hold os\.system\. Received: architecture\.config\.layers\[1\]\.deep\."
    ):
        refuse_unsafe(node("Sequential", "keras", {"layers": [node(), {"deep": node("system", "os")}]}))


@pytest.mark.parametrize("kind", [dict, list])
def test_deep_nesting(kind):
    deep = node()
    for _ in range(100_000):
        deep = {"a": deep} if kind is dict else [deep]
    with pytest.raises(TicketError, match="at most 256 levels deep"):
        refuse_unsafe({"config": deep})


@keras.saving.register_keras_serializable("mine")
class Registered(layers.Layer):
    def call(self, x):
        return x


class Plain(Registered):
    pass


def mine(x):
    return x


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Registered(), ["Registered"]),
        (lambda: Registered(), ["mine>Registered"]),
        (lambda: Plain(), ["Plain"]),
        (lambda: layers.Dense(2, activation=mine), ["mine"]),
    ],
)
def test_custom_objects_pass_only_when_named(make, names):
    model = keras.Sequential([keras.Input((2,)), make()])
    own = {"Registered": Registered, "mine>Registered": Registered, "Plain": Plain, "mine": mine}
    with pytest.raises(TicketError):
        rebuild_untrusted(config(model), 100)
    twin = rebuild_untrusted(config(model), 100, {name: own[name] for name in names})
    assert [type(layer) for layer in twin.layers] == [type(layer) for layer in model.layers]
    refuse_unsafe(config(model), names)
    if names != ["mine"]:  # which function a plain name means, only Keras can tell
        with pytest.raises(TicketError, match="pass it in `custom_objects`"):
            refuse_unsafe(config(model), ["Other"])


# Layers that look words up


LOOKUPS = ["StringLookup", "IntegerLookup", "TextVectorization"]


@pytest.mark.parametrize("name", LOOKUPS)
@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"vocabulary": "/etc/passwd"}, "a vocabulary that is not in the ticket"),
        (
            {"vocabulary": {"class_name": "__numpy__", "config": {"value": [1], "dtype": "int64"}}},
            "not in the",
        ),
        ({"vocabulary": ["a", ["b"]]}, "words or whole numbers"),
        (
            {"vocabulary": ["a"], "idf_weights": "/etc/passwd"},
            "weights of words that are not a list of numbers",
        ),
        ({"vocabulary": ["a"], "idf_weights": ["1"]}, "weights of words that are not a list of numbers"),
        ({"vocabulary": ["a"], "max_tokens": 2**40}, "max_tokens above 4,194,304"),
        ({"vocabulary": ["a"], "num_oov_indices": 1e12}, "num_oov_indices above"),
        ("vocabulary", "no config"),
    ],
)
def test_a_vocabulary_stands_in_the_ticket_and_is_of_bounded_size(name, config, fault):
    for node_ in (node(name, config=config), node("Bag", "own", config, registered_name=name)):
        with pytest.raises(TicketError, match=f"{fault}|may not hold"):
            refuse_unsafe(node_)
    with pytest.raises(TicketError, match=r"must have its vocabulary as a list\. Received: keras\.layers\."):
        refuse_unsafe(node("TimeDistributed", config={"layer": node(name, config=config)}))


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_vocabulary_as_a_list_passes(name):
    refuse_unsafe(node(name, config={"vocabulary": ["a", "b"], "idf_weights": None, "max_tokens": None}))
    refuse_unsafe(node(name, config={"vocabulary": None}))


# Keras's own layers beside `keras.layers`


def test_layers_of_keras_applications_are_of_keras():
    for module, name in (("convnext", "LayerScale"), ("inception_resnet_v2", "CustomScaleLayer")):
        refuse_unsafe(node(name, f"keras.src.applications.{module}", {}, registered_name=name))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("ConvNeXt", "keras.src.applications.convnext"),  # a function
        ("Sequential", "keras.src.applications.convnext"),  # a layer that stands there, of another module
        ("LayerScale", "keras.src.applications.nowhere"),
        ("LayerScale", "keras.src.applications"),
        ("LayerScale", "keras.applications.convnext"),
        ("LayerScale", "keras.src.applications.convnext.layers"),
        ("TFSMLayer", "keras.src.export.tfsm_layer"),
        ("Distiller", "keras.src.distillation.distiller"),
    ],
)
def test_nothing_else_beside_them_is(name, module):
    with pytest.raises(TicketError, match="may not hold"):
        refuse_unsafe(node(name, module, {}, registered_name=name))


# Sizes


def gigantic(units):
    model = config(
        keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a"), layers.Dense(3, name="b")])
    )
    for layer in model["config"]["layers"][1:]:
        layer["config"]["units"] = units
        layer.pop("build_config", None)
    return model


@pytest.mark.parametrize("units", [10**5, 10**9, 10**15])
def test_weights_are_counted_before_they_are_allocated(units):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TicketError):  # at 10^5 it is two of the products that are too large, not a layer
        rebuild_untrusted(gigantic(units), limit=10**6)
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
    )  # kilobytes; 10^5 needs 40 GB


def test_a_refused_size_leaves_nothing_behind():
    with pytest.raises(TicketError, match="values stored"):
        rebuild_untrusted(gigantic(10**6), limit=10)
    with keras.StatelessScope():
        pass  # Keras now makes the variables that it has deferred in this thread.
    assert rebuild_untrusted(config(sequential()), 10_000).count_params() == sequential().count_params()


def test_an_operation_on_constants_alone_is_refused():
    model = config(keras.Model(x := keras.Input((2,)), ops.tile(x, (1, 2))))
    tile = model["config"]["layers"][1]
    assert tile["class_name"] == "Tile"
    refuse_unsafe(model)
    constant = node("__numpy__", None, {"value": [1.0], "dtype": "float32"})
    for calls in ([{"args": [constant], "kwargs": {}}], [[["input_layer", 0, 0, {}]]], 5, {"args": [1]}):
        tile["inbound_nodes"] = calls
        with pytest.raises(TicketError, match="must be called on inputs of its model"):
            refuse_unsafe(model)


# Keras's own refusals


@pytest.mark.parametrize(
    "broken",
    [
        {"module": "keras"},
        node("Sequential", "keras"),
        node("Sequential", "keras", {"name": "s", "layers": [node()]}),
        node("Nothing", "keras.layers"),
        node("Dense", config={"units": -1}),
        node("Dense", config={"units": 2}),
        node(
            "Functional",
            "keras.src.models.functional",
            {"layers": [], "input_layers": [], "output_layers": []},
        ),
    ],
)
def test_whatever_keras_raises_is_a_ticket_error(broken):
    with pytest.raises(TicketError):
        rebuild_untrusted(broken, 100)


def test_a_lambda_never_runs(tmp_path):
    target = tmp_path / "ran"
    code = compile(f"open({str(target)!r}, 'w')", "x", "eval")
    stored = base64.b64encode(marshal.dumps(code)).decode()
    evil = node("__lambda__", None, {"value": [stored, None, None]})
    for model in (node("Lambda", config={"function": evil}), node(config={"units": 1, "activation": evil})):
        with pytest.raises(TicketError):
            rebuild_untrusted(
                node("Sequential", "keras", {"name": "s", "layers": [model]}), 100, {"Lambda": layers.Lambda}
            )
    assert not target.exists()
