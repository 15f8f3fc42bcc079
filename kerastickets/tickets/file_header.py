"""Read and check the header of a ticket file without trusting it.

Every claim of a header is compared with the size of the file, in Python integers, which cannot overflow.
Only the text of the header is allocated, at most a hundred megabytes.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from kerastickets.errors import TicketError

FORMAT = "kerastickets.ticket"
VERSION = 1
ENTRY = "kerastickets"
SNAPSHOT = re.compile(r"init|final|rewind@[1-9][0-9]{0,17}")
DTYPES: Mapping[str, np.dtype] = {
    "BOOL": np.dtype("bool"),
    "I8": np.dtype("int8"),
    "U8": np.dtype("uint8"),
    "I16": np.dtype("int16"),
    "U16": np.dtype("uint16"),
    "F16": np.dtype("float16"),
    "I32": np.dtype("int32"),
    "U32": np.dtype("uint32"),
    "F32": np.dtype("float32"),
    "I64": np.dtype("int64"),
    "U64": np.dtype("uint64"),
    "F64": np.dtype("float64"),
}

_FIELDS = {"format", "version", "architecture", "shapes", "provenance", "digest"}
_LIMIT = 100_000_000  # the limit of safetensors itself
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


def canonical(value: Any) -> str:
    """JSON text with sorted keys and without spaces. Equal values give equal text.

    Args:
        value: nested dicts with text keys, lists, text, finite numbers, booleans and None.

    Raises:
        TicketError: `value` is not JSON, contains NaN or infinity, or is nested too deep.

    Example:
        >>> canonical({"b": [1, 2.5], "a": None})
        '{"a":null,"b":[1,2.5]}'
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TicketError(f"Expected plain JSON with finite numbers. Received: {error}") from None


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
    if len(first) < 8 or start > size or start > 8 + _LIMIT:
        kind = next((kind for magic, kind in _FOREIGN.items() if first.startswith(magic)), None)
        claim = f"its {size} bytes begin with the claim of a header of {start - 8} bytes"
        raise TicketError(f"is not a ticket, or is truncated: {f'it is {kind}' if kind else claim}.")
    text = file.read(start - 8)
    raw = parse(text, "header")
    # safetensors pads with spaces. A ticket has exactly one valid sequence of bytes: other forms are refused.
    if text.rstrip(b" ") != json.dumps(raw, separators=(",", ":"), ensure_ascii=False).encode(
        errors="surrogatepass"
    ):
        raise TicketError("was altered: its header is not written in the way safetensors writes it.")
    fields = _fields(raw)
    tensors = _tensors(raw, size - start)
    return Header(raw, fields, start, tensors, _shapes(fields["shapes"], tensors))


def parse(text: bytes | str, what: str) -> dict[str, Any]:
    """Parse a JSON object without duplicate keys, without NaN, and not nested too deep to be written again.

    Args:
        text: JSON text, or its bytes in UTF-8.
        what: what the text is, for error messages.

    Raises:
        TicketError: `text` is not such an object.
    """
    try:
        found = json.loads(text.decode() if isinstance(text, bytes) else text, object_pairs_hook=_unique)
        canonical(found)
    except (ValueError, RecursionError, TicketError) as error:
        raise TicketError(
            f"is not a ticket, or was altered: its {what} is not valid JSON ({error})."
        ) from None
    if not isinstance(found, dict):
        raise TicketError(f"is not a ticket: its {what} is not a JSON object.")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _fields(raw: dict[str, Any]) -> dict[str, Any]:
    metadata = raw.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(text := metadata.get(ENTRY), str):
        raise TicketError(f"is a safetensors file, but not a ticket: its metadata has no entry {ENTRY!r}.")
    if len(metadata) > 1:
        raise TicketError(f"must have one metadata entry, {ENTRY!r}. Received: {sorted(metadata)}.")
    fields = parse(text, "metadata")
    if fields.get("format") != FORMAT:
        raise TicketError(f"must be of format {FORMAT!r}. Received: {fields.get('format')!r}.")
    version = fields.get("version")
    if type(version) is not int or version != VERSION:
        raise TicketError(
            f"must be of version {VERSION}, which this library reads. Received: version={version!r}. "
            "Newer tickets need a newer kerastickets."
        )
    if fields.keys() != _FIELDS:
        raise TicketError(f"must have the metadata {sorted(_FIELDS)}. Received: {sorted(fields)}.")
    for name in ("architecture", "shapes", "provenance"):
        if not isinstance(fields[name], dict):
            raise TicketError(f"must have a JSON object as {name}. Received: {type(fields[name]).__name__}.")
    if text != canonical(fields):
        raise TicketError("was altered: its metadata is not canonical JSON.")
    return fields


def _tensors(raw: dict[str, Any], size: int) -> list[Tensor]:
    claims = (_tensor(name, claim) for name, claim in raw.items() if name != "__metadata__")
    tensors = sorted(claims, key=lambda tensor: (tensor.begin, tensor.end))
    at = 0
    for tensor in tensors:
        if tensor.begin != at:
            raise TicketError(f"tensor {tensor.name!r} must begin at byte {at}. Received: {tensor.begin}.")
        at = tensor.end
    if at != size:
        what = "truncated" if at > size else "longer than its header says"
        raise TicketError(f"is {what}: its tensors take {at} bytes. Received: {size} bytes.")
    return tensors


def _tensor(name: str, claim: Any) -> Tensor:
    group, _, key = name.partition("/")
    if not (group == "mask" or SNAPSHOT.fullmatch(group)) or not well_formed(key):
        raise TicketError(
            "tensors must be named mask/<key>, init/<key>, rewind@<step>/<key> or final/<key>. "
            f"Received: {name!r}."
        )
    if not isinstance(claim, dict) or claim.keys() != {"dtype", "shape", "data_offsets"}:
        raise TicketError(f"tensor {name!r} must have dtype, shape and data_offsets. Received: {claim}.")
    kind, shape, offsets = claim["dtype"], claim["shape"], claim["data_offsets"]
    allowed = ["U8"] if group == "mask" else [*DTYPES]
    if kind not in allowed:
        raise TicketError(f"tensor {name!r} must have a dtype of {allowed}. Received: {kind!r}.")
    if not (_naturals(shape) and _naturals(offsets) and len(offsets) == 2):
        raise TicketError(f"tensor {name!r} has a malformed shape {shape} or data_offsets {offsets}.")
    if offsets[1] - offsets[0] != math.prod(shape) * DTYPES[kind].itemsize:
        raise TicketError(f"tensor {name!r} of shape {shape} and {kind} cannot lie at the bytes {offsets}.")
    return Tensor(name, DTYPES[kind], tuple(shape), *offsets)


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _shapes(shapes: dict[str, Any], tensors: list[Tensor]) -> dict[str, tuple[int, ...]]:
    stored = {tensor.name: tensor.shape for tensor in tensors}
    masked = {name.removeprefix("mask/") for name in stored if name.startswith("mask/")}
    if masked != shapes.keys():
        key = min(masked ^ shapes.keys())
        raise TicketError(f"must have a mask and a shape per key. Received: only one of them for {key!r}.")
    for key, shape in shapes.items():
        if not _naturals(shape) or stored[f"mask/{key}"] != (-(-math.prod(shape) // 8),):
            raise TicketError(
                f"the mask of {key!r} must have the size of its shape. Received: shape={shape}."
            )
        if stored.get(f"init/{key}") != tuple(shape):
            raise TicketError(f"the mask of {key!r} must have the shape of its weight in init.")
    return {key: tuple(shape) for key, shape in shapes.items()}
