"""Headers that lie: each claim is refused by name, before anything is allocated."""

import hashlib
import json
import tracemalloc

import numpy as np
import pytest

from kerastickets.errors import TicketError
from kerastickets.tickets.file_header import canonical, parse, well_formed
from kerastickets.tickets.ticket import Ticket

FIELDS = {
    "format": "kerastickets.ticket",
    "version": 1,
    "architecture": {},
    "shapes": {"k": [3]},
    "provenance": {},
}
TENSORS = {
    "init/k": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
    "mask/k": {"dtype": "U8", "shape": [1], "data_offsets": [12, 13]},
}
DATA = np.array([1, 2, 3], "<f4").tobytes() + bytes([0b10100000])


def dumps(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def craft(path, tensors=TENSORS, fields=FIELDS, data=DATA, metadata=None):
    """A file written by hand, with a right digest whatever the claims are: what a forger would make."""
    digest = hashlib.sha256(dumps([tensors, fields]).encode() + data).hexdigest()
    metadata = metadata or {"kerastickets": dumps({**fields, "digest": digest})}
    text = json.dumps(
        {"__metadata__": metadata, **tensors}, separators=(",", ":"), ensure_ascii=False
    ).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "forged.safetensors"


def refused(path):
    with pytest.raises(TicketError) as caught:
        Ticket.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.count(str(path)) == 1
    return message.removeprefix(f"{path}: ")


def tensor(name, **claims):
    return {**TENSORS, name: {**TENSORS.get(name, {}), **claims}}


def test_the_file_written_by_hand_is_a_ticket(path):
    ticket = Ticket.load(craft(path))
    assert ticket.weights("init")["k"].tolist() == [1, 2, 3]
    assert ticket.masks["k"].tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (tensor("init/k", dtype="F8"), "dtype"),
        (tensor("init/k", dtype="BF16"), "dtype"),
        (tensor("init/k", dtype=["F32"]), "dtype"),
        (tensor("mask/k", dtype="BOOL"), "must have a dtype of ['U8']"),
        (tensor("init/k", shape=[4]), "cannot lie at the bytes"),
        (tensor("init/k", shape=[-3]), "malformed shape"),
        (tensor("init/k", shape=[3.0]), "malformed shape"),
        (tensor("init/k", shape=[True, 3]), "malformed shape"),
        (tensor("init/k", shape="3"), "malformed shape"),
        (tensor("init/k", shape=[2**62, 2**62]), "cannot lie at the bytes"),
        (tensor("init/k", shape=[2**64 + 3]), "cannot lie at the bytes"),
        (tensor("init/k", shape=[2**40], data_offsets=[0, 2**42]), "must begin at byte 4398046511104"),
        (tensor("init/k", data_offsets=[0, 12, 12]), "malformed"),
        (tensor("init/k", data_offsets=[-12, 0]), "malformed"),
        (tensor("mask/k", data_offsets=[11, 12]), "must begin at byte 12. Received: 11"),
        (tensor("mask/k", data_offsets=[13, 14]), "must begin at byte 12. Received: 13"),
        (tensor("mask/k", shape=[2], data_offsets=[12, 14]), "truncated"),
        (
            {"final/k": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, **TENSORS},
            "equal keys and shapes",
        ),
        ({"init/k": TENSORS["init/k"]}, "longer than its header says"),
        (tensor("mask/k", comment="x"), "must have dtype, shape and data_offsets"),
        ({**TENSORS, "mask/k": 3}, "must have dtype, shape and data_offsets"),
    ],
)
def test_a_tensor_that_lies(path, tensors, words):
    assert words in refused(craft(path, tensors))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "k",
            "/k",
            "init",
            "init/",
            "init//k",
            "init/k/",
            "init/\n",
            "init/a\u200bb",
            "rewind/k",
            "middle/k",
        ),
        *(
            "rewind@0/k",
            "rewind@07/k",
            "rewind@-1/k",
            "rewind@x/k",
            "rewind@\u0661/k",
            f"rewind@{'9' * 5000}/k",
        ),
    ],
)
def test_a_tensor_of_no_ticket(path, name):
    claim = {"dtype": "F32", "shape": [3], "data_offsets": [13, 25]}
    assert "tensors must be named mask/<key>" in refused(
        craft(path, {**TENSORS, name: claim}, data=DATA + bytes(12))
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "must be of format"),
        ({"version": 2}, "must be of version 1, which this library reads. Received: version=2"),
        ({"version": True}, "Received: version=True"),
        ({"version": "1"}, "Received: version='1'"),
        ({"shapes": {"k": [4]}}, "must have the shape of its weight"),
        ({"shapes": {"k": [9]}}, "must have the size of its shape"),
        ({"shapes": {"k": 3}}, "must have the size of its shape"),
        ({"shapes": {"k": [2**63]}}, "must have the size of its shape"),
        ({"shapes": {"k": [3, 1]}}, "must have the shape of its weight"),
        ({"shapes": {}}, "only one of them for 'k'"),
        ({"shapes": {"k": [3], "z": [0]}}, "only one of them for 'z'"),
        ({"shapes": []}, "must have a JSON object as shapes"),
        ({"architecture": [1]}, "must have a JSON object as architecture"),
        ({"provenance": None}, "must have a JSON object as provenance"),
        ({"provenance": {"start": "final"}}, "has the snapshots init. Received: 'final'"),
        ({"provenance": {"start": ["init"]}}, "`start` in a provenance must be text"),
        ({"extra": 1}, "must have the metadata"),
    ],
)
def test_fields_that_lie(path, change, words):
    assert words in refused(craft(path, fields={**FIELDS, **change}))


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in ("format", "version")])
def test_a_field_that_is_missing(path, name):
    fields = {key: value for key, value in FIELDS.items() if key != name}
    assert "must have the metadata" in refused(craft(path, fields=fields))


