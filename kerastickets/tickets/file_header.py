"""Read and check the header of a ticket file without trusting it.

Every claim of a header is compared with the size of the file, in Python integers, which cannot overflow.
Only the text of the header is allocated. Its size is limited, and so is the number of values in it, because
small values take many times more memory than their text.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from kerastickets.errors import TicketError
from kerastickets.foundations.strangers import deeper
from kerastickets.tickets.canonical_json import canonical as canonical, parse as parse

FORMAT = "kerastickets.ticket"
VERSION = 1
ENTRY = "kerastickets"
SNAPSHOT = re.compile(r"init|final|rewind@[1-9][0-9]{0,17}")
#: Types by their names in files, in the order in which safetensors writes tensors.
DTYPES: Mapping[str, np.dtype] = {
    "U64": np.dtype("uint64"),
    "I64": np.dtype("int64"),
    "F64": np.dtype("float64"),
    "F32": np.dtype("float32"),
    "U32": np.dtype("uint32"),
    "I32": np.dtype("int32"),
    "F16": np.dtype("float16"),
    "U16": np.dtype("uint16"),
    "I16": np.dtype("int16"),
    "I8": np.dtype("int8"),
    "U8": np.dtype("uint8"),
    "BOOL": np.dtype("bool"),
}

_CLAIMS = ("dtype", "shape", "data_offsets")
_FIELDS = {"format", "version", "architecture", "shapes", "provenance", "digest"}
_PLACES = {kind: place for place, kind in enumerate(DTYPES)}
# EfficientNetV2L, one of the largest networks in Keras, needs one megabyte and a hundred thousand values.
_MOST_BYTES = 32_000_000
_MOST_VALUES = 2_000_000  # reading takes at most 200 bytes of memory for each
# How deep an architecture may be nested: Keras takes about five levels for a model in a model.
_DEEPEST = 256
_BEYOND = 2**64  # more elements than any array has
_FOREIGN = {
    b"PK\x03\x04": "a zip archive, such as .keras or .npz",
    b"\x80": "a pickle, which this library never opens",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
}


class Tensor(NamedTuple):
    """One tensor of a file: name, type, shape, and its range of bytes, counted from the header's end."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """A header that is consistent in itself and with the size of its file.

    `raw` is the header's JSON. `fields` is the ticket's own metadata. `start` is the file position of the
    first tensor. `tensors` are in file order. `shapes` are the shapes of the masks by key.
    """

    raw: dict[str, Any]
    fields: dict[str, Any]
    start: int
    tensors: list[Tensor]
    shapes: dict[str, tuple[int, ...]]


def well_formed(key: str) -> bool:
    """Whether `key` is a path of printable, non-empty segments, joined by `/`.

    Example:
        >>> well_formed("dense/kernel"), well_formed("dense//kernel")
        (True, False)
    """
    return key.isprintable() and all(key.split("/"))


def hasher(raw: Mapping[str, Any], fields: Mapping[str, Any]) -> "hashlib._Hash":
    """The sha256 hash of a header. The caller updates it with the data that follows the header.

    Args:
        raw: the JSON of a safetensors header. Its metadata is left out of the hash.
        fields: the ticket's metadata. Its digest is left out of the hash.
    """
    tensors = {name: claim for name, claim in raw.items() if name != "__metadata__"}
    plain = {name: value for name, value in fields.items() if name != "digest"}
    return hashlib.sha256(canonical([tensors, plain]).encode())


def in_file_order(name: str, dtype: str) -> tuple[int, str]:
    """A sort key that puts tensors into the order in which safetensors writes them: by type, then by name."""
    return _PLACES[dtype], name


def written(claims: Mapping[str, Any], metadata: str) -> bytes:
    """The text of a header, as safetensors writes it. A ticket has no other valid header.

    Args:
        claims: type, shape and range of bytes of each tensor by name, in file order.
        metadata: the ticket's metadata as canonical JSON.

    Raises:
        TicketError: the text is longer, or has more values, than a header may have.
    """
    raw = {"__metadata__": {ENTRY: metadata}, **claims}
    text = json.dumps(raw, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    _check_size(len(text), _values(text))
    return text


def read(file: BinaryIO) -> Header:
    """Read and check the header at the beginning of an open file.

    Args:
        file: a regular file, opened in binary mode for reading.

    Raises:
        TicketError: the header is invalid. The message does not name the file.
    """
    size = os.fstat(file.fileno()).st_size
    first = file.read(8)
    start = 8 + int.from_bytes(first, "little")
    if len(first) < 8 or start > size:
        kind = next((kind for magic, kind in _FOREIGN.items() if first.startswith(magic)), None)
        claim = f"its {size} bytes begin with the claim of a header of {start - 8} bytes"
        raise TicketError(f"is not a ticket, or is truncated: {f'it is {kind}' if kind else claim}.")
    _check_size(start - 8)
    text = file.read(start - 8)
    _check_size(len(text), _values(text))
    raw = parse(text, "header")
    if deeper(raw, 3):
        raise TicketError("is not a ticket, or was altered: its header is nested too deep.")
    metadata, fields = _fields(raw)
    tensors = _tensors(raw, size - start)
    claims = {tensor.name: {key: raw[tensor.name][key] for key in _CLAIMS} for tensor in tensors}
    if text != written(claims, metadata):
        raise TicketError("was altered: its header is not written in the way safetensors writes it.")
    return Header(raw, fields, start, tensors, _shapes(fields["shapes"], tensors))


def _values(text: bytes) -> int:
    """About how many JSON values a text has, and at least as many: the keys of objects count, too."""
    return sum(map(text.count, (b",", b":", b"[", b"{")))


def _check_size(size: int, values: int = 0) -> None:
    for what, number, most in (("bytes", size, _MOST_BYTES), ("JSON values", values, _MOST_VALUES)):
        if number > most:
            raise TicketError(
                f"The header of a ticket must have at most {most:,} {what}. Received: {number:,}. It holds the "
                "architecture, the provenance, and the names of the tensors."
            )


def check_depth(architecture: Mapping[str, Any]) -> None:
    """Refuse an architecture that is nested so deep that Python could not copy it."""
    if deeper(dict(architecture), _DEEPEST):
        raise TicketError(
            f"The architecture of a ticket must be at most {_DEEPEST} levels deep. Received: more."
        )


def _fields(raw: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The ticket's metadata, as text and parsed."""
    metadata = raw.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(text := metadata.get(ENTRY), str):
        raise TicketError(f"is a safetensors file, but not a ticket: its metadata has no entry {ENTRY!r}.")
    if len(metadata) > 1:
        raise TicketError(f"must have one metadata entry, {ENTRY!r}. Received: {_short(sorted(metadata))}.")
    fields = parse(text, "metadata")
    if fields.get("format") != FORMAT:
        raise TicketError(f"must be of format {FORMAT!r}. Received: {_short(fields.get('format'))}.")
    version = fields.get("version")
    if type(version) is not int or version != VERSION:
        raise TicketError(
            f"must be of version {VERSION}, which this library reads. Received: version={_short(version)}. "
            "Newer tickets need a newer kerastickets."
        )
    if fields.keys() != _FIELDS:
        raise TicketError(f"must have the metadata {sorted(_FIELDS)}. Received: {_short(sorted(fields))}.")
    for name in ("architecture", "shapes", "provenance"):
        if not isinstance(fields[name], dict):
            raise TicketError(f"must have a JSON object as {name}. Received: {type(fields[name]).__name__}.")
    check_depth(fields["architecture"])
    if text != canonical(fields):
        raise TicketError("was altered: its metadata is not canonical JSON.")
    return text, fields


