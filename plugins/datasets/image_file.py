"""Read image files that may come from anyone: their size is known before they are decoded."""

import re
import struct
from pathlib import Path

from kerastickets.plugin import read_bytes

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_LARGEST = 2**28  # bytes of a file
# A progressive JPEG may go over the whole image in every scan, and a scan may take 20 bytes. libjpeg-turbo advises
# the same limit.
_MOST_SCANS = 500
_SCAN = b"\xff\xda"
_MOST_SEGMENTS = 10_000
# A marker is 0xFF and one more byte. 0xFF may be repeated before it; 0 makes no marker; 01 and D0 to D7 stand alone.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
_ENDS = {0xDA, 0xD9}  # the first scan, and the end of the image
# SOF0 to SOF15, without the three numbers in between that mean something else.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def read_image_file(path: Path) -> tuple[bytes, tuple[int, int]]:
    """The content of a PNG or JPEG file, and the height and width that its header states.

    Args:
        path: the file, of at most 256 MiB.

    Raises:
        OSError: the file cannot be read, or is not a regular file.
        ValueError: it is not a PNG or JPEG file, it is too large, or its header is damaged.
    """
    content = read_bytes(path, _LARGEST)
    size = image_size(content)
    if min(size) < 1:
        raise ValueError(f"an image of {size[0]}x{size[1]} pixels")
    return content, size


def image_size(content: bytes) -> tuple[int, int]:
    """The height and width that the header of a PNG or JPEG file states.

    Args:
        content: the content of the file, or its beginning.

    Raises:
        ValueError: it is not a PNG or JPEG file, or its header is damaged.

    Example:
        >>> image_size(b"\\x89PNG\\r\\n\\x1a\\n" + b"\\0\\0\\0\\x0dIHDR" + b"\\0\\0\\0\\x08" + b"\\0\\0\\0\\x06")
        (6, 8)
    """
    if content.startswith(_PNG):
        if content[8:16] != b"\0\0\0\x0dIHDR" or len(content) < 24:
            raise ValueError("a PNG file with a damaged header")
        width, height = struct.unpack(">II", content[16:24])
        return height, width
    if content.startswith(_JPEG):
        if content.count(_SCAN) > _MOST_SCANS:
            raise ValueError(f"a JPEG file with more than {_MOST_SCANS} scans")
        return _frame_size(content)
    raise ValueError(f"a file that begins with {content[:8]!r}")


def _frame_size(content: bytes) -> tuple[int, int]:
    """Walk through the segments of a JPEG file to its frame header, as libjpeg does."""
    place = len(_JPEG)
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(content, place)
        if found is None or found[1][0] in _ENDS:
            break
        segment = content[found.end() : found.end() + 7]
        if found[1][0] in _FRAMES and len(segment) == 7:
            height, width = struct.unpack(">HH", segment[3:])
            return height, width
        place = found.end() + max(2, int.from_bytes(segment[:2], "big"))
    raise ValueError("a JPEG file without a header")
