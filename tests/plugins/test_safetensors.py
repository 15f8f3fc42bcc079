"""The safetensors export: bytes worked out by hand, sizes, and a reader that the documentation prints."""

import json
import re
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

from kerastickets import registry
from kerastickets.testing import toy_ticket
from kerastickets_plugins.exporters.safetensors_file import SafeTensors, encode
from tests.helpers.exporting import conv_net, digits

PAGE = Path(__file__).parents[2] / "docs" / "export.md"


def read(path):
    return runpy.run_path(str(SafeTensors.reader))["read"](path)


def printed_read(path):
    """What the page's own code makes of a file."""
    section = PAGE.read_text(encoding="utf-8").partition(
        "## Reading a safetensors export without kerastickets"
    )[2]
    names = {"path": path}
    exec(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1], names)
    return names["read"](path)


def linear(kernel):
    model = keras.Sequential(
        [keras.Input((len(kernel),)), keras.layers.Dense(kernel.shape[1], use_bias=False)]
    )
    model.set_weights([kernel])
    return model


def header_and_bytes(path):
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def test_four_weights_as_a_mask(tmp_path):
    # 0 3 / 0 5: two floats and the bits 0101 0000, against 16 bytes dense and 10 with gaps.
    SafeTensors()(toy_ticket(), tmp_path / "a", model=linear(np.array([[0, 3], [0, 5]], "float32")))
    header, content = header_and_bytes(tmp_path / "a")
    assert content == np.array([3, 5], "<f4").tobytes() + bytes([0b01010000])
    assert {name: header[name]["data_offsets"] for name in header if name != "__metadata__"} == {
        "dense/kernel:values": [0, 8],
        "dense/kernel:mask": [8, 9],
    }
    assert [*header["__metadata__"]] == ["kerastickets"]
    about = json.loads(header["__metadata__"]["kerastickets"])
    assert about["weights"] == [{"key": "dense/kernel", "shape": [2, 2], "encoding": "mask"}]
    assert (about["format"], about["version"], [*about]) == ("kerastickets.weights", 1, sorted(about))


def test_a_gap_above_255_takes_a_zero_as_stepping_stone(tmp_path):
    kernel = np.zeros((2, 450), "float32")
    kernel.ravel()[[1, 2, 257, 601]] = [1, 2, 3, 4]  # distances 1, 1, 255 and 344 = 255 + 89
    SafeTensors()(toy_ticket(), tmp_path / "a", model=linear(kernel))
    header, content = header_and_bytes(tmp_path / "a")
    assert content == np.array([1, 2, 3, 0, 4], "<f4").tobytes() + bytes([1, 1, 255, 255, 89])
    assert "dense/kernel:gaps" in header
    np.testing.assert_array_equal(read(tmp_path / "a")[1]["dense/kernel"], kernel)


@pytest.mark.parametrize("density", [0, 0.001, 0.01, 0.1, 0.5, 0.999, 1])
def test_every_density_comes_back(density, tmp_path):
    random = np.random.default_rng(0)
    kernel = np.where(random.random((70, 90)) < density, random.normal(size=(70, 90)), 0).astype("float32")
    SafeTensors()(toy_ticket(), tmp_path / "a", model=linear(kernel))
    for reader in (read, printed_read):
        np.testing.assert_array_equal(reader(tmp_path / "a")[1]["dense/kernel"], kernel)
    kept, n = np.count_nonzero(kernel), kernel.size
    stored = sum(part.nbytes for part in encode(kernel).parts.values())
    assert stored <= min(4 * n, 4 * kept + n / 8 + 1)


@pytest.mark.parametrize("at", [[0], [255], [256], [0, 255], [0, 256], [510], [511, 1021]])
def test_distances_around_the_largest_byte(at):
    weight = np.zeros((2, 600), "float32")
    weight.ravel()[at] = 7
    encoding, parts = encode(weight)
    assert encoding == "gaps"
    places = np.cumsum(parts[":gaps"], dtype=int)
    assert places[parts[":values"] != 0].tolist() == at
    assert len(places) - len(at) == sum((step - 1) // 255 for step in np.diff(at, prepend=0) if step)


def test_what_zeros_do_not_shrink_stays_as_it_is():
    assert encode(np.zeros(9, "float32")).encoding == "dense"  # a bias
    almost = np.ones((3, 3), "float32")
    almost[1, 1] = 0  # 32 bytes and 2 against 36
    assert encode(almost).encoding == "mask"
    assert encode(np.ones((3, 3), "float32")).encoding == "dense"
    assert encode(np.array([[1, 0]], "float16")).encoding == "mask"


@pytest.mark.parametrize(("sparsity", "share"), [(0.9, 1.0), (0.95, 0.85)])
def test_the_size_of_a_pruned_lenet(sparsity, share, tmp_path):
    dense = keras.layers.Dense
    layers = [keras.layers.Flatten(), dense(300, "relu"), dense(100, "relu"), dense(10)]
    model, random = keras.Sequential([keras.Input((28, 28, 1)), *layers]), np.random.default_rng(0)
    for layer in layers[1:]:
        kernel, bias = layer.get_weights()
        layer.set_weights([np.where(random.random(kernel.shape) < sparsity, 0, kernel), bias])
    SafeTensors()(toy_ticket(), tmp_path / "a", model=model)
    kept = sum(np.count_nonzero(layer.get_weights()[0]) for layer in layers[1:])
    # Everything is counted: biases, architecture and header.
    assert (tmp_path / "a").stat().st_size < share * (4 * kept + 266_200 / 8)


def test_equal_models_give_equal_bytes_and_plain_keras_takes_the_weights(tmp_path):
    data, exporter = digits(), registry.create("exporters", "safetensors")
    model = conv_net(data)
    for name, made in {"a": model, "b": conv_net(data)}.items():
        exporter(toy_ticket(), tmp_path / name, model=made, data=data)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    (about, arrays), (_, printed) = read(tmp_path / "a"), printed_read(tmp_path / "a")
    twin = keras.saving.deserialize_keras_object(about["architecture"])
    twin.set_weights([*arrays.values()])
    for one, two, three in zip(model.get_weights(), twin.get_weights(), printed.values(), strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
