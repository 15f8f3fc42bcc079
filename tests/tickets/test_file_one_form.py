"""A ticket has one file: every other way to write the same content is refused, and so is what cannot be read again."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from kerastickets.errors import TicketError
from kerastickets.tickets import canonical_json, file_header
from kerastickets.tickets.ticket import Ticket

WEIGHTS = {
    "a/kernel": np.arange(6, dtype="float32").reshape(2, 3),
    "b": np.array([1, 0, 2], "int8"),
    "c": np.ones(2, "float64"),
    "none": np.zeros((0, 2), "float32"),
}
MASKS = {"a/kernel": np.array([[True, False, True], [False, False, True]]), "none": np.ones((0, 2), bool)}


def ticket(**changes):
    parts = {"architecture": {"b": [1, 2.5], "a": "é"}, "masks": MASKS, "provenance": {"level": 2}}
    return Ticket(**{"snapshots": {"init": WEIGHTS, "rewind@3": WEIGHTS}, **parts, **changes})


CONTENT = ticket().content()
START = 8 + int.from_bytes(CONTENT[:8], "little")
RAW = json.loads(CONTENT[8:START])
TENSORS = {name: claim for name, claim in RAW.items() if name != "__metadata__"}


def dumps(value, **how):
    return json.dumps(value, separators=(",", ":"), **how)


def packed(raw, data=None, padding=None):
    """A file with this header, which is given as JSON or as text."""
    text = raw if isinstance(raw, bytes) else dumps(raw, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8) if padding is None else padding
    return len(text).to_bytes(8, "little") + text + (CONTENT[START:] if data is None else data)


def signed(tensors, fields, data):
    """The header of these tensors and fields, with the digest that is right for them."""
    plain = {key: value for key, value in fields.items() if key != "digest"}
    text = dumps([tensors, plain], sort_keys=True).encode()
    fields = {**plain, "digest": hashlib.sha256(text + data).hexdigest()}
    return {"__metadata__": {"kerastickets": dumps(fields, sort_keys=True)}, **tensors}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ticket.safetensors"


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(TicketError) as caught:
        Ticket.load(path)
    return str(caught.value).removeprefix(f"{path}: ")


def moved(order):
    """The file with its tensors in another order, and with offsets and a digest that are right for it."""
    tensors, data = {}, b""
    for name in order:
        begin, end = TENSORS[name]["data_offsets"]
        tensors[name] = {**TENSORS[name], "data_offsets": [len(data), len(data) + end - begin]}
        data += CONTENT[START + begin : START + end]
    fields = json.loads(RAW["__metadata__"]["kerastickets"])
    return packed(signed(tensors, fields, data), data)


def test_the_helpers_write_the_file_itself():
    assert packed(RAW) == moved(TENSORS) == CONTENT


SPELLINGS = {
    "no padding": packed(RAW, padding=b""),
    "a block of padding": packed(dumps(RAW, ensure_ascii=False).encode() + b" " * 8),
    "a space less": packed(dumps(RAW, ensure_ascii=False).encode().ljust(START - 9), padding=b""),
    "another padding": packed(CONTENT[8:START].rstrip() + b"\n", padding=b""),
    "metadata last": packed({**TENSORS, "__metadata__": RAW["__metadata__"]}),
    "tensors listed otherwise": packed(dict([*RAW.items()][:1] + [*RAW.items()][:0:-1])),
    "claims listed otherwise": packed(
        {name: dict(sorted(claim.items())) if name in TENSORS else claim for name, claim in RAW.items()}
    ),
    "a space": packed(CONTENT[8:START].replace(b'":{"', b'": {"', 1).rstrip()),
    "an escape": packed(CONTENT[8:START].replace(b"mask/", b"\\u006dask/", 1).rstrip()),
    "a number": packed(CONTENT[8:START].replace(b'"data_offsets":[0,', b'"data_offsets":[-0,').rstrip()),
    "tensors moved": moved([*TENSORS][::-1]),
    "tensors by name": moved(sorted(TENSORS)),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_another_spelling_is_refused(path, name):
    assert SPELLINGS[name] != CONTENT
    said = refused(path, SPELLINGS[name])
    assert "not written in the way safetensors writes it" in said or "must begin at byte" in said


# Headers of anybody: each is refused, or its ticket has this very file.


def edited(draw, value):
    """`value` with one part changed."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from([*value]))
        how = draw(st.sampled_from(["edit", "edit", "drop", "move", "rename"]))
        if how == "edit":
            return {**value, key: edited(draw, value[key])}
        rest = {name: item for name, item in value.items() if name != key}
        return rest if how == "drop" else {**rest, key if how == "move" else draw(KEYS): value[key]}
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], edited(draw, value[at]), *value[at + 1 :]]
    return draw(VALUES)


