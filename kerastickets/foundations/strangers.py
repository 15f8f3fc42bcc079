"""Files and texts of strangers: read JSON without believing it, and show text without obeying it.

A ticket, a run's folder or a study's folder may come from anyone. Its JSON may be damaged, nested a million levels
deep or of other types than expected, and its texts may hold sequences that steer a terminal.
"""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.foundations.reading import open_regular

#: The largest JSON file that is read, in bytes. The largest that this library writes has a few megabytes.
LARGEST = 64_000_000

#: How deep JSON may be nested. What this library writes has a dozen levels.
DEEPEST = 64

_LARGEST_NUMBER = 2**63
# What a terminal may obey (C0 and C1 controls, DEL), what reorders a line (marks of direction), what ends one, and
# halves of characters, which no encoding can write. Line feed and tab are left alone.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """A text that is safe to print: characters that a terminal would obey are written as escapes.

    Args:
        text: any text. Line feeds and tabs stay.

    Example:
        >>> printable("acc\\x1b[31m 0.9")
        'acc\\\\x1b[31m 0.9'
    """
    return _OBEYED.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def printable_json(text: str) -> str:
    """JSON text that is safe to print, and means the same: such characters are written as JSON writes them.

    Example:
        >>> printable_json('["\\x9b"]')
        '["\\\\u009b"]'
    """
    # In JSON text, such characters can stand in strings only.
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """The content of a regular file of bounded size.

    Args:
        path: the file. A link is followed, but only to a regular file.
        most: the largest size allowed, in bytes.

    Raises:
        OSError: the file cannot be read, or is no regular file.
        ValueError: it is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(most + 1) if size <= most else b""
    if max(size, len(content)) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def parse_json(text: str | bytes) -> Any:
    """Parse JSON. NaN and infinity are allowed, since the rows of a diverged training hold them.

    Raises:
        ValueError: the text is no JSON, nested too deep, or too large for memory.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except MemoryError:
        raise ValueError("it does not fit into memory") from None
    if deeper(found, DEEPEST):
        raise ValueError("it is nested too deep")
    return found


def deeper(value: Any, most: int) -> bool:
    """Whether lists and objects are nested more than `most` levels deep. A loop, because recursion could overflow."""
    level = [value]
    for _ in range(most):
        inner: list[Any] = []
        for one in level:
            inner += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        level = [one for one in inner if isinstance(one, dict | list)]
        if not level:
            return False
    return True


def read_json(path: Path, writer: str, most: int = LARGEST) -> dict[str, Any]:
    """Read a JSON object from a file that may come from anyone.

    Args:
        path: the file.
        writer: what writes such files, for the message, such as ``"`kt prune`"``.
        most: the largest size allowed, in bytes.

    Returns:
        The object. The types inside are the caller's to check.

    Raises:
        RecipeError: the file cannot be read, or does not hold a JSON object.

    Example:
        >>> read_json(Path("no/run.json"), "`kt prune`")
        Traceback (most recent call last):
        ...
        kerastickets.errors.RecipeError: no/run.json must be what `kt prune` wrote. Received: No such file or directory.
    """
    try:
        found = parse_json(read_bytes(path, most))
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise RecipeError(f"{path} must be what {writer} wrote. Received: {why}.") from error
    return found


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number that fits into 64 bits: an integer or a float, but no boolean.

    Example:
        >>> [is_number(value) for value in (1, 0.5, True, "1", 10**30)]
        [True, True, False, False, False]
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < _LARGEST_NUMBER


def is_finite(value: Any) -> bool:
    """Whether a JSON value is a number, and neither infinite nor NaN."""
    return is_number(value) and math.isfinite(value)


def is_count(value: Any) -> bool:
    """Whether a JSON value is an integer of at least 0."""
    return is_number(value) and isinstance(value, int) and value >= 0
