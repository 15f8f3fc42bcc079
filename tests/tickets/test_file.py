import hashlib
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors import safe_open

from kerastickets.errors import TicketError
from kerastickets.tickets import file as ticketfile, file_header as header
from kerastickets.tickets.ticket import Ticket


def small(**changes):
    """One masked kernel of six weights, and a bias."""
    parts = {
        "architecture": {"name": "tiny"},
        "masks": {"dense/kernel": np.array([[True, False, True], [False, False, True]])},
        "snapshots": {
            "init": {
                "dense/kernel": np.arange(6, dtype="float32").reshape(2, 3),
                "dense/bias": np.array([0.5, -1.0], "float32"),
            },
        },
        "provenance": {"criterion": "magnitude", "level": 2},
    }
    return Ticket(**{**parts, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ticket.safetensors"


def refused(path):
    with pytest.raises(TicketError) as caught:
        Ticket.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


# What is written


def test_the_bytes_are_those_of_the_format(path):
    """The whole file written by hand from the description of the format, with nothing but json and sha256."""

    def dumps(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    data = (
        np.array([0.5, -1.0], "<f4").tobytes()
        + np.arange(6, dtype="<f4").tobytes()
        + bytes([0b10100100])  # six bits, C order, most significant first
    )
    tensors = {
        "init/dense/bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "init/dense/kernel": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]},
        "mask/dense/kernel": {"dtype": "U8", "shape": [1], "data_offsets": [32, 33]},
    }
    fields = {
        "format": "kerastickets.ticket",
        "version": 1,
        "architecture": {"name": "tiny"},
        "shapes": {"dense/kernel": [2, 3]},
        "provenance": {"criterion": "magnitude", "level": 2},
    }
    digest = hashlib.sha256(dumps([tensors, fields]).encode() + data).hexdigest()
    metadata = {"kerastickets": dumps({**fields, "digest": digest})}
    text = json.dumps({"__metadata__": metadata, **tensors}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    ticket = small()
    assert ticket.save(path).read_bytes() == len(text).to_bytes(8, "little") + text + data
    assert ticket.digest == Ticket.load(path).digest == digest


def test_safetensors_and_numpy_alone_can_read_it(path):
    ticket = small()
    with safe_open(ticket.save(path), "np") as file:
        fields = json.loads(file.metadata()["kerastickets"])
        shape = fields["shapes"]["dense/kernel"]
        bits = np.unpackbits(file.get_tensor("mask/dense/kernel"), count=int(np.prod(shape)))
        kernel = file.get_tensor("init/dense/kernel")
    assert (bits.reshape(shape) == ticket.masks["dense/kernel"]).all()
    assert (kernel == ticket.weights("init")["dense/kernel"]).all()
    assert fields["digest"] == ticket.digest


def test_two_processes_write_the_same_bytes(tmp_path):
    code = """
import sys
import numpy as np
from kerastickets.tickets.ticket import Ticket
order = int(sys.argv[1])
keys = ["b/kernel", "a/kernel", "c/bias"][:: order]
tree = {key: np.full((3, 5), len(key), "float32") for key in keys}
masks = {key: np.arange(15).reshape(3, 5) % 2 == 0 for key in keys if "kernel" in key}
final = {key: np.where(masks.get(key, True), value, 0) for key, value in tree.items()}
names = [("init", tree), ("rewind@12", tree), ("rewind@5", tree), ("final", final)][:: order]
facts = dict([("level", 1), ("seeds", {"init": 0, "data": 1}), ("model", "m")][:: order])
print(Ticket({}, masks, dict(names), facts).save(sys.argv[2]))
"""
    contents = set()
    for order, seed in (("1", "0"), ("-1", "1")):
        file = tmp_path / f"{seed}.safetensors"
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(
            [sys.executable, "-c", code, order, file], check=True, env=environment, capture_output=True
        )
        contents.add(file.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("dtype", [str(dtype) for dtype in ticketfile.header.DTYPES.values()])
def test_every_dtype_and_rank_comes_back(path, dtype):
    tree = {
        "scalar": np.array(1, dtype),
        "empty": np.zeros((0, 3), dtype),
        "cube": np.arange(24).reshape(2, 3, 4).astype(dtype),
    }
    masks = {"cube": np.arange(24).reshape(2, 3, 4) % 3 == 0, "empty": np.ones((0, 3), bool)}
    ticket = small(masks=masks, snapshots={"init": tree})
    loaded = Ticket.load(ticket.save(path))
    assert loaded == ticket
    for key, value in tree.items():
        back = loaded.weights("init")[key]
        assert (back.dtype, back.shape, back.tobytes()) == (value.dtype, value.shape, value.tobytes())
        assert not back.flags.writeable
    assert (loaded.masks["cube"] == masks["cube"]).all()
    assert not loaded.masks["cube"].flags.writeable


def test_values_that_are_not_numbers_come_back_bit_by_bit(path):
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], "float32")
    loaded = Ticket.load(small(masks={}, snapshots={"init": {"b": odd}}).save(path))
    assert loaded.weights("init")["b"].tobytes() == odd.tobytes()


def test_an_architecture_that_imitates_a_digest_does_not_confuse_it(path):
    imitation = {
        "digest": "0" * 64,
        "format": {"digest": "0" * 64, "format": "x"},
        "text": '"digest":"' + "0" * 64,
    }
    ticket = small(architecture=imitation, provenance=imitation)
    assert Ticket.load(ticket.save(path)).architecture == imitation


def test_saving_again_gives_the_same_file(path, tmp_path):
    again = Ticket.load(small().save(path)).save(tmp_path / "again.safetensors")
    assert again.read_bytes() == path.read_bytes()


def test_missing_folders_are_made_and_no_part_stays(tmp_path):
    path = small().save(tmp_path / "a" / "b" / "t.safetensors")
    assert [file.name for file in path.parent.iterdir()] == ["t.safetensors"]


def test_file_mode_follows_the_umask(path):
    old = os.umask(0o027)
    try:
        small().save(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


# Saving that fails


def full(*_args, **_kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failing_save_leaves_the_old_file(path, monkeypatch, call):
    small().save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, call, full)
    with pytest.raises(TicketError, match="No space left on device") as caught:
        small(provenance={"level": 3}).save(path)
    assert str(path) in str(caught.value)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_while_writing(path, monkeypatch):
    small().save(path)
    before = path.read_bytes()
    with open("/dev/full", "wb", buffering=0) as always_full:
        monkeypatch.setattr(os, "write", lambda _, content: always_full.write(content))
        with pytest.raises(TicketError, match="cannot be written: No space left on device"):
            small(provenance={"level": 3}).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_save_leaves_the_old_file(path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    small().save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        small(provenance={"level": 3}).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_synced_is_no_failure(path, monkeypatch):
    real = os.fsync

    def files_only(descriptor):
        return full() if os.path.isdir(f"/proc/self/fd/{descriptor}") else real(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    assert Ticket.load(small().save(path)) == small()


@pytest.mark.parametrize("name", ["folder", "file/ticket.safetensors", "nul\0", ".", "x" * 300])
def test_a_place_where_no_file_can_be(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TicketError, match="cannot be written"):
        small().save(tmp_path / name)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]


# Files that are not tickets


class Bomb:
    def __reduce__(self):
        return os.abort, ()


FOREIGN = {
    "empty": b"",
    "short": b"abc",
    "text": b"This is not a ticket at all.\n" * 10,
    "zeros": bytes(1000),
    "pickle": pickle.dumps(Bomb()),
    "old pickle": pickle.dumps(Bomb(), 0),
    "small pickle": pickle.dumps(None),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "numpy": b"\x93NUMPY\x01\x00v\x00" + bytes(200),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file(path, kind):
    path.write_bytes(FOREIGN[kind])
    assert "is not a ticket" in refused(path)


@pytest.mark.parametrize(
    ("kind", "said"), [("pickle", "a pickle"), ("hdf5", "an HDF5 file"), ("numpy", "a NumPy")]
)
def test_a_foreign_file_is_recognised(path, kind, said):
    path.write_bytes(FOREIGN[kind])
    assert f"it is {said}" in refused(path)


def test_a_zip_is_recognised(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert "it is a zip archive" in refused(path)


def test_a_missing_file_and_a_folder(path, tmp_path):
    assert "cannot be read: No such file or directory" in refused(path)
    assert "is not a file" in refused(tmp_path)
    assert "cannot be read: embedded null" in refused(tmp_path / "nul\0")
    os.mkfifo(path)
    assert "is not a file" in refused(path)  # and it does not wait for a writer


# Digests without files


ARRAYS = st.sampled_from([*header.DTYPES.values()]).flatmap(
    lambda dtype: st.lists(st.integers(0, 3), max_size=3).map(lambda shape: np.ones(shape, dtype))
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "a/b", "b", "B", "b_1", "ä"]), ARRAYS, min_size=1),
    st.integers(1, 99),
)
def test_a_digest_is_that_of_the_file(weights, step):
    masks = {key: value != 0 for key, value in weights.items() if value.size % 2}
    parts = {}, masks, {"init": weights, f"rewind@{step}": weights}, {"level": step}
    content, digest = ticketfile.encode(*parts)
    assert ticketfile.digest(*parts) == digest
    size = int.from_bytes(content[:8], "little")
    raw = json.loads(content[8 : 8 + size])
    sha = header.hasher(raw, json.loads(raw["__metadata__"]["kerastickets"]))
    sha.update(content[8 + size :])
    assert sha.hexdigest() == digest


def test_a_safetensors_of_another_order_is_refused(monkeypatch):
    def reversed_names(tensors, metadata=None):
        renamed = dict(zip(sorted(tensors), sorted(tensors, reverse=True), strict=True))
        content = serialize(tensors, metadata)
        for name, other in renamed.items() if metadata else ():
            content = content.replace(f'"{name}":'.encode(), f'"{other}?":'.encode())
        return content

    serialize = ticketfile.serialize
    monkeypatch.setattr(ticketfile, "serialize", reversed_names)
    with pytest.raises(TicketError, match="order tensors by their types and names"):
        small().replace()._encoded()