KEYS = st.sampled_from(
    ["init/b", "mask/b", "init/\ud800", "init/\x1b", "x", "", "rewind@4/b", "final/b", "digest"]
)
VALUES = st.sampled_from(
    [
        *(
            None,
            True,
            -1,
            0,
            1,
            2.5,
            -0.0,
            2**63,
            10**400,
            1e308,
            "",
            "F32",
            "\ud800",
            "é",
            [],
            {},
            [0],
            [0, 0],
        ),
        *(
            [2, 3],
            [0] * 70,
            [2**62, 2**62],
            {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
            [[[[[]]]]],
        ),
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_an_edited_header_is_refused_or_the_file_of_its_ticket(tmp_path, data):
    fields = json.loads(RAW["__metadata__"]["kerastickets"])
    tensors, draw = TENSORS, data.draw
    for _ in range(draw(st.integers(1, 2))):
        if draw(st.booleans()):
            tensors = edited(draw, tensors)
        else:
            fields = edited(draw, fields)
    if not isinstance(tensors, dict) or not isinstance(fields, dict):
        return
    text = dumps(signed(tensors, fields, CONTENT[START:]), ensure_ascii=False).encode(errors="surrogatepass")
    content = packed(text)
    (tmp_path / "edited").write_bytes(content)
    try:
        loaded = Ticket.load(tmp_path / "edited")
    except TicketError as error:
        assert len(str(error)) < 1500  # noqa: PT017
    else:
        assert loaded.content() == content


# What is refused at reading is refused at writing, in the same words.


def test_bytes_and_values_are_limited(path):
    for text, words in (
        ("x" * 32_000_000, "must have at most 32,000,000 bytes. Received: 32,0"),
        ([0] * 2_000_000, "must have at most 2,000,000 JSON values. Received: 2,000,1"),
    ):
        large = ticket(architecture={"text": text})
        with pytest.raises(TicketError, match=words) as caught:
            large.save(path)
        assert not path.exists()
        fields = {**json.loads(RAW["__metadata__"]["kerastickets"]), "architecture": {"text": text}}
        assert refused(path, packed(signed(TENSORS, fields, CONTENT[START:]))) == str(caught.value)
        path.unlink()


def test_a_long_header_is_not_even_read(path, monkeypatch):
    monkeypatch.setattr(file_header, "_MOST_BYTES", 100)
    monkeypatch.setattr(file_header, "parse", None)
    assert "at most 100 bytes" in refused(path, CONTENT)


def test_the_depth_of_an_architecture_is_limited(path):
    deep = {}
    for _ in range(255):
        deep = {"a": deep}
    assert Ticket.load(ticket(architecture=deep).save(path)).architecture == deep
    path.unlink()
    with pytest.raises(TicketError, match="at most 256 levels deep") as caught:
        ticket(architecture={"a": deep}).save(path)
    fields = {**json.loads(RAW["__metadata__"]["kerastickets"]), "architecture": {"a": deep}}
    assert refused(path, packed(signed(TENSORS, fields, CONTENT[START:]))) == str(caught.value)


def test_memory_that_runs_out_is_a_ticket_error(path, monkeypatch):
    def full(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(canonical_json.json, "loads", full)
    assert refused(path, CONTENT) == "does not fit into the memory of this machine."


@pytest.mark.parametrize("shape", [[9] * 300_000, [10**4000] * 300], ids=["long", "large"])
def test_a_shape_of_many_sizes_takes_no_time(path, shape):
    tensors = {"init/k": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}
    fields = {**json.loads(RAW["__metadata__"]["kerastickets"]), "shapes": {}}
    said = refused(path, packed(signed(tensors, fields, bytes(4)), bytes(4)))
    assert "cannot lie at the bytes" in said
    assert len(said) < 1000


def test_lone_surrogates_and_control_characters_in_values_come_back(path):
    odd = {"\ud800": ["\udfff", "\x00\x1b\u2028", "\ud83d\ude00"]}
    made = ticket(architecture=odd, provenance={"note": odd})
    assert Ticket.load(made.save(path)) == made
    assert Ticket.load(path).content() == path.read_bytes()
