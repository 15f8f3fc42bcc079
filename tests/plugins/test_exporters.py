"""The exporters on a small convolutional net: what their runtimes compute of it, and what they refuse."""

import logging
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastickets import registry
from kerastickets.errors import DataError, ExportError, KerasTicketsError, PluginError
from kerastickets.testing import toy_data, toy_ticket
from kerastickets_plugins.exporters import onnx_file
from kerastickets_plugins.exporters.plain import strangers
from tests.helpers.exporting import conv_net, digits, read_alone

RUNTIMES = {
    "litert": "ai-edge-litert",
    "litert:raw=true": "ai-edge-litert",
    "litert:sparse=true": "ai-edge-litert",
    "litert:int8=true": "ai-edge-litert",
    "litert:int8=true,raw=true": "ai-edge-litert",
    "onnx": "onnxruntime",
    "keras": "keras",
    "safetensors": "keras",
    "saved-model": "tensorflow",
    "saved-model:raw=true": "tensorflow",
}


def create(spec):
    return registry.create("exporters", spec)


@pytest.fixture(scope="module")
def net():
    return conv_net(digits())


@pytest.fixture(scope="module")
def exported(net, tmp_path_factory):
    """Of each format its path, the exporter's facts, the reader's facts, and the outputs for the test images."""
    folder, data = tmp_path_factory.mktemp("exported"), digits()
    paths, facts, jobs = {}, {}, []
    for number, spec in enumerate(RUNTIMES):
        exporter = create(spec)
        paths[spec] = folder / f"{number}{exporter.suffix}"
        facts[spec] = exporter(toy_ticket(), paths[spec], model=net, data=data)
        x = getattr(exporter, "inputs", lambda x, data: x)(data.test[0], data)
        assert x.dtype == ("uint8" if "raw" in spec else "float32")
        jobs.append((exporter.reader, paths[spec], x))
    read = read_alone(jobs, folder)
    return {spec: (paths[spec], facts[spec], *made) for spec, made in zip(RUNTIMES, read, strict=True)}


@pytest.mark.parametrize(("spec", "runtime"), RUNTIMES.items(), ids=RUNTIMES)
def test_another_runtime_computes_the_same(spec, runtime, net, exported):
    _, facts, told, outputs = exported[spec]
    expected, y = net.predict(digits().test[0], verbose=0), digits().test[1]
    scale = np.abs(expected).max()
    assert np.abs(outputs - expected).max() <= getattr(create(spec), "tolerance", 1e-4) * scale
    right = (expected.argmax(1) == y).mean()
    assert right > 0.8
    assert (outputs.argmax(1) == y).mean() == pytest.approx(right, abs=0.02 if "int8" in spec else 0)
    assert told["runtime"].split() == [runtime, told["runtime"].split()[1]]
    assert isinstance(told["peak_bytes"], int)
    named = net.inputs[0]._keras_history.operation.name  # the Input layer's
    dtype = "uint8" if "raw" in spec else "float32"
    assert facts["input"] == {"name": named, "shape": [None, 8, 8, 1], "dtype": dtype}


def test_sizes_are_in_the_order_that_their_options_promise(exported):
    size = {spec: path.stat().st_size for spec, (path, *_) in exported.items() if path.is_file()}
    assert size["litert:sparse=true"] < size["litert"]
    assert size["safetensors"] < size["keras"]


def test_a_saved_model_holds_each_weight_once_and_no_gradients(net, exported):
    path = exported["saved-model"][0]
    stored = [name for name, _ in tf.train.list_variables(str(path / "variables" / "variables"))]
    assert len(stored) == len(net.weights) + 1  # and the list of what there is
    graph = (path / "saved_model.pb").read_bytes()
    assert b"__inference___call__" in graph
    assert b"__forward" not in graph
    assert b"__backward" not in graph


