"""Read arrays of numbers from an .npz file that may come from anyone.

`numpy.load` believes what a file claims: it allocates an array before it knows whether the file holds it, and raises
whatever zipfile and the parser of headers raise. Here every claim is checked before anything is allocated.
"""

import io
import math
import warnings
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerastickets.plugin import DataError, fits_memory, open_regular, reason, shown_name

# numpy.savez writes the first, numpy.savez_compressed the second. The other methods of zip can expand a few bytes to
# gigabytes in a single step.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LARGEST_DIRECTORY = 2**24  # bytes; enough for a hundred thousand arrays
_LARGEST_HEADER = 10_000  # characters, as in numpy.load
_BLOCK = 2**20
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Header:
    """What the file says of one array, before the array is read.

    Args:
        shape: its shape; no axis is negative.
        dtype: its dtype, a number or a boolean.
        fortran: whether its first axis varies fastest.
        start: where its values begin in its member of the archive, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    start: int


class Archive:
    """An open .npz file.

    Args:
        file: the open zip file.
    """

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._members: dict[str, list[zipfile.ZipInfo]] = {}
        for member in file.infolist():
            self._members.setdefault(member.filename.removesuffix(".npy"), []).append(member)

    @property
    def names(self) -> Collection[str]:
        """The names of all arrays."""
        return self._members.keys()

    def header(self, name: str) -> Header:
        """The header of one array, checked against the size of the member that holds it.

        Raises:
            ValueError: the array cannot be read, or is not of numbers.
        """
        member = self._member(name)
        with self._file.open(member) as file:
            header = _header(file)
        if header.dtype.kind not in "biuf":
            raise ValueError(f"its dtype is {header.dtype}, which is not a number")
        holds, claims = member.file_size - header.start, math.prod(header.shape) * header.dtype.itemsize
        if holds != claims:
            raise ValueError(
                f"it has {holds} bytes of values, which are not {header.dtype} of shape {header.shape}"
            )
        return header

    def read(self, name: str, header: Header) -> np.ndarray:
        """Read one array.

        Args:
            name: its name.
            header: its header, whose size the caller has compared with the memory.

        Raises:
            ValueError: the values are damaged.
        """
        with fits_memory(f"The array {shown_name(name)}", "Use fewer or smaller examples.", DataError):
            array = np.empty(math.prod(header.shape), header.dtype)
        raw = array.view(np.uint8)
        with self._file.open(self._member(name)) as file:
            file.read(header.start)
            for start in range(0, raw.size, _BLOCK):
                block = raw[start : start + _BLOCK]
                read = file.read(block.size)
                if len(read) < block.size:
                    raise ValueError("it ends before its last value")
                block[:] = np.frombuffer(read, np.uint8)
        return array.reshape(header.shape, order="F" if header.fortran else "C")

    def _member(self, name: str) -> zipfile.ZipInfo:
        member, *others = self._members[name]
        if others:
            raise ValueError(f"it is stored {1 + len(others)} times")
        if member.flag_bits & _ENCRYPTED:
            raise ValueError("it is encrypted")
        if member.compress_type not in _METHODS:
            raise ValueError(f"it is compressed by method {member.compress_type} of zip instead of deflate")
        return member


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an .npz file. Whatever goes wrong in the body becomes a `DataError` that names the file.

    Raises:
        DataError: the file cannot be opened, is not an archive, or one of its arrays cannot be read.
    """
    try:
        with _Bounded(open_regular(path).detach()) as file, zipfile.ZipFile(file) as archive:
            yield Archive(archive)
    except DataError:
        raise
    except Exception as error:  # zipfile may raise any exception for a hostile file
        received = " ".join(reason(error).split())[:300]
        raise DataError(
            "`file` must be an .npz file of plain arrays of numbers, as numpy.savez(file, x=..., y=...) writes it. "
            f"Received: file={str(path)!r}: {shown_name(received)}"
        ) from error


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the name of an array before the message of any error of the body."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise ValueError(f"array {shown_name(name)}: {reason(error)}") from error


class _Bounded(io.BufferedReader):
    """A file that gives no more bytes at once than the directory of an archive needs.

    zipfile reads the whole directory at once, makes an object of every entry, and trusts the size that the file states.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _LARGEST_DIRECTORY:
            raise ValueError(f"its directory has more than {_LARGEST_DIRECTORY:,} bytes")
        return super().read(size)


def _header(file: Any) -> Header:
    """Parse the header of an .npy file.

    NumPy's function is given the header alone, because it would read as many bytes as the file states.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"it has version {version} of the .npy format")
    width = 2 if version == (1, 0) else 4
    length = file.read(width)
    size = int.from_bytes(length, "little")
    if size > _LARGEST_HEADER:
        raise ValueError(f"its header has more than {_LARGEST_HEADER:,} characters")
    # Version 3.0 differs from 2.0 only in the encoding of field names, and fields are refused.
    parse = np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings(action="ignore"):  # such as for headers that Python 2 wrote
        shape, fortran, dtype = parse(io.BytesIO(length + file.read(size)))
    if min(shape, default=0) < 0:
        raise ValueError(f"it has the shape {shape}")
    return Header(tuple(map(int, shape)), dtype, fortran, np.lib.format.MAGIC_LEN + width + size)
