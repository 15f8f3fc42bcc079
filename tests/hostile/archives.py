"""Zip archives (.npz, .keras) that somebody made on purpose, written by hand, since `zipfile` refuses to."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Any

from tests.hostile import odd
from tests.hostile.damage import Change, damage

_LOCAL, _CENTRAL, _END = "<4s5H3L2H", "<4s6H3L5H2L", "<4s4H2LH"
_LINK = 0o120777 << 16


@dataclass(frozen=True)
class Member:
    """A file of an archive. What is None is computed; `near` differs from it only beside the data.

    Args:
        name: its name in the archive.
        content: the bytes that it stands for, or the compressed bytes themselves if `packed`.
        method: 0 (stored) or 8 (deflated); anything else is a lie.
        packed: whether `content` is compressed already.
        flags: the first is that the member is encrypted.
        crc: the checksum, where it is wrong.
        size: the claimed size, where it is wrong.
        attributes: such as that the member is a symbolic link.
        near: changes for the header beside the data, which should say the same as the directory at the end.
    """

    name: str
    content: bytes
    method: int = 0
    packed: bool = False
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    attributes: int = 0
    near: tuple[tuple[str, Any], ...] = ()


def unpack(content: bytes) -> list[Member]:
    """The members of an archive.

    Raises:
        ValueError: it is no archive, or no sound one, for instance after an earlier change.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return [Member(info.filename, archive.read(info)) for info in archive.infolist()[:50]]
    except Exception as error:  # a damaged archive can raise anything
        raise ValueError("no archive") from error


def pack(members: Sequence[Member], **end: int) -> bytes:
    """An archive of these members, whatever they claim. `end` changes the record at its end."""
    body, directory = bytearray(), bytearray()
    for member in members:
        data = member.content
        if member.method == 8 and not member.packed:
            data = zlib.compress(data, 6, -15)
        at = len(body)
        body += _header(_LOCAL, replace(member, **dict(member.near)), data, 0) + data
        directory += _header(_CENTRAL, member, data, at)
    count = end.get("count", len(members)) % 2**16
    start = end.get("start", len(body)) % 2**32
    tail = struct.pack(_END, b"PK\x05\x06", 0, 0, count, count, len(directory), start, end.get("comment", 0))
    return bytes(body + directory + tail)


def _header(form: str, member: Member, data: bytes, at: int) -> bytes:
    name = member.name.encode(errors="surrogatepass")[:60_000]
    flags = member.flags | (0 if name.isascii() else 0x800)
    crc = member.crc if member.crc is not None else 0 if member.packed else zlib.crc32(member.content)
    size = (member.size if member.size is not None else len(member.content)) % 2**32
    method = member.method % 2**16
    common = (flags, method, 0, 0x21, crc, len(data), size, len(name), 0)
    if form == _LOCAL:
        return struct.pack(form, b"PK\x03\x04", 20, *common) + name
    return struct.pack(form, b"PK\x01\x02", 0x314, 20, *common, 0, 0, 0, member.attributes, at % 2**32) + name


@lru_cache(maxsize=16)
def zeros(size: int, head: bytes = b"") -> tuple[bytes, int]:
    """`head` and `size` zero bytes, a multiple of a mebibyte, deflated a thousandfold; and the checksum of them."""
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    mebi = block.compress(bytes(2**20)) + block.flush(zlib.Z_FULL_FLUSH)
    first = zlib.compressobj(9, zlib.DEFLATED, -15)
    begin = first.compress(head) + first.flush(zlib.Z_FULL_FLUSH)
    crc = zlib.crc32(head)
    for _ in range(size >> 20):
        crc = zlib.crc32(bytes(2**20), crc)
    return begin + mebi * (size >> 20) + zlib.compressobj(9, zlib.DEFLATED, -15).flush(), crc


def bomb(name: str, size: int, head: bytes = b"") -> Member:
    """A member that is small in the archive and has `size` bytes outside of it."""
    packed, crc = zeros(size, head)
    return Member(name, packed, 8, True, crc=crc, size=size + len(head))


_NAMES = (
    "../../x",
    "../" * 20 + "tmp/hostile-x",
    "/tmp/hostile-x",
    "x\x00y",
    "..",
    "",
    ".",
    "C:\\x",
    "a" * 300,
)


def _pick(draw: Random, members: list[Member]) -> int:
    return draw.randrange(len(members))


