"""Bytes that change without any thought of what they mean, and JSON that somebody changed on purpose."""

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.hostile import odd

#: A change: new content, and what was done in a few words.
Change = tuple[bytes, str]


def flip(draw: Random, content: bytes) -> Change:
    """Other values for a few bytes."""
    changed = bytearray(content or b"\0")
    places = [draw.randrange(len(changed)) for _ in range(draw.randint(1, 8))]
    for at in places:
        changed[at] ^= draw.randint(1, 255)
    return bytes(changed), f"flip bytes {sorted(places)}"


def insert(draw: Random, content: bytes) -> Change:
    """Random bytes between others."""
    at, length = draw.randint(0, len(content)), draw.randint(1, 40)
    return content[:at] + draw.randbytes(length) + content[at:], f"insert {length} bytes at {at}"


def delete(draw: Random, content: bytes) -> Change:
    """A block less."""
    at, length = draw.randint(0, len(content)), draw.randint(1, 200)
    return content[:at] + content[at + length :], f"delete {length} bytes at {at}"


def truncate(draw: Random, content: bytes) -> Change:
    """The first bytes only; often none, or all but a few."""
    most = max(len(content), 1)
    at = draw.choice([0, 1, 7, 8, most - 1, draw.randrange(most), draw.randrange(most)])
    return content[:at], f"truncate to {at} bytes"


def double(draw: Random, content: bytes) -> Change:
    """A block twice, the second time somewhere else."""
    source, at, length = draw.randint(0, len(content)), draw.randint(0, len(content)), draw.randint(1, 400)
    block = content[source : source + length]
    return content[:at] + block + content[at:], f"repeat {length} bytes of {source} at {at}"


def swap(draw: Random, content: bytes) -> Change:
    """Two blocks of one length in each other's place, as when blocks of a disk are mixed up."""
    length = draw.randint(1, 64)
    a, b = sorted(draw.randint(0, len(content)) for _ in range(2))
    b = max(b, a + length)
    parts = content[:a], content[b : b + length], content[a + length : b], content[a : a + length]
    return b"".join(parts) + content[b + length :], f"swap {length} bytes of {a} and {b}"


def splice(draw: Random, content: bytes) -> Change:
    """Bytes that mean something to a terminal, a decoder or a file format; put in, or over others."""
    at, piece = draw.randint(0, len(content)), draw.choice(odd.BYTES)
    over = len(piece) if draw.random() < 0.5 else 0
    return content[:at] + piece + content[at + over :], f"splice {piece[:12]!r} in at {at}, over {over}"


def foreign(draw: Random, content: bytes) -> Change:
    """The beginning of another format, or nothing but one byte."""
    heads = (
        b"PK\x03\x04",
        b"\x80\x04",
        b"\x89HDF\r\n\x1a\n",
        b"\x93NUMPY\x01\x00",
        b"\x7fELF",
        b"\x89PNG\r\n\x1a\n",
    )
    head = draw.choice(
        [*heads, b"GIF89a", b"BM", b"\xff\xd8\xff\xe0", b"\x1f\x8b\x08", b"{", b"[]", b"null", b"3"]
    )
    whole = draw.random() < 0.5
    return head + (b"" if whole else content[len(head) :]), f"begin with {head!r}" + ", nothing more" * whole


DAMAGES: tuple[Callable[[Random, bytes], Change], ...] = (
    *(flip, flip, insert, delete, truncate, double, swap, splice, splice, foreign),
)


def damage(draw: Random, content: bytes) -> Change:
    """One of the changes above."""
    return draw.choice(DAMAGES)(draw, content)


# JSON. A place is a container and a key or an index in it.


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value, however deep."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    for one in waiting:  # which grows
        if isinstance(one, dict | list):
            for key in [*one] if isinstance(one, dict) else range(len(one)):
                found.append((one, key))
                waiting.append(one[key])
    return found


