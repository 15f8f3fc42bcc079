"""Files in the .npz format written by hand, with whatever a hostile one may claim."""

import io
import threading
import zipfile

import numpy as np
import pytest

from kerastickets.data.spec import data_of
from kerastickets.errors import DataError

X = np.arange(300, dtype=np.float64).reshape(100, 3)
Y = np.arange(100) % 4


def member(array) -> bytes:
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text: str, version=(1, 0), size: int | None = None) -> bytes:
    """The header of an .npy file, with this text in it, and this size instead of the true one."""
    width = 2 if version == (1, 0) else 4
    length = (len(text) if size is None else size).to_bytes(width, "little")
    return b"\x93NUMPY" + bytes(version) + length + text.encode()


def claims(shape: str, descr: str = "'<f8'", order: str = "False") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n")


def archive(path, members, method=zipfile.ZIP_STORED):
    """Write a zip file of (name, content) pairs."""
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def toy(path, x: bytes, y: bytes | None = None, method=zipfile.ZIP_STORED):
    """Write an .npz file of `x` and `y`, by default with good labels."""
    return archive(path, [("x.npy", x), ("y.npy", member(Y) if y is None else y)], method)


def within(seconds, work):
    """Do `work` in a thread, so that a hang fails the test. Returns what it raised."""
    raised = []

    def run():
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    return raised[0] if raised else None


def refused(path, message):
    with pytest.raises(DataError, match=message) as caught:
        data_of(f"npz:{path}")
    text = str(caught.value)
    assert len(text) < 1000
    assert text.isprintable()


def same(data, other):
    splits = ("train", "validation", "test")
    return all(
        np.array_equal(mine, own)
        for split in splits
        for mine, own in zip(getattr(data, split), getattr(other, split), strict=True)
    )
