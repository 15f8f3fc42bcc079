"""Tickets that somebody changed on purpose: their digest is right again, since anyone can compute it."""

import hashlib
import json
from random import Random
from typing import Any

import numpy as np

from kerastickets.errors import TicketError
from kerastickets.tickets import file as ticketfile
from tests.hostile import odd
from tests.hostile.damage import Change, damage, dumps, edit

#: What an earlier change can lead to: then bytes are changed instead.
_STRANGE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    TicketError,
)
_CANONICAL: Any = {"sort_keys": True, "separators": (",", ":")}


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The tensors and the fields that a ticket's header claims, and the bytes behind it.

    Raises:
        ValueError: the content is no ticket, for instance after an earlier change.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    try:
        tensors = json.loads(content[8:start])
        fields = json.loads(tensors.pop("__metadata__")["kerastickets"])
        if not isinstance(fields, dict):
            raise TypeError(fields)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("no ticket") from error
    return tensors, fields, content[start:]


def pack(tensors: Any, fields: Any, data: bytes, sign: bool = True) -> bytes:
    """A ticket file with these claims, written as safetensors writes it, and with the digest that it should have."""
    if isinstance(fields, dict) and sign:
        fields.pop("digest", None)
        try:
            claims = json.loads(dumps([tensors, fields]))
            text = json.dumps(claims, allow_nan=False, **_CANONICAL)
        except (ValueError, RecursionError):  # what JSON cannot hold has no digest
            text = ""
        fields = {**fields, "digest": hashlib.sha256(text.encode() + data).hexdigest()}
    header = {"__metadata__": {"kerastickets": dumps(fields, **_CANONICAL)}}
    header |= tensors if isinstance(tensors, dict) else {"x": tensors}
    text = dumps(header, separators=(",", ":"), ensure_ascii=False)
    raw = text.encode(errors="surrogatepass")
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw + data


def edit_header(draw: Random, content: bytes) -> Change:
    """Change one place of the header: mostly of what nothing checks before the digest."""
    try:
        tensors, fields, data = unpack(content)
        part = draw.choice(["provenance"] * 5 + ["architecture"] * 5 + ["shapes", "fields", "tensors"])
        whole = {"fields": fields, "tensors": tensors}
        holder = whole if part in whole else fields
        holder[part], said = edit(draw, holder[part])
        signed = draw.random() < 0.95
        changed = pack(whole["tensors"], whole["fields"], data, signed)
        return changed, f"{part}, {said}" + ("" if signed else ", not signed")
    except _STRANGE:
        return damage(draw, content)


def edit_weights(draw: Random, content: bytes) -> Change:
    """Change numbers or bits of one tensor."""
    try:
        tensors, fields, data = unpack(content)
        name = draw.choice([*tensors])
        begin, end = tensors[name]["data_offsets"]
        piece, said = _numbers(draw, end - begin, tensors[name]["dtype"])
        return pack(tensors, fields, data[:begin] + piece + data[end:]), f"{name}: {said}"
    except _STRANGE:
        return damage(draw, content)


