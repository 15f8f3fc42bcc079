"""Read and write ticket files: safetensors files that any framework can read and that cannot run code.

The tensors are `mask/<key>` (bit-packed), `init/<key>` and, if present, `rewind@<step>/<key>` and
`final/<key>`. The metadata has one entry, `kerastickets`. It is canonical JSON with the format, the version,
the architecture, the shapes of the masks, the provenance and the digest. Equal tickets give equal bytes,
and the reader accepts no other bytes: a digest belongs to one content and to one file.
The reader does not trust the file: it checks every claim against the size of the file, and the digest, before
it allocates anything.
"""

import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from safetensors.numpy import save as serialize

from kerastickets.errors import TicketError
from kerastickets.foundations.files import write_whole
from kerastickets.foundations.tree import Tree
from kerastickets.tickets import file_header as header
from kerastickets.tickets.file_header import Header, Tensor, canonical

_KINDS = {dtype: kind for kind, dtype in header.DTYPES.items()}


class Parts(NamedTuple):
    """The content of a ticket file, checked but not yet a `Ticket`."""

    architecture: dict[str, Any]
    masks: dict[str, np.ndarray]
    snapshots: dict[str, dict[str, np.ndarray]]
    provenance: dict[str, Any]
    digest: str


def encode(
    architecture: Mapping[str, Any], masks: Tree, snapshots: Mapping[str, Tree], provenance: Mapping[str, Any]
) -> tuple[bytes, str]:
    """The bytes of a ticket file, and its digest.

    Args:
        architecture: a JSON object.
        masks: boolean arrays by key.
        snapshots: weight Trees by name.
        provenance: a JSON object.

    Returns:
        `(content, digest)`: the content of the file, and the sha256 that is stored in it, in hexadecimal.

    Raises:
        TicketError: a part is not JSON, the header is larger or nested deeper than a reader accepts, or this version
            of safetensors is not supported.

    Example:
        >>> content, digest = encode({}, {}, {"init": {"b": np.zeros(2, "float32")}}, {})
        >>> digest.encode() in content, len(digest)
        (True, 64)
    """
    header.check_depth(architecture)
    tensors, fields = _contents(architecture, masks, snapshots, provenance)
    claims = _claims(tensors)
    digest = _digest(tensors, claims, fields)
    metadata = canonical(fields | {"digest": digest})
    expected = header.written(claims, metadata)
    # One entry only, because safetensors writes metadata entries in random order.
    content = serialize(tensors, {header.ENTRY: metadata})
    if content[: 8 + len(expected)] != len(expected).to_bytes(8, "little") + expected:
        raise TicketError(
            "Expected safetensors to order tensors by their types and names. Received: another header. "
            "This version of safetensors is not supported: install the one that constraints.txt names."
        )
    return content, digest


def digest(
    architecture: Mapping[str, Any], masks: Tree, snapshots: Mapping[str, Tree], provenance: Mapping[str, Any]
) -> str:
    """The digest that `encode` returns, computed without building the file in memory.

    Example:
        >>> ticket = {}, {}, {"init": {"b": np.zeros(2, "float32")}}, {}
        >>> digest(*ticket) == encode(*ticket)[1]
        True
    """
    tensors, fields = _contents(architecture, masks, snapshots, provenance)
    return _digest(tensors, _claims(tensors), fields)


