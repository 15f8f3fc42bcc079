"""Images that somebody made on purpose: PNG files with wrong sizes, checksums and chunks, and other formats."""

import struct
import zlib
from collections.abc import Callable
from random import Random

from tests.hostile.archives import zeros
from tests.hostile.damage import Change, damage

_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file, with the checksum that it should have."""
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes, colour: int = 0, depth: int = 8, more: bytes = b"") -> bytes:
    """A PNG file.

    Args:
        width: the width that it claims.
        height: the height that it claims.
        rows: the rows of pixels, each after a byte for its filter.
        colour: 0 for gray, 2 for RGB, 3 for a palette, 6 for RGB and opacity.
        depth: bits per channel.
        more: chunks before the pixels.
    """
    head = chunk(
        b"IHDR", struct.pack(">2L5B", width % 2**32, height % 2**32, depth % 256, colour % 256, 0, 0, 0)
    )
    return _MAGIC + head + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def gray(width: int = 4, height: int = 4, first: int = 0) -> bytes:
    """A sound gray PNG file."""
    rows = (
        bytes([0, *((first + 16 * row + column) % 256 for column in range(width))]) for row in range(height)
    )
    return png(width, height, b"".join(rows))


def large(side: int) -> bytes:
    """A sound PNG file of `side` times `side` black pixels that is a thousand times smaller than they are."""
    size = -(-side * (side + 1) // 2**20) * 2**20
    packed, _ = zeros(size)
    data = b"\x78\xda" + packed + struct.pack(">L", size % 65521 << 16 | 1)  # Adler-32 of so many zeros
    head = chunk(b"IHDR", struct.pack(">2L5B", side, side, 8, 0, 0, 0, 0))
    return _MAGIC + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _sizes(draw: Random, content: bytes) -> Change:
    width, height = (draw.choice([0, 1, 4, 5, 4, 65535, 2**31 - 1, 2**31, 2**32 - 1]) for _ in range(2))
    return png(width, height, bytes(20)), f"claims {width} x {height} pixels"


def _kinds(draw: Random, content: bytes) -> Change:
    colour, depth = draw.choice([0, 2, 3, 4, 6, 1, 7, 255]), draw.choice([1, 2, 4, 8, 16, 0, 3, 32])
    return png(4, 4, bytes(4 * (1 + 32)), colour, depth), f"colour {colour}, depth {depth}"


def _chunks(draw: Random, content: bytes) -> Change:
    kind = draw.choice(
        [b"tEXt", b"iCCP", b"PLTE", b"tRNS", b"acTL", b"\x00\x00\x00\x00", b"IDAT", b"IHDR", b"zTXt"]
    )
    more = chunk(kind, draw.choice([b"", b"\x1b[31m\x00x", b"a" * 100_000, bytes(13), b"\xff" * 3]))
    return png(4, 4, bytes(20), more=more), f"a chunk {kind!r}"


def _bmp(width: int, height: int) -> bytes:
    head = struct.pack("<L2l2H6L", 40, width, height, 1, 24, 0, 8, 0, 0, 0, 0)
    return b"BM" + struct.pack("<3L", 62, 0, 54) + head + bytes(8)


def _jpeg(side: int) -> bytes:
    size = struct.pack(">2H", side, side)
    frame = b"\xff\xc0\x00\x0b\x08" + size + b"\x01\x01\x11\x00"
    return _JPEG + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + bytes(50) + b"\xff\xd9"


def _gif(side: int) -> bytes:
    size = struct.pack("<2H", side, side)
    return (
        b"GIF89a"
        + size
        + b"\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00"
        + size
        + b"\x00\x02\x02D\x01\x00;"
    )


_OTHERS = {
    "a GIF": _gif(1),
    "a GIF of 65535 x 65535": _gif(65535),
    "a BMP": _bmp(1, 1),
    "a BMP of 2**31 rows": _bmp(2**31 - 1, -(2**31)),
    "the begin of a JPEG": _JPEG,
    "a JPEG of 65535 x 65535": _jpeg(65535),
    "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>",
    "nothing": b"",
}


def _others(draw: Random, content: bytes) -> Change:
    said = draw.choice([*_OTHERS])
    return _OTHERS[said], said


def _large(draw: Random, content: bytes) -> Change:
    side = draw.choice([300, 300, 4000, 20_000])
    return large(side), f"{side} x {side} pixels"


def _other_size(draw: Random, content: bytes) -> Change:
    width, height = draw.choice([(4, 5), (1, 1), (16, 1), (300, 1)])
    return gray(width, height), f"{width} x {height} pixels"


_EDITS: tuple[Callable[[Random, bytes], Change], ...] = (
    *(damage, damage, damage, _sizes, _kinds, _chunks, _others, _others, _other_size, _large),
)


def edit_image(draw: Random, content: bytes) -> Change:
    """Change an image: its bytes, or all of it."""
    return draw.choice(_EDITS)(draw, content)
