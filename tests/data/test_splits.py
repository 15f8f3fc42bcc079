"""Splits with several inputs, several outputs and sample weights."""

import numpy as np
import pytest

from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.data.parts import train_part
from kerastickets.data.spec import data_digest
from kerastickets.errors import DataError, RecipeError

X = {"a": np.arange(8.0).reshape(4, 2), "b": np.arange(4)}
Y = (np.array([0, 1, 0, 0]), np.array([[0.5], [1.0], [1.5], [2.0]]))


def data(train=(X, Y), **fields):
    return Data("toy", train, (X, Y), (X, Y), **fields)


def test_structures_are_kept_and_their_arrays_converted():
    x, y = data().train
    assert {name: (array.dtype, array.shape) for name, array in x.items()} == {
        "a": (np.float32, (4, 2)),
        "b": (np.float32, (4,)),
    }
    assert [array.dtype for array in y] == [np.int64, np.float32]
    assert data().input_shapes == {"a": (2,), "b": ()}
    assert repr(data()) == (
        "Data('toy', train=4, validation=4, test=4, inputs={'a': (2,), 'b': ()}, labels=((), (1,)))"
    )


def test_integers_that_float32_cannot_hold_stay_integers():
    ids = np.array([[2**24 + 1], [3], [4], [5]])
    x = {"a": X["a"], "b": ids}
    kept = Data("toy", (x, Y), (x, Y), (x, Y)).train[0]["b"]
    assert kept.dtype == np.int64
    assert kept[0, 0] == 2**24 + 1


def test_a_list_of_numbers_is_one_array():
    one = Data("toy", *([([[1, 2], [3, 4]], [0, 1])] * 3), CROSS_ENTROPY, (), 2)
    assert one.input_shape == (2,)
    assert one.train[1].tolist() == [0, 1]


def test_a_part_keeps_inputs_labels_and_weights_together():
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    part = train_part(data((X, Y, weights)), 2, seed=0)
    x, y, w = part.train
    chosen = x["b"].astype(int)
    assert len(chosen) == 2
    assert w.tolist() == weights[chosen].tolist()
    assert x["a"].tolist() == X["a"][chosen].tolist()
    assert y[1].tolist() == Y[1][chosen].tolist()


def test_the_digest_of_structures_tells_arrays_and_names_apart():
    same = data()
    renamed = {"a": X["a"], "c": X["b"]}
    digests = {
        data_digest(same),
        data_digest(Data("toy", *([(renamed, Y)] * 3))),
        data_digest(data((X, Y, np.ones(4)))),
        data_digest(data((X, (Y[0][::-1], Y[1])))),
    }
    assert len(digests) == 4
    assert data_digest(data()) == data_digest(same)


def test_label_maps_are_classes():
    maps = np.array([[[0, 1], [2, 0]], [[1, 1], [0, 2]]])
    found = Data("maps", *([(np.zeros((2, 2, 2, 1)), maps)] * 3), CROSS_ENTROPY, ("accuracy",), 3)
    assert found.train[1].shape == (2, 2, 2)
    assert found.outputs == 3


def test_labels_of_one_column_are_labels():
    found = Data("columns", *([(np.zeros((2, 3)), np.array([[0], [1]]))] * 3), CROSS_ENTROPY, (), 2)
    assert found.train[1].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("train", "fields", "message"),
    [
        ((X, (Y[0][:3], Y[1])), {}, "must have one label. Received: 4 and 3 labels in part '0'"),
        (({"a": X["a"], "b": X["b"][:3]}, Y), {}, "Received: 4 and 3 inputs in part 'b'"),
        ((X, Y, -np.ones(4)), {}, r"Sample weights .* must not be negative. Received: -1.0"),
        ((X, Y, np.ones(3)), {}, "Received: 4 and 3 sample weights"),
        ((X,), {}, r"must be \(x, y\) or \(x, y, sample_weight\). Received: 1 parts"),
        (({"a": X["a"], "c": X["b"]}, Y), {}, r"inputs in validation .* shape of those in train"),
        ((X, Y), {"classes": 2}, "`classes` are for one array of labels"),
        (({}, Y), {}, "Inputs in train .* must hold an array"),
        (({"a": X["a"], "b": np.array(list("abcd"))}, Y), {}, "part 'b', must be numbers"),
    ],
)
def test_refuses(train, fields, message):
    with pytest.raises(DataError, match=message):
        data(train, **fields)


def test_what_needs_one_input_or_output_says_so():
    with pytest.raises(DataError, match=r"One input is needed here. Received: data set 'toy'"):
        _ = data().input_shape
    with pytest.raises(DataError, match="The number of outputs is not known"):
        _ = data().outputs
    with pytest.raises(RecipeError, match="`train_size` must fit"):
        train_part(data(), 5, seed=0)