@pytest.mark.parametrize("raw", [False, True])
def test_a_saved_model_classifies(raw, net, exported):
    path, facts, *_ = exported["saved-model:raw=true" if raw else "saved-model"]
    loaded = tf.saved_model.load(str(path))
    assert facts["signatures"] == ["serve", "serving_default", "classify"]
    assert {*loaded.signatures} == {*facts["signatures"]}
    x = digits().test[0][:7]
    given = {facts["input"]["name"]: tf.constant(create(f"saved-model:raw={raw}").inputs(x, digits()))}
    outputs = loaded.signatures["serve"](**given)["output_0"].numpy()
    made = {name: value.numpy() for name, value in loaded.signatures["classify"](**given).items()}
    likely = tf.nn.softmax(outputs).numpy()
    assert made["label"].tolist() == [str(label).encode() for label in outputs.argmax(1)]
    assert made["class"].tolist() == outputs.argmax(1).tolist()
    np.testing.assert_allclose(made["probability"], likely.max(1), rtol=1e-6)


def test_probabilities_stay_as_they_are_and_classes_have_their_names(tmp_path):
    layers = [keras.Input((8, 8, 1), name="image"), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    model, data = keras.Sequential(layers), replace(digits(), labels=tuple("abcdefghij"))
    facts = create("saved-model")(toy_ticket(), tmp_path / "made", model=model, data=data)
    assert (facts["input"]["name"], facts["labels"]) == ("image", [*"abcdefghij"])
    made = tf.saved_model.load(str(tmp_path / "made")).signatures["classify"](
        image=tf.constant(data.test[0][:5])
    )
    expected = model(data.test[0][:5]).numpy()
    np.testing.assert_allclose(made["probability"], expected.max(1), rtol=1e-6)
    assert b"".join(made["label"].numpy()).decode() == "".join("abcdefghij"[n] for n in expected.argmax(1))
    targets = replace(
        data, classes=None, labels=(), loss="mse", **dict.fromkeys(("train", "test"), data.test)
    )
    facts = create("saved-model")(toy_ticket(), tmp_path / "targets", model=model, data=targets)
    assert "classify" not in facts["signatures"]


@pytest.mark.slow
def test_calibration_sees_training_examples_alone(tmp_path):
    def made(data, spec="litert:int8=true,calibration=20"):
        file = tmp_path / "made.tflite"
        assert create(spec)(toy_ticket(), file, data=data)["calibration"] == 20
        return file.read_bytes()

    data, (x, y) = toy_data(), toy_data().train
    assert made(replace(data, test=(x * 9, y), validation=(x * 9, y))) == made(data)
    assert made(replace(data, train=(x * 9, y))) != made(data)


@pytest.mark.parametrize("spec", ["litert", "onnx", "saved-model"])
def test_converters_are_quiet_and_leave_the_process_as_it_was(spec, tmp_path, capfd):
    handlers, level = [*logging.root.handlers], logging.root.manager.disable
    exporter = create(spec)
    exporter(toy_ticket(), tmp_path / f"made{exporter.suffix}")
    print("still here")
    assert capfd.readouterr() == ("still here\n", "")
    assert ([*logging.root.handlers], logging.root.manager.disable) == (handlers, level)
    assert "object" not in vars(np)


# Refusals


class Doubled(keras.layers.Layer):
    def call(self, x):
        return x * 2


def twice(x):
    return x * 2


def stranger(kind):
    layers = keras.layers
    from kerastickets.models.normalization import LocalResponseNormalization

    made = {
        "norm": lambda: LocalResponseNormalization(name="norm"),
        "own": lambda: Doubled(name="own"),
        "lambda": lambda: layers.Lambda(twice, name="lambda"),
        "function": lambda: layers.Dense(4, activation=twice, name="function"),
    }[kind]()
    return keras.Sequential([keras.Input((8, 8, 4)), made, layers.Flatten(), layers.Dense(10)])


NEEDED = {
    "norm": "kerastickets.normalizing.LocalResponseNormalization",
    "own": ".*Doubled",
    "lambda": "Python code that its Lambda stores",
    "function": "the function twice",
}


@pytest.mark.parametrize(("kind", "needed"), NEEDED.items(), ids=NEEDED)
@pytest.mark.parametrize("spec", ["keras", "safetensors"])
def test_formats_that_need_classes_name_the_layer_and_other_formats(spec, kind, needed, tmp_path):
    exporter = create(spec)
    message = rf"layer '{kind}', which needs {needed}\. Export it as saved-model, litert or onnx"
    with pytest.raises(KerasTicketsError, match=message):
        exporter(toy_ticket(), tmp_path / f"made{exporter.suffix}", model=stranger(kind))
    assert [*tmp_path.iterdir()] == []


def test_keras_alone_builds_its_own_functions():
    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((2,)), dense(2, "relu"), dense(2, activation=keras.ops.sin)])
    assert [*strangers(keras.saving.serialize_keras_object(model))] == []