def _twice(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    one, other = draw.choice(members), draw.choice(members)
    return [*members, replace(one, content=other.content)], f"{one.name} twice, with what {other.name} holds"


def _checksum(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at = _pick(draw, members)
    members[at] = replace(members[at], crc=draw.randrange(2**32))
    return members, f"{members[at].name}: a wrong checksum"


def _encrypted(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at, flags = _pick(draw, members), draw.choice([1, 1, 0x41, 0x20, 8, 0x2000])
    members[at] = replace(members[at], flags=flags)
    return members, f"{members[at].name}: flags {flags}"


def _method(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at, method = _pick(draw, members), draw.choice([8, 8, 1, 9, 12, 14, 93, 95, 97, 98, 99, 65535])
    packed = draw.random() < 0.5
    members[at] = replace(members[at], method=method, packed=packed)
    return members, f"{members[at].name}: compressed by method {method}" + ", which it is not" * packed


def _name(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at, name = _pick(draw, members), draw.choice([*_NAMES, *odd.TEXTS])
    added = replace(members[at], name=name)
    if draw.random() < 0.5:
        return [*members, added], f"and a member {name[:40]!r}"
    return [*members[:at], added, *members[at + 1 :]], f"{members[at].name} is called {name[:40]!r}"


def _link(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at, target = _pick(draw, members), draw.choice([b"/dev/zero", b"../../x", b"/tmp/hostile-x", b"x"])
    members[at] = replace(members[at], content=target, attributes=_LINK)
    return members, f"{members[at].name}: a link to {target!r}"


def _gone(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at = _pick(draw, members)
    return members[:at] + members[at + 1 :], f"no {members[at].name}"


def _bomb(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at, size = _pick(draw, members), draw.choice([*[2**25] * 29, 2**31])
    members[at] = bomb(members[at].name, size)
    return members, f"{members[at].name}: {size >> 20} MiB of zeros"


def _claim(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at, size = _pick(draw, members), draw.choice([0, 1, 2**31, 2**32 - 2, 2**32 - 1])
    members[at] = replace(members[at], size=size)
    return members, f"{members[at].name}: claims {size} bytes"


def _apart(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at = _pick(draw, members)
    lies = [
        ("name", draw.choice(["other", *_NAMES])),
        ("crc", 0),
        ("size", 2**32 - 2),
        ("method", 99),
        ("flags", 1),
    ]
    lie = draw.choice(lies)
    members[at] = replace(members[at], near=(lie,))
    return members, f"{members[at].name}: beside its data another {lie[0]}"


def _many(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    more = [Member(f"{number}.npy", b"") for number in range(draw.choice([100, 5000]))]
    return [*members, *more], f"and {len(more)} empty members"


def _deflated(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    """Every member deflated, so that later changes of bytes meet a decoder."""
    return [replace(member, method=8) for member in members], "deflated"


Edit = Callable[[Random, list[Member]], tuple[list[Member], str]]
_EDITS: tuple[Edit, ...] = (
    *(
        _twice,
        _checksum,
        _encrypted,
        _method,
        _method,
        _name,
        _name,
        _link,
        _gone,
        _bomb,
        _claim,
        _apart,
        _apart,
    ),
    *(_many, _deflated, _deflated),
)


def edit_archive(draw: Random, content: bytes) -> Change:
    """Change the members of an archive, or the record at its end."""
    try:
        members = unpack(content)
        if not members:
            raise ValueError("an empty archive")
    except ValueError:
        return damage(draw, content)
    if draw.random() < 0.1:
        end = draw.choice(
            [{"count": 0}, {"count": 65535}, {"start": 2**32 - 1}, {"start": 0}, {"comment": 9999}]
        )
        return pack(members, **end), f"at the end of the archive {end}"
    members, said = draw.choice(_EDITS)(draw, members)
    return pack(members), said


def edit_member(draw: Random, content: bytes, change: Callable[[Random, str, bytes], Change]) -> Change:
    """Change what one member holds; sizes and checksums are right afterwards.

    Args:
        draw: random numbers.
        content: the archive.
        change: gets the member's name and content.
    """
    try:
        members = unpack(content)
        at = draw.randrange(len(members))
    except ValueError:
        return damage(draw, content)
    changed, said = change(draw, members[at].name, members[at].content)
    members[at] = replace(members[at], content=changed)
    return pack(members), f"{members[at].name}: {said}"
