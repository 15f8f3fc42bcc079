"""What `npz` does with inputs and targets: what is standardised, what is left alone, and what a ticket remembers."""

import numpy as np
import pytest

from kerastickets.data.dataset import Data
from kerastickets.data.spec import data_of
from kerastickets.errors import DataError
from kerastickets.exporting.write import export
from kerastickets.pruning.prune_model import prune

RNG = np.random.default_rng(0)
COUNT = 200


def saved(folder, x, y=None):
    y = (
        (x.reshape(len(x), -1)[:, 0] > np.median(x.reshape(len(x), -1)[:, 0])).astype("int64")
        if y is None
        else y
    )
    np.savez(folder / "set.npz", x=x, y=y)
    return f"npz:{folder}/set.npz"


def columns():
    """Two columns of floats far from zero, and two of marks."""
    floats = RNG.normal(1000, 5, (COUNT, 2))
    marks = RNG.random((COUNT, 2)) < 0.5
    return np.concatenate([floats, marks], axis=1).astype("float32")


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16", "bool"])
def test_numbers_of_words_are_left_as_they_are(tmp_path, dtype):
    tokens = RNG.integers(0, 50, (COUNT, 6)).astype(dtype)
    data = data_of(saved(tmp_path, tokens, np.arange(COUNT) % 2))
    assert {*np.unique(data.train[0])} <= {*np.unique(tokens).astype("float32")}
    assert (data.scaling, data.standardised(), data.provenance()) == (None, None, {})


def test_columns_of_marks_are_left_and_others_standardised(tmp_path):
    data = data_of(saved(tmp_path, columns()))
    x = data.train[0]
    assert {*np.unique(x[:, 2:])} == {0.0, 1.0}
    assert abs(x[:, :2].mean()) < 1e-5
    assert abs(x[:, :2].std() - 1) < 1e-5
    assert data.standardised()["mean"][2:] == [0.0, 0.0]
    assert data.standardised()["std"][2:] == [1.0, 1.0]
    assert data.raw == "float32"


@pytest.mark.parametrize(("how", "first"), [("no", 1000), ("yes", 0), ("auto", 0)])
def test_it_can_be_asked_for(tmp_path, how, first):
    data = data_of(f"{saved(tmp_path, columns())},standardise={how}")
    assert round(float(data.train[0][:, 0].mean()), -2) == first
    assert (set(np.unique(data.train[0][:, 2])) == {0.0, 1.0}) is (how != "yes")
    assert (data.scaling is None) is (how == "no")


def test_bytes_are_standardised_as_before(tmp_path):
    pictures = RNG.integers(0, 256, (COUNT, 4, 4, 3)).astype("uint8")
    data = data_of(saved(tmp_path, pictures, np.arange(COUNT) % 2))
    assert (data.raw, len(data.standardised()["mean"]), data.provenance()) == ("uint8", 3, {})


@pytest.mark.slow
def test_a_ticket_remembers_and_its_export_takes_raw_floats(tmp_path):
    spec = saved(tmp_path, columns())
    run = prune("mlp:8", spec, levels=1, rate=0.3, train="30ep", lr=0.05, batch_size=20, jit="off")
    said = data_of(spec).standardised()
    assert all(ticket.provenance["standardised"] == said for ticket in run.tickets)
    asked = {"latency": False, "data": spec}
    plain = export(run.tickets[-1], "saved-model", tmp_path / "plain", **asked)
    raw = export(run.tickets[-1], "saved-model:raw=true", tmp_path / "raw", **asked)
    assert (plain.standardised, raw.standardised) == (said, None)
    assert raw.accuracy_after == plain.accuracy_after > 0.7
    import tensorflow as tf

    serve = tf.saved_model.load(str(tmp_path / "raw")).signatures["serving_default"]
    x = columns()
    given = serve(tf.constant(x))
    expected = tf.saved_model.load(str(tmp_path / "plain")).signatures["serving_default"](
        tf.constant((x - np.float32(said["mean"])) / np.float32(said["std"]))
    )
    for name, value in given.items():
        assert np.allclose(value, expected[name], atol=1e-5)


def test_targets_keep_their_shape_and_a_net_of_another_shape_is_refused(tmp_path):
    maps = RNG.normal(size=(COUNT, 4, 4, 1)).astype("float32")
    spec = saved(tmp_path, maps, (maps > 0).astype("float32"))
    data = data_of(spec)
    assert data.train[1].shape[1:] == (4, 4, 1)
    message = r"outputs of the shape of its targets, \(4, 4, 1\)\. Received: a model that gives \(1,\)"
    with pytest.raises(DataError, match=message):
        prune("mlp:8", spec, levels=1, rate=0.3, train="1ep", monitor="val_loss")
    one = saved(tmp_path, columns(), RNG.normal(size=COUNT))
    assert data_of(one).train[1].shape[1:] == (1,)


def test_whole_numbers_that_are_targets_must_be_floats(tmp_path):
    with pytest.raises(DataError, match="Whole numbers that are targets, not classes, must be floats"):
        data_of(saved(tmp_path, columns(), RNG.integers(0, 10**6, COUNT)))


def test_the_type_of_raw_inputs_is_checked():
    x, y = np.eye(4), np.array([0, 1, 1, 0])
    with pytest.raises(DataError, match="`raw` must be uint8 or float32"):
        Data("toy", (x, y), (x, y), (x, y), "mse", (), 2, raw="int8")


def test_a_class_for_each_pixel(tmp_path):
    x, y = np.zeros((20, 4, 4, 1), "float32"), (np.arange(20 * 16) % 3).reshape(20, 4, 4, 1)
    np.savez(tmp_path / "maps.npz", x=x, y=y)
    data = data_of(f"npz:{tmp_path}/maps.npz")
    assert (data.classes, data.train[1].shape) == (3, (16, 4, 4))


def test_a_class_for_each_word(tmp_path):
    words = np.arange(60).reshape(20, 3) % 5
    np.savez(tmp_path / "tags.npz", x=words, y=words)
    data = data_of(f"npz:{tmp_path}/tags.npz")
    assert (data.classes, data.train[1].shape) == (5, (16, 3))
    assert np.array_equal(data.train[0], data.train[1])  # the same order for words and tags


def test_rows_of_marks_are_ambiguous(tmp_path):
    np.savez(tmp_path / "marks.npz", x=np.zeros((20, 3)), y=np.eye(2, dtype=int)[np.arange(20) % 2])
    with pytest.raises(DataError, match=r"nothing but 0 and 1. One-hot rows become classes with y.argmax"):
        data_of(f"npz:{tmp_path}/marks.npz")