def _tensors(raw: dict[str, Any], size: int) -> list[Tensor]:
    """The tensors of a header in file order. They fill the rest of the file, without gaps."""
    found = [_tensor(name, claim) for name, claim in raw.items() if name != "__metadata__"]
    tensors = sorted(found, key=lambda tensor: in_file_order(tensor.name, raw[tensor.name]["dtype"]))
    at = 0
    for tensor in tensors:
        if tensor.begin != at:
            raise TicketError(
                f"tensor {_short(tensor.name)} must begin at byte {_short(at)}. Received: {_short(tensor.begin)}."
            )
        at = tensor.end
    if at != size:
        what = "truncated" if at > size else "longer than its header says"
        raise TicketError(f"is {what}: its tensors take {_short(at)} bytes. Received: {size} bytes.")
    return tensors


def _tensor(name: str, claim: Any) -> Tensor:
    group, _, key = name.partition("/")
    if not (group == "mask" or SNAPSHOT.fullmatch(group)) or not well_formed(key):
        raise TicketError(
            "tensors must be named mask/<key>, init/<key>, rewind@<step>/<key> or final/<key>. "
            f"Received: {_short(name)}."
        )
    if not isinstance(claim, dict) or claim.keys() != {*_CLAIMS}:
        raise TicketError(
            f"tensor {_short(name)} must have dtype, shape and data_offsets. Received: {_short(claim)}."
        )
    kind, shape, offsets = claim["dtype"], claim["shape"], claim["data_offsets"]
    allowed = ["U8"] if group == "mask" else [*DTYPES]
    if kind not in allowed:
        raise TicketError(f"tensor {_short(name)} must have a dtype of {allowed}. Received: {_short(kind)}.")
    if not (_naturals(shape) and _naturals(offsets) and len(offsets) == 2):
        shown = f"shape {_short(shape)} or data_offsets {_short(offsets)}"
        raise TicketError(f"tensor {_short(name)} has a malformed {shown}.")
    if offsets[1] - offsets[0] != _count(shape) * DTYPES[kind].itemsize:
        shown = f"shape {_short(shape)} and {kind} cannot lie at the bytes {_short(offsets)}"
        raise TicketError(f"tensor {_short(name)} of {shown}.")
    return Tensor(name, DTYPES[kind], tuple(shape), *offsets)


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _count(shape: list[int]) -> int:
    """The number of elements of a shape, or some number that no array reaches: the whole product may take hours."""
    if 0 in shape:
        return 0
    count = 1
    for size in shape:
        count *= size
        if count > _BEYOND:
            break
    return count


def _short(value: Any, most: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= most else text[:most] + "..."


def _shapes(shapes: dict[str, Any], tensors: list[Tensor]) -> dict[str, tuple[int, ...]]:
    stored = {tensor.name: tensor.shape for tensor in tensors}
    masked = {name.removeprefix("mask/") for name in stored if name.startswith("mask/")}
    if masked != shapes.keys():
        key = min(masked ^ shapes.keys())
        raise TicketError(
            f"must have a mask and a shape per key. Received: only one of them for {_short(key)}."
        )
    for key, shape in shapes.items():
        if not _naturals(shape) or stored[f"mask/{key}"] != (-(-_count(shape) // 8),):
            raise TicketError(
                f"the mask of {_short(key)} must have the size of its shape. Received: shape={_short(shape)}."
            )
        if stored.get(f"init/{key}") != tuple(shape):
            raise TicketError(f"the mask of {_short(key)} must have the shape of its weight in init.")
    return {key: tuple(shape) for key, shape in shapes.items()}
