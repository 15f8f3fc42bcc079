"""An .npz file as a zip archive and as a file: each is read or refused by name, at once and in bounded memory."""

import os
import socket
import struct
import warnings
import zipfile
from contextlib import suppress

import numpy as np
import pytest

from kerastickets.data.spec import data_files, data_of
from kerastickets.errors import DataError
from kerastickets.foundations import memory
from kerastickets_plugins.datasets import npz_archive
from tests.helpers.npzfiles import X, Y, archive, member, refused, same, toy, within


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toy.npz"


@pytest.fixture
def no_allocation(monkeypatch):
    """Fail if an array is allocated."""
    monkeypatch.setattr(npz_archive.Archive, "read", None)


# The archive.


@pytest.mark.parametrize("name", ["x", "x.npy"])
def test_a_name_needs_no_ending_but_belongs_to_one_array(name, path, tmp_path):
    archive(path, [(name, member(X)), ("y.npy", member(Y))])
    assert data_of(f"npz:{path}").classes == 4
    with warnings.catch_warnings(action="ignore"):  # zipfile warns of a duplicate
        archive(path, [("x.npy", member(X)), (name, member(X * 2)), ("y.npy", member(Y))])
    refused(path, "array x: it is stored 2 times")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(method, path, no_allocation):
    toy(path, member(X), method=method)
    refused(path, f"array x: it is compressed by method {method} of zip instead of deflate")


def edited(path, change):
    """Change the entry of `x.npy` in the directory of an archive."""
    content = bytearray(path.read_bytes())
    change(content, content.index(b"PK\x01\x02"))
    path.write_bytes(content)


def encrypt(content, entry):
    content[entry + 8] |= 1


def method_99(content, entry):
    content[entry + 10 : entry + 12] = struct.pack("<H", 99)


def other_checksum(content, entry):
    content[entry + 16] ^= 1


def far_away(content, entry):
    content[entry + 42 : entry + 46] = struct.pack("<I", 2**32 - 2)


def larger(content, entry):
    content[entry + 24 : entry + 28] = struct.pack("<I", 2**32 - 2)


def newer(content, entry):
    content[entry + 6] = 255


def odd_extra(content, entry):
    content[entry + 30] = 255


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (encrypt, "array x: it is encrypted"),
        (method_99, "method 99 of zip"),
        (other_checksum, "array x: Bad CRC-32"),
        (far_away, "Received: file="),
        (larger, "array x: it has 4294967166 bytes of values"),
        (newer, "zip file version"),
        (odd_extra, "Received: file="),
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_directory_is_named(change, message, method, path):
    edited(toy(path, member(X), method=method), change)
    refused(path, message)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_anywhere_is_named_or_harmless(method, path):
    good = toy(path, member(X[:20]), member(Y[:20]), method).read_bytes()
    data = data_of(f"npz:{path}")
    random = np.random.default_rng(0)
    for _ in range(150):
        content = bytearray(good[: random.integers(len(good))] if random.random() < 0.2 else good)
        for place in random.integers(0, max(1, len(content)), random.integers(1, 4)):
            content[place : place + 1] = bytes([random.integers(256)])
        path.write_bytes(content)
        with suppress(DataError):
            assert same(data_of(f"npz:{path}"), data)  # a checksum guards the values


def test_a_bomb_is_refused_by_what_it_claims(path, monkeypatch, no_allocation):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**6)
    x = np.zeros((100, 10_000), np.uint8)  # 1 MB, and 5 MB with its copy of float32
    np.savez_compressed(path, x=x, y=Y)
    assert path.stat().st_size < 10_000
    refused(
        path,
        r"The arrays of 'toy.npz' must fit into the memory of this machine, of which 976.6 KiB are free. "
        r"Received: .* MiB. Use fewer or smaller examples.",
    )


def test_an_allocation_that_fails_is_named(path, monkeypatch):
    def empty(*_):
        raise MemoryError

    np.savez(path, x=X, y=Y)
    monkeypatch.setattr(npz_archive.np, "empty", empty)
    refused(path, "The array x must fit into the memory of this machine. Received: MemoryError")


def test_a_large_directory_is_refused_before_it_is_read(path, monkeypatch):
    monkeypatch.setattr(npz_archive, "_LARGEST_DIRECTORY", 10_000)
    archive(path, [(f"{number:050}", b"") for number in range(200)])
    refused(path, "its directory has more than 10,000 bytes")


def test_many_and_odd_names_are_shown_in_part(path):
    archive(path, [(name, b"") for name in ("\x1b[31m", "a\nb", *map(str, range(100)))])
    refused(path, r"no x_train and no y_train, but '\\x1b\[31m', 0, .*, \.\.\.")


def test_other_arrays_are_not_read(path):
    np.savez(path, x=X, y=Y, notes=np.array([{}], object))
    assert data_of(f"npz:{path}").classes == 4


# The file.


def place(kind, path):
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "broken":
        path.symlink_to(path.with_name("nowhere"))
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(kind)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pipe", "it is a named pipe, not a regular file"),
        ("folder", "it is a folder, not a regular file"),
        ("/dev/zero", "it is a device, not a regular file"),
        ("loop", "Too many levels of symbolic links"),
        ("broken", "No such file or directory"),
    ],
)
def test_only_a_regular_file_is_opened(kind, message, path):
    place(kind, path)
    error = within(60, lambda: data_of(f"npz:{path}"))
    assert isinstance(error, DataError)
    assert message in str(error)
    assert data_files(f"npz:{path}") == {}


def test_a_socket_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most 108 characters
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("toy.npz")
        refused("toy.npz", "it is a socket, not a regular file")


@pytest.mark.parametrize(
    "name", ["a" * 300, "x\0y", "~no-such-user/a.npz", "\ud800.npz", os.fsdecode(b"\xff"), "\x1b[31m\n.npz"]
)
def test_names_that_no_file_has_are_shown(name):
    refused(name, "`file` must be an .npz file")
    assert data_files(f"npz:{name}") == {}


def test_a_file_that_fails_while_it_is_read_is_named():
    refused("/proc/self/mem", "`file` must be an .npz file")
    with pytest.raises(
        DataError, match=r"/proc/self/mem must be a file that can be read. Received: Input/output"
    ):
        data_files("npz:/proc/self/mem")


def test_a_file_with_an_odd_name_is_read(tmp_path):
    for name in ("\x1b[31m.npz", "\udcff.npz", "a\nb.npz"):
        np.savez(tmp_path / "toy.npz", x=X, y=Y)
        path = (tmp_path / "toy.npz").rename(tmp_path / name)
        assert data_of(f"npz:{path}").name.isprintable()


def test_a_file_that_may_not_be_read_is_named(path):
    np.savez(path, x=X, y=Y)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user, such as root, may read every file")
    refused(path, "Permission denied")
    with pytest.raises(DataError, match="Permission denied"):
        data_files(f"npz:{path}")
