"""LiteRT's blocks of four as rows of single weights: the same outputs from fewer bytes."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets import registry
from kerastickets.testing import toy_ticket
from kerastickets_plugins.exporters import litert
from kerastickets_plugins.exporters.readers.litert import run
from kerastickets_plugins.exporters.sparse_rows import by_rows


def exported(path: Path, sparse: bool, kernel: np.ndarray) -> Path:
    """A dense net of one hidden layer with this kernel, as a LiteRT file."""
    model = keras.Sequential([keras.Input(kernel.shape[:1]), layers.Dense(kernel.shape[1]), layers.Dense(3)])
    model.layers[0].set_weights([kernel, np.ones(kernel.shape[1], "float32")])
    model.layers[1].set_weights([np.ones((kernel.shape[1], 3), "float32"), np.zeros(3, "float32")])
    registry.create("exporters", "litert", {"sparse": sparse})(toy_ticket(), path, model=model)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three forms of a net of which one weight in fifty is kept: dense, as the converter makes it, and ours."""
    folder, rng = tmp_path_factory.mktemp("sparse"), np.random.default_rng(0)
    kernel = (rng.normal(size=(400, 300)) * (rng.random((400, 300)) < 0.02)).astype("float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litert, "by_rows", lambda content, plain: content)
        blocks = exported(folder / "blocks.tflite", True, kernel)
    dense = exported(folder / "dense.tflite", False, kernel)
    rows = exported(folder / "rows.tflite", True, kernel)
    return kernel, dense, blocks, rows


def test_rows_take_four_bytes_for_the_value_and_two_for_the_place(files):
    kernel, _, blocks, rows = files
    kept = np.count_nonzero(kernel)
    full = np.count_nonzero(kernel.reshape(100, 4, 300).any(1))  # blocks of four inputs
    # A block has one byte for its place among 100, a weight two among 400; both have 301 ends of two bytes.
    saved = (16 + 1) * full - (4 + 2) * kept
    assert saved > 0
    assert blocks.stat().st_size - rows.stat().st_size == pytest.approx(saved, abs=600)  # one operation more


def test_outputs_are_those_of_the_dense_file(files):
    kernel, dense, blocks, rows = files
    x = np.random.default_rng(1).normal(size=(300, 400)).astype("float32")  # more than a batch of the reader
    expected = run(str(dense), x)
    np.testing.assert_allclose(expected[:, 0], (x @ kernel + 1).sum(1), rtol=1e-4, atol=1e-3)
    for file in (blocks, rows):
        np.testing.assert_allclose(run(str(file), x), expected, rtol=1e-5, atol=1e-4)


def test_a_file_without_such_blocks_stays_as_it_is(files):
    _, dense, _, rows = files
    for content in (dense.read_bytes(), rows.read_bytes()):
        assert by_rows(content, dense.read_bytes()) is content


def test_rows_that_are_no_multiple_of_a_block_lose_nothing(tmp_path):
    """The converter alone loses values of these, with no word about it."""
    rng = np.random.default_rng(2)
    kernel = (rng.normal(size=(401, 300)) * (rng.random((401, 300)) < 0.02)).astype("float32")
    file, x = exported(tmp_path / "rows.tflite", True, kernel), rng.normal(size=(3, 401)).astype("float32")
    np.testing.assert_allclose(run(str(file), x)[:, 0], (x @ kernel + 1).sum(1), rtol=1e-4, atol=1e-3)