def edit(draw: Random, value: Any) -> tuple[Any, str]:
    """Change one place of a JSON value.

    Args:
        draw: random numbers.
        value: JSON. It may be changed in place.

    Returns:
        The changed value, and what was done.
    """
    known = places(value)
    if not known or draw.random() < 0.01:
        return odd.value(draw), "another value instead of all JSON"
    where, at = draw.choice(known)
    before = where[at]
    name = repr(at)[:40]
    if isinstance(at, str) and at in odd.FIELDS and draw.random() < 0.6:
        where[at] = copy.deepcopy(draw.choice(odd.FIELDS[at]))
        return value, f"{name}: {str(where[at])[:60]!r}, as such fields may be"
    kind = draw.randrange(12)
    if kind < 3:
        where[at] = copy.deepcopy(odd.value(draw))
        return value, f"{name}: {str(where[at])[:60]!r}"
    if kind < 5:
        where[at] = _other_type(draw, before)
        return value, f"{name}: another type, {str(where[at])[:60]!r}"
    if kind == 5:
        del where[at]
        return value, f"{name}: left out"
    if kind == 6:
        where[at] = copy.deepcopy(draw.choice(known)[0])
        return value, f"{name}: a copy of another part"
    if kind == 7:
        return value, f"{name}: {_other_number(draw, where, at)}"
    if kind == 8:
        where[at] = _nested(draw, before)
        return value, f"{name}: nested"
    return value, f"{name}: {_other_key(draw, where, at, kind)}"


def _other_type(draw: Random, value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return draw.choice([0, 1, "true", [], {}, 0.5, None])
    if isinstance(value, int | float):
        return draw.choice([True, False, str(value), [value], {"a": value}, None, value + 0.5])
    if isinstance(value, str):
        return draw.choice(
            [3, 0.5, True, [value], [*value], {value: value}, None, value + draw.choice(odd.TEXTS)]
        )
    if isinstance(value, list):
        return draw.choice(
            [dict.fromkeys(map(str, range(len(value))), 0), "x", 3, None, [value], value[:1] * 50]
        )
    return draw.choice([[*value.values()], [*value], "x", 3, None, [value]])


def _other_number(draw: Random, where: Any, at: Any) -> str:
    """A number near the right one passes every check of types."""
    value = where[at]
    if isinstance(value, bool) or not isinstance(value, int | float):
        where[at] = draw.choice(odd.NUMBERS)
    else:
        where[at] = draw.choice(
            [value + 1, value - 1, -value, value * 2, value * 10**6, value / 3, value + 1e-9]
        )
    return f"{str(where[at])[:60]} instead of {str(value)[:60]!r}"


def _nested(draw: Random, value: Any) -> Any:
    for _ in range(draw.choice([1, 2, 5, 40, 70])):
        value = [value] if draw.random() < 0.5 else {draw.choice(["a", "config", "layers"]): value}
    return value


def _other_key(draw: Random, where: Any, at: Any, kind: int) -> str:
    """Another key, one more, or the same one twice. An item of a list is repeated."""
    if isinstance(where, list):
        where[at:at] = [copy.deepcopy(where[at])] * draw.choice([1, 2, 60])
        return "repeated"
    if kind == 9:
        new = draw.choice([*odd.TEXTS, f"{at} ", at.upper(), f"{at}/{at}"])
        where[new] = where.pop(at)
        return f"renamed to {new[:40]!r}"
    if kind == 10:
        new = draw.choice([*odd.TEXTS, *odd.FIELDS])
        where[new] = copy.deepcopy(odd.value(draw))
        return f"and {new[:40]!r} as well"
    where[TWICE + at] = copy.deepcopy(odd.value(draw))
    return "the key twice"


#: Before a key: written without this prefix, which makes a second key of the same name.
TWICE = "<<twice>>"


def dumps(value: Any, **options: Any) -> str:
    """JSON text of an edited value, with what `json.dumps` alone cannot write."""
    text = json.dumps(value, **options)
    return odd.with_raw(text).replace(TWICE, "")


def edit_json(draw: Random, content: bytes) -> Change:
    """Change one place of a JSON file; bytes of a file that is no JSON."""
    try:
        value, said = edit(draw, json.loads(content))
        text = dumps(value, ensure_ascii=draw.random() < 0.5)
        return text.encode(errors="surrogatepass"), said
    except (ValueError, RecursionError):
        return damage(draw, content)


def edit_lines(draw: Random, content: bytes) -> Change:
    """Change a file with one JSON value per line: one line, or which lines there are."""
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    kind = draw.randrange(8)
    if kind < 4:
        lines[at], said = edit_json(draw, lines[at])
        lines[at] = lines[at].replace(b"\n", b" ")
    elif kind == 4:
        lines[at:at], said = [lines[at]] * draw.choice([1, 3, 500]), "repeated"
    elif kind == 5:
        lines[at : at + draw.randint(1, 9)], said = [], "left out, some"
    elif kind == 6:
        lines[at], said = draw.choice([*odd.BYTES, b"{}", b"[]", b"null", b"3"]), "something else"
    else:
        draw.shuffle(lines)
        said = "and all others shuffled"
    return b"\n".join(lines), f"line {at}: {said}"