def _contents(
    architecture: Mapping[str, Any], masks: Tree, snapshots: Mapping[str, Tree], provenance: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors of a file, sorted by name, and its metadata without the digest."""
    tensors = {f"mask/{key}": np.packbits(mask) for key, mask in masks.items()}
    tensors |= {f"{name}/{key}": value for name, tree in snapshots.items() for key, value in tree.items()}
    fields = {
        "format": header.FORMAT,
        "version": header.VERSION,
        "architecture": dict(architecture),
        "shapes": {key: mask.shape for key, mask in masks.items()},
        "provenance": dict(provenance),
    }
    return dict(sorted(tensors.items())), fields


def _claims(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the header says about each tensor, in file order."""
    kinds = {name: _KINDS[value.dtype] for name, value in tensors.items()}
    claims, at = {}, 0
    for name in sorted(tensors, key=lambda name: header.in_file_order(name, kinds[name])):
        end = at + tensors[name].nbytes
        claims[name] = {"dtype": kinds[name], "shape": [*tensors[name].shape], "data_offsets": [at, end]}
        at = end
    return claims


def _digest(tensors: Mapping[str, np.ndarray], claims: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    sha = header.hasher(claims, fields)
    for name in claims:
        sha.update(tensors[name].reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def write(path: Path, content: bytes, check: Callable[[], None] | None = None) -> None:
    """Write `content` to `path` atomically: all of it or nothing. Missing folders are created.

    Args:
        path: the file to make or replace.
        content: its bytes.
        check: called before the file is replaced; see `write_whole`.

    Raises:
        TicketError: the file cannot be written. The message names the path and the reason. An existing file
            is unchanged.
    """
    try:
        write_whole(path, content, check)
    except (OSError, ValueError) as error:  # ValueError: the path is invalid on every system
        raise TicketError(f"{path}: cannot be written: {getattr(error, 'strerror', error)}") from error


@contextmanager
def errors_with(path: str | Path) -> Iterator[None]:
    """Turn errors of the body into a `TicketError` whose message begins with `path`."""
    try:
        yield
    except TicketError as error:
        raise TicketError(f"{path}: {error}") from error.__cause__
    except MemoryError as error:
        raise TicketError(f"{path}: does not fit into the memory of this machine.") from error
    except (OSError, ValueError) as error:
        raise TicketError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error


def decode(path: str | Path) -> Parts:
    """Read and check a ticket file.

    Args:
        path: the file.

    Returns:
        The parts of the ticket. Arrays are read-only.

    Raises:
        TicketError: the file is not a valid ticket. The message does not name the path (see `errors_with`).
        OSError: the file cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise TicketError("is not a file.")
    masks: dict[str, np.ndarray] = {}
    snapshots: dict[str, dict[str, np.ndarray]] = {}
    with open(path, "rb") as file:
        found = header.read(file)
        _check_digest(file, found)
        for tensor in found.tensors:
            group, key = tensor.name.split("/", 1)
            if group == "mask":
                masks[key] = _unpack(_array(file, found.start, tensor), tensor.name, found.shapes[key])
            else:
                snapshots.setdefault(group, {})[key] = _array(file, found.start, tensor)
    fields = found.fields
    return Parts(fields["architecture"], masks, snapshots, fields["provenance"], fields["digest"])


def _check_digest(file: BinaryIO, found: Header) -> None:
    sha = header.hasher(found.raw, found.fields)
    file.seek(found.start)
    while block := file.read(1 << 20):
        sha.update(block)
    if sha.hexdigest() != found.fields["digest"]:
        raise TicketError("was altered or damaged: its content does not match the digest stored in it.")


def _array(file: BinaryIO, start: int, tensor: Tensor) -> np.ndarray:
    # The tensor is known to lie within the file, so only an absurd shape that contains a 0 can fail here.
    try:
        array = np.empty(tensor.shape, tensor.dtype.newbyteorder("<"))
    except (ValueError, OverflowError) as error:
        raise TicketError(f"tensor {tensor.name!r} has a shape that NumPy cannot hold: {error}.") from None
    raw = array.reshape(-1).view(np.uint8)
    file.seek(start + tensor.begin)
    if file.readinto(raw) != raw.size:  # type: ignore[attr-defined]
        raise TicketError(f"is truncated: tensor {tensor.name!r} ended early.")
    if tensor.dtype == bool and raw.max(initial=0) > 1:
        raise TicketError(f"tensor {tensor.name!r} is boolean and holds other bytes than 0 and 1.")
    return _read_only(array.astype(tensor.dtype, copy=False))


def _unpack(packed: np.ndarray, name: str, shape: tuple[int, ...]) -> np.ndarray:
    bits, count = np.unpackbits(packed), math.prod(shape)
    if bits[count:].any():
        raise TicketError(f"tensor {name!r} has bits beyond the end of its shape {shape}.")
    return _read_only(bits[:count].reshape(shape).astype(bool))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
