"""An .npz file whose arrays may come from anyone: each is read or refused by name, before anything is allocated."""

import io

import numpy as np
import pytest

from kerastickets.data.spec import data_of
from kerastickets.errors import DataError
from kerastickets_plugins.datasets import npz_archive
from tests.helpers.npzfiles import X, Y, claims, header, refused, same, toy, within


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toy.npz"


@pytest.fixture
def no_allocation(monkeypatch):
    """Fail if an array is allocated."""
    monkeypatch.setattr(npz_archive.Archive, "read", None)


@pytest.mark.parametrize(
    "shape",
    [
        "(10000000000000,)",
        "(10000000000000, 3)",
        f"({2**63}, 3)",
        f"({10**30}, {10**30})",
        "(100, 4)",
        "(99, 3)",
    ],
)
@pytest.mark.parametrize("order", ["True", "False"])
def test_a_shape_must_be_that_of_the_values_in_the_file(shape, order, path, no_allocation):
    toy(path, claims(shape, order=order) + X.tobytes())
    refused(path, "array x: it has 2400 bytes of values, which are not float64 of shape")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (claims("(-100, -3)") + X.tobytes(), r"it has the shape \(-100, -3\)"),
        (claims("(100, 3.0)") + X.tobytes(), "shape is not valid"),
        (claims("[100, 3]") + X.tobytes(), "shape is not valid"),
        (claims("(" + "9" * 5000 + ",)"), "array x: "),
        (claims(f"({'1, ' * 70})") + b"\0" * 8, "x and y of 'toy.npz' must have one entry"),
        (claims("(100, 3)", "'O'") + X.tobytes(), "its dtype is object, which is not a number"),
        (claims("(100, 3)", "'<c16'") + X.tobytes() * 2, "its dtype is complex128"),
        (claims("(100, 3)", "'<M8[s]'") + X.tobytes(), "its dtype is datetime64"),
        (claims("(100, 3)", "'<m8[s]'") + X.tobytes(), "its dtype is timedelta64"),
        (claims("(100, 3)", "'<U2'") + X.tobytes(), "its dtype is <U2"),
        (claims("(100, 3)", "'|S8'") + X.tobytes(), "its dtype is .S8"),
        (claims("(100, 3)", "'|S0'"), "its dtype is .S0"),
        (claims("(100, 3)", "[('a', '<f8')]") + X.tobytes(), "its dtype is .*'a'"),
        (claims("(100, 3)", "[('a', '<f8', (10000000000,))]"), "array x: "),
        (claims("(100, 3)", "'(99999999999,)f8'"), "array x: "),
        (claims("(100, 3)", "'nothing'"), "array x: "),
        (claims("(100, 3)", "{}"), "array x: "),
        (claims("(100, 3)", "[[]]"), "array x: "),
        (claims("(100, 3)", "None"), "array x: "),
        (claims("(100, 3)", order="3") + X.tobytes(), "fortran_order is not a valid bool"),
        (header("{}"), "correct keys"),
        (header("[]"), "not a dictionary"),
        (header("{[]: 1}"), "array x: "),
        (header("{"), "array x: "),
        (header("(" * 9000), "array x: "),
        (header("-" * 9000 + "1"), "array x: "),
        (header("  x\n y\n"), "array x: "),
        (header("\x00"), "array x: "),
        (header("'\x1b[31m'"), "array x: "),
        (header("{}", size=5), "array x: "),
        (header("{}", (2, 0), size=2**32 - 1), "its header has more than 10,000 characters"),
        (header("{}", (9, 9)), r"it has version \(9, 9\)"),
        (b"", "array x: "),
        (b"\x93NUM", "array x: "),
        (b"x,y\n1,2\n", "array x: the magic string is not correct"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_what_is_no_array_of_numbers_is_refused(content, message, path, no_allocation):
    toy(path, content)
    refused(path, message)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:, 0], Y, r"x of 'toy.npz' must have one or more examples.*\(100,\) and \(100,\).*\(n, 1\)"),
        (np.zeros(6000), np.arange(6000) % 2, "must have one or more examples"),
        (np.float64(3), np.float64(3), r"shapes \(\) and \(\)"),
        (X[:0], Y[:0], r"must have one or more examples.*\(0, 3\)"),
        (X[:, :0], Y, r"must have one or more examples.*\(100, 0\)"),
        (X, X[:, :0], r"must have one or more examples.*\(100, 0\)"),
        (X, np.zeros((100, 0), int), "must have one or more examples"),
        (X[:5], X[:5, 0], "validation .* must not be empty"),
        (X, np.full(100, 2**64 - 1, np.uint64), "Received"),
        (X, np.full(100, 2**63 - 1), "Received: 1 of 9223372036854775808 classes"),
        (X + 1e300, Y, "must be finite"),
        (np.where(X == 7, np.inf, X), Y, "must be finite"),
        (X, np.where(Y == 2, np.nan, 1.0), "must be finite. Received: .* NaN"),
        (X.astype(np.longdouble) * np.longdouble("1e4000"), Y, "must be finite"),
    ],
)
def test_arrays_that_cannot_be_trained_on_are_refused(x, y, message, path):
    np.savez(path, x=x, y=y)
    refused(path, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": X[:, :2]}, r"examples in x_test .* shape of those in x_train, \(3,\). Received: \(2,\)"),
        ({"x_val": X[:, None], "y_val": Y}, r"examples in x_val .* Received: \(1, 3\)"),
        ({"y_test": np.full(100, np.nan)}, "y_test of 'toy.npz' must be integers, as y_train is"),
        ({"y_test": np.full(100, np.inf)}, "y_test of 'toy.npz' must be integers"),
        ({"y_test": np.full((100, 2), 0.5)}, "y_test of 'toy.npz' must be integers"),
        ({"x_test": X[:0], "y_test": Y[:0]}, "x_test of 'toy.npz' must have one or more examples"),
        ({"x_val": X}, "no y_val"),
        ({"y_train": X[:, 0], "y_test": X}, "shape"),
    ],
)
def test_splits_that_do_not_fit_together_are_refused(change, message, path):
    np.savez(path, **({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y} | change))
    refused(path, message)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.asfortranarray(X), Y),
        (X.astype(">f8"), Y.astype(">i2")),
        (X.astype(np.float16), Y.astype(np.uint8)),
        (X.astype(np.longdouble), Y),
        (X.copy(), Y.astype(np.uint64)),
        (X, Y[:, None]),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_way_to_write_the_same_numbers_gives_the_same_data(x, y, save, path, tmp_path):
    np.savez(tmp_path / "plain.npz", x=X, y=Y)
    save(path, x=x, y=y)
    assert same(data_of(f"npz:{path}"), data_of(f"npz:{tmp_path / 'plain.npz'}"))


def test_booleans_are_numbers(path):
    np.savez(path, x=X > 100, y=Y > 1)
    assert data_of(f"npz:{path}").classes == 2


def test_headers_of_other_versions_and_of_python_2_are_read(path, tmp_path):
    np.savez(tmp_path / "plain.npz", x=X, y=Y)
    for version in ((2, 0), (3, 0)):
        file = io.BytesIO()
        np.lib.format.write_array(file, X, version)
        toy(path, file.getvalue())
        assert same(data_of(f"npz:{path}"), data_of(f"npz:{tmp_path / 'plain.npz'}"))
    toy(path, claims("(100L, 3L)") + X.tobytes())
    assert same(data_of(f"npz:{path}"), data_of(f"npz:{tmp_path / 'plain.npz'}"))


def test_labels_that_are_all_different_take_no_longer_than_others(path):
    # A loop over classes would compare 200,000 labels 200,000 times.
    np.savez(path, x=np.zeros((200_000, 1)), y=np.arange(200_000))
    error = within(60, lambda: data_of(f"npz:{path}"))
    assert isinstance(error, DataError)
    assert "none of class" in str(error)
