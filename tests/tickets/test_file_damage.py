"""Ticket files that were damaged, or forged: refused, or equal to what was saved, and never anything else."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from kerastickets.errors import TicketError
from kerastickets.tickets.ticket import Ticket


def small():
    weights = {
        "dense/kernel": np.arange(6, dtype="float32").reshape(2, 3),
        "dense/bias": np.ones(2, "float32"),
    }
    mask = np.array([[True, False, True], [False, False, True]])
    return Ticket({"name": "tiny"}, {"dense/kernel": mask}, {"init": weights}, {"level": 2})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ticket.safetensors"


def refused(path):
    with pytest.raises(TicketError) as caught:
        Ticket.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_every_flipped_byte_is_found(path):
    content = bytearray(small().save(path).read_bytes())
    for at in range(len(content)):
        for flip in (0x01, 0x20, 0x80, 0xFF):
            content[at] ^= flip
            path.write_bytes(content)
            content[at] ^= flip
            with pytest.raises(TicketError):
                Ticket.load(path)
    path.write_bytes(content)
    assert Ticket.load(path) == small()


def test_every_truncation_is_found(path):
    content = small().save(path).read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(TicketError):
            Ticket.load(path)
    path.write_bytes(content[:-1])
    assert "is truncated: its tensors take 33 bytes. Received: 32 bytes" in refused(path)


def test_bytes_at_the_end_are_found(path):
    path.write_bytes(small().save(path).read_bytes() + b"\0")
    assert "longer than its header says" in refused(path)


def test_a_changed_weight_is_damage(path):
    content = bytearray(small().save(path).read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    assert "does not match the digest stored in it" in refused(path)


CONTENT = small()._encoded()[0]
EDITS = st.lists(
    st.tuples(st.integers(0, len(CONTENT)), st.integers(0, 12), st.binary(max_size=12)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_a_mutated_file_is_refused_or_equal(tmp_path, edits):
    content = CONTENT
    for at, length, new in edits:
        content = content[:at] + new + content[at + length :]
    (tmp_path / "mutated").write_bytes(content)
    if content == CONTENT:
        assert Ticket.load(tmp_path / "mutated") == small()
    else:
        refused(tmp_path / "mutated")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text(max_size=4)
    | st.sampled_from(["F32", "U8"]),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_forged_header_with_a_right_digest_is_refused_or_sound(tmp_path, data):
    """Whoever can compute a digest can claim anything, so the claims are mutated and the digest made right."""
    start = 8 + int.from_bytes(CONTENT[:8], "little")
    tensors = json.loads(CONTENT[8:start])
    fields = json.loads(tensors.pop("__metadata__")["kerastickets"])
    fields.pop("digest")
    for _ in range(data.draw(st.integers(1, 2))):
        where = data.draw(st.sampled_from([tensors, fields, fields["shapes"], *tensors.values()]))
        if isinstance(where, dict):
            where[data.draw(st.sampled_from([*where, "init/x"]))] = data.draw(JSON)

    def dumps(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    digest = hashlib.sha256(dumps([tensors, fields]).encode() + CONTENT[start:]).hexdigest()
    metadata = {"kerastickets": dumps({**fields, "digest": digest})}
    text = json.dumps({"__metadata__": metadata, **tensors}, separators=(",", ":"), ensure_ascii=False)
    raw = text.encode(errors="surrogatepass")
    (tmp_path / "forged").write_bytes(len(raw).to_bytes(8, "little") + raw + CONTENT[start:])
    try:
        loaded = Ticket.load(tmp_path / "forged")
    except TicketError:
        return
    assert Ticket.load(loaded.save(tmp_path / "again")) == loaded