def _numbers(draw: Random, size: int, dtype: str) -> tuple[bytes, str]:
    if dtype != "F32":
        byte = draw.choice([b"\0", b"\xff", b"\x01", b"\x80"])
        return byte * size, f"all bytes {byte!r}"
    number = draw.choice([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 0.0, -0.0, 1e20])
    values = np.full(size // 4, number, "<f4")
    if draw.random() < 0.5:
        values[draw.randrange(len(values)) :] = 0.5
    return values.tobytes(), f"numbers {number}"


def edit_parts(draw: Random, content: bytes) -> Change:
    """Change which tensors there are, their names, types and shapes, all of them consistently."""
    try:
        tensors, fields, data = unpack(content)
        masks, snapshots = {}, {}  # type: ignore[var-annotated]
        for name, claim in tensors.items():
            group, key = name.split("/", 1)
            array = np.frombuffer(data[slice(*claim["data_offsets"])], _DTYPES[claim["dtype"]])
            if group == "mask":
                shape = fields["shapes"][key]
                masks[key] = np.unpackbits(array)[: int(np.prod(shape))].reshape(shape).astype(bool)
            else:
                snapshots.setdefault(group, {})[key] = array.reshape(claim["shape"])
        masks, snapshots, said = draw.choice(_PARTS)(draw, masks, snapshots)
        made = ticketfile.encode(fields["architecture"], masks, snapshots, fields["provenance"])
        return made[0], said
    except _STRANGE:
        return damage(draw, content)


_DTYPES = {"U8": "u1", "F32": "<f4", "F64": "<f8", "I8": "i1", "F16": "<f2", "BOOL": "?", "I64": "<i8"}
_KEYS = (
    "dense",
    "dense/kernel/x",
    "dense_1/bias",
    "../../x",
    "x" * 250,
    "\u202ekernel",
    "init/x",
    "a b",
    "\u0301",
    "*",
)


def _rename(draw: Random, masks: Any, snapshots: Any) -> Any:
    key, new = draw.choice([*snapshots["init"]]), draw.choice([*_KEYS, *odd.TEXTS])
    name = {key: new}
    masks = {name.get(one, one): mask for one, mask in masks.items()}
    trees = {of: {name.get(one, one): value for one, value in tree.items()} for of, tree in snapshots.items()}
    return masks, trees, f"{key} is called {new[:40]!r}"


def _retype(draw: Random, masks: Any, snapshots: Any) -> Any:
    key, dtype = draw.choice([*snapshots["init"]]), draw.choice(["f8", "i1", "?", "i8", "f2", "u8"])
    with np.errstate(all="ignore"):
        trees = {of: {**tree, key: tree[key].astype(dtype)} for of, tree in snapshots.items()}
    return masks, trees, f"{key} is {dtype}"


def _reshape(draw: Random, masks: Any, snapshots: Any) -> Any:
    key = draw.choice([*snapshots["init"]])
    size = snapshots["init"][key].size
    shape = draw.choice([(size,), (1, size), (size, 1, 1), (1,) * 30 + (size,), (0,), (0, 5), (), (0, 2**40)])
    trees = {of: {**tree, key: np.resize(tree[key], shape)} for of, tree in snapshots.items()}
    masks = {one: np.resize(mask, shape) if one == key else mask for one, mask in masks.items()}
    return masks, trees, f"{key} has shape {shape if len(shape) < 9 else 'of 31 axes'}"


def _without(draw: Random, masks: Any, snapshots: Any) -> Any:
    kind = draw.randrange(4)
    if kind == 0:
        gone = draw.choice([*snapshots])
        return masks, {of: tree for of, tree in snapshots.items() if of != gone}, f"no {gone}"
    if kind == 1:
        return {}, snapshots, "no masks"
    key = draw.choice([*snapshots["init"]])
    masks = {one: mask for one, mask in masks.items() if one != key}
    if kind == 2:
        return masks, snapshots, f"no mask of {key}"
    trees = {of: {one: value for one, value in tree.items() if one != key} for of, tree in snapshots.items()}
    return masks, trees, f"no {key} at all"


def _with(draw: Random, masks: Any, snapshots: Any) -> Any:
    name = draw.choice(["rewind@2", "rewind@999999999999999999", "rewind@01", "final", "more", "dense/extra"])
    if name == "dense/extra":
        return masks, {of: {**tree, name: np.ones(3, "f4")} for of, tree in snapshots.items()}, f"and {name}"
    return masks, {**snapshots, name: snapshots["init"]}, f"and a snapshot {name}"


def _masked(draw: Random, masks: Any, snapshots: Any) -> Any:
    kept = draw.random() < 0.3
    masks = {key: np.full_like(mask, kept) if draw.random() < 0.7 else mask for key, mask in masks.items()}
    final = {
        key: np.where(masks[key], value, 0) if key in masks else value
        for key, value in snapshots["init"].items()
    }
    final = {key: value.astype(snapshots["init"][key].dtype) for key, value in final.items()}
    return masks, {**snapshots, "final": final}, f"masks keep {'all' if kept else 'nothing'}"


_PARTS = (_rename, _retype, _reshape, _without, _with, _masked)


def relength(draw: Random, content: bytes) -> Change:
    """Another length of the header: near the right one, past the end, or absurd."""
    right = int.from_bytes(content[:8], "little")
    lengths = (
        right - 1,
        right + 1,
        right + 8,
        len(content),
        len(content) - 8,
        99_999_999,
        2**63,
        2**64 - 1,
        0,
    )
    length = draw.choice(lengths) % 2**64
    return length.to_bytes(8, "little") + content[8:], f"a header of {length} bytes"