def test_a_layer_of_ours_is_served_by_formats_with_a_graph(tmp_path):
    model, x = stranger("norm"), np.random.default_rng(0).normal(size=(3, 8, 8, 4)).astype("float32")
    create("saved-model")(toy_ticket(), tmp_path / "made", model=model)
    loaded = tf.saved_model.load(str(tmp_path / "made"))
    np.testing.assert_allclose(loaded.serve(x), model(x), rtol=1e-6)


@pytest.mark.parametrize("spec", ["saved-model:raw=true", "litert:raw=true"])
def test_raw_images_need_a_scaling(spec, tmp_path):
    exporter = create(spec)
    for data, received in ((None, "no data"), (toy_data(), "data set 'toy', which has no `scaling`")):
        with pytest.raises(DataError, match=f"raw=true needs a data set .* Received: {received}"):
            exporter(toy_ticket(), tmp_path / f"made{exporter.suffix}", data=data)
    with pytest.raises(DataError, match="raw=true needs a data set"):
        exporter.inputs(toy_data().test[0], toy_data())


def test_litert_refuses(tmp_path):
    for options, message in {
        "sparse=true,int8=true": "exclude each other",
        "calibration=0": "at least 1",
    }.items():
        with pytest.raises(PluginError, match=message):
            create(f"litert:{options}")
    with pytest.raises(DataError, match="int8=true needs a data set"):
        create("litert:int8=true")(toy_ticket(), tmp_path / "made.tflite")
    layers = [keras.Input((4, 2)), keras.layers.LSTM(3)]
    with pytest.raises(ExportError, match=r"Received: TensorListReserve, .*Export it as saved-model or onnx"):
        create("litert")(toy_ticket(), tmp_path / "made.tflite", model=keras.Sequential(layers))
    assert [*tmp_path.iterdir()] == []


def test_onnx_says_how_to_install_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "tf2onnx" else name)
    with pytest.raises(ExportError, match=r"Received: no tf2onnx\. .*pip install 'kerastickets\[export\]'"):
        create("onnx")(toy_ticket(), tmp_path / "made.onnx")


def test_models_must_take_numbers_and_keras_files_have_their_name(tmp_path):
    words = keras.Input((2,), dtype="string")
    text = keras.Model(words, keras.layers.StringLookup(vocabulary=["a"])(words))
    for name in registry.names("exporters"):
        with pytest.raises(KerasTicketsError, match=r"must take numbers\. Received: a model that takes text"):
            create(name)(toy_ticket(), tmp_path / f"made{create(name).suffix}", model=text)
    with pytest.raises(KerasTicketsError, match=r"must end in \.keras\. Received: made\.h5"):
        create("keras")(toy_ticket(), tmp_path / "made.h5")


@pytest.mark.parametrize("name", registry.names("exporters"))
def test_options_are_documented(name):
    for option in registry.options(registry.load("exporters", name)):
        assert option.help, option.name