def test_bits_beyond_the_end_of_a_mask(path):
    assert "bits beyond the end" in refused(craft(path, data=DATA[:-1] + bytes([0b10100001])))


def test_booleans_that_are_neither(path):
    tensors = {**TENSORS, "init/b": {"dtype": "BOOL", "shape": [2], "data_offsets": [13, 15]}}
    assert Ticket.load(craft(path, tensors, data=DATA + b"\0\1")).weights("init")["b"].tolist() == [
        False,
        True,
    ]
    assert "other bytes than 0 and 1" in refused(craft(path, tensors, data=DATA + b"\0\2"))


@pytest.mark.parametrize("shape", [[0, 2**40, 2**40], [0, 2**70], [0] * 65])
def test_an_empty_shape_beyond_numpy(path, shape):
    tensors = {"init/e": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}, **TENSORS}
    assert "NumPy cannot hold" in refused(craft(path, tensors))


def test_a_final_weight_that_should_be_pruned(path):
    tensors = {
        "final/k": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
        "init/k": {"dtype": "F32", "shape": [3], "data_offsets": [12, 24]},
        "mask/k": {"dtype": "U8", "shape": [1], "data_offsets": [24, 25]},
    }
    assert "zero where pruned" in refused(craft(path, tensors, data=DATA[:12] + DATA))


@pytest.mark.parametrize("metadata", [{"other": "x"}, {"kerastickets": 3}, "kerastickets"])
def test_another_safetensors_file(path, metadata):
    assert "but not a ticket: its metadata has no entry 'kerastickets'" in refused(
        craft(path, metadata=metadata)
    )


def test_two_metadata_entries(path):
    metadata = {"kerastickets": dumps({**FIELDS, "digest": "0"}), "note": "x"}
    assert "must have one metadata entry" in refused(craft(path, metadata=metadata))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a":1,"a":2}', '{"a":NaN}', '{"a":1e999}', "[" * 100_000])
def test_metadata_that_is_no_json_object(path, text):
    assert "not a ticket" in refused(craft(path, metadata={"kerastickets": text}))


def test_metadata_spelled_otherwise(path):
    fields = {**FIELDS, "digest": hashlib.sha256(dumps([TENSORS, FIELDS]).encode() + DATA).hexdigest()}
    spelled = json.dumps(fields, sort_keys=True)  # spaces
    assert "not canonical" in refused(craft(path, metadata={"kerastickets": spelled}))


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b"3", b"\xff\xfe{}", b'{"a":1,"a":2}', b'{"a":NaN}', b"9" * 5000),
        *(b"[" * 100_000, b'{"a":' * 50_000),
        *(b'{"\\ud800":1}', b'{ "a":1}', b'{"\\u0061":1}', b'{"a":1}\t'),
    ],
)
def test_a_header_that_is_not_as_safetensors_writes_it(path, text):
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    assert "not a ticket" in (message := refused(path)) or "was altered" in message


@pytest.mark.parametrize("claim", [2**40, 2**63, 2**64 - 1, 100_000_001])
def test_a_header_that_claims_more_than_the_file(path, claim):
    path.write_bytes(claim.to_bytes(8, "little") + b"{}")
    tracemalloc.start()
    message = refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"its 10 bytes begin with the claim of a header of {claim} bytes" in message
    assert peak < 1_000_000


def test_a_tensor_that_claims_a_terabyte_allocates_nothing(path):
    craft(path, tensor("init/k", shape=[2**38], data_offsets=[0, 2**40]))
    tracemalloc.start()
    refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, np.float32(1), {1: 2, "a": 3}, b"x"])
def test_only_json_is_canonical(value):
    with pytest.raises(TicketError, match="Expected plain JSON"):
        canonical({"a": value})


def test_canonical_text_parses_back():
    value = {"b": [1, 2.5, None, True, "é\n"], "a": {}}
    assert canonical(value) == '{"a":{},"b":[1,2.5,null,true,"\\u00e9\\n"]}'
    assert parse(canonical(value), "value") == value


def test_well_formed_keys():
    assert all(map(well_formed, ["k", "a/b/c", "my layer/kernel", "größe/k"]))
    assert not any(map(well_formed, ["", "/", "a/", "/a", "a//b", "a\n", "\ud800"]))
