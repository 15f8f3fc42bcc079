"""Arrays of an .npz file that somebody made on purpose: wrong headers, pickles, odd types, odd numbers and labels."""

import io
import pickle
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from tests.hostile import odd
from tests.hostile.archives import Member, bomb, edit_member, pack, unpack
from tests.hostile.damage import Change, damage


class Opened:
    """What a pickle of it does when it is opened: it makes a file, which the corpus would find."""

    def __reduce__(self) -> Any:
        return open, ("opened-by-a-pickle", "w")


def saved(array: Any) -> bytes:
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=True)
    return file.getvalue()


def headed(shape: str, descr: str, data: bytes = b"", order: str = "False", version: int = 1) -> bytes:
    """An .npy file with a header that claims this shape and type, as texts of Python."""
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode("latin1", "replace")
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version % 256, 0]) + size + text + data


_SHAPES: tuple[str, ...] = (
    "(60, 4)",
    "(2**40,)",
    "(1099511627776, 4)",
    "(4611686018427387904,)",
    "(-1, 4)",
    "(60, -4)",
    "(0, 4)",
)
_SHAPES += (
    "(0, 1099511627776)",
    "()",
    "60",
    "(60.0, 4)",
    "('60', 4)",
    "None",
    "[60, 4]",
    "(" + "1," * 40 + ")",
)
_SHAPES += (
    "(True, 4)",
    "(" * 300 + ")" * 300,
    "(9" * 100 + ",)" * 100,
    "(60, 4, 9223372036854775807)",
    "(0,)" * 9,
)
_TYPES: tuple[str, ...] = (
    "'<f4'",
    "'>f8'",
    "'|O'",
    "'O'",
    "'<U4'",
    "'<U1000000000'",
    "'|S4'",
    "'|V2000000000'",
    "'<M8[s]'",
    "'<c16'",
)
_TYPES += (
    "'<m8'",
    "[('a', '<f4'), ('b', '|O')]",
    "'<f16'",
    "'|b1'",
    "'x'",
    "3",
    "None",
    "('<f4', (1000000000,))",
)
_TYPES += (
    "'<f4,<f4'",
    "'__import__'",
    "[]",
    "[('x', [])]",
    "{}",
    "'<i8'",
    "'|u1'",
    "'<f2'",
    "''",
    "'\x1b[31m'",
)


def _header(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at = draw.randrange(len(members))
    shape = draw.choice(_SHAPES) if draw.random() < 0.6 else "(60, 4)"
    descr = draw.choice(_TYPES) if draw.random() < 0.6 else "'<f4'"
    order, version = draw.choice(["False", "True", "3", "None"]), draw.choice([1, 1, 2, 3, 4, 255])
    data = draw.randbytes(draw.choice([0, 16, 960]))
    members[at] = replace(members[at], content=headed(shape, descr, data, order, version))
    return members, f"{members[at].name}: shape {shape[:40]}, type {descr[:40]}, version {version}"


def _pickled(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    at = draw.randrange(len(members))
    kinds = {
        "an array of objects": saved(np.array([Opened()] * 3, object)),
        "a pickle alone": pickle.dumps(Opened()),
        "no array": b"no array",
        "nothing": b"",
    }
    said = draw.choice([*kinds])
    members[at] = replace(members[at], content=kinds[said])
    return members, f"{members[at].name}: {said}"


def _large(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    """Small files of large arrays, whose headers and checksums are right."""
    size = draw.choice([*[2**25] * 29, 2**31])
    head = headed(f"({size // 16}, 4)", "'<f4'")
    labels = headed(f"({size // 16},)", "'|u1'")
    said = f"{size >> 20} MiB of zeros as x"
    return [bomb("x.npy", size, head), bomb("y.npy", max(size // 16, 2**20), labels)], said


def _labels(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    count = 60
    plain = np.arange(count) % 3
    kinds: dict[str, Any] = {
        "below 0": plain - 1,
        "up to 2**62": plain * 2**61,
        "up to 10**6": plain * 500_000,
        "up to 10**9": (plain * 500_000_000).astype("i8"),
        "of uint64, past int64": plain.astype("u8") + np.uint64(2**63),
        "all the same": plain * 0,
        "all different": np.arange(count),
        "boolean": plain > 0,
        "of texts": np.array(["a", "b", "c"] * 20),
        "of dates": plain.astype("M8[s]"),
        "complex": plain.astype("c16"),
        "of structures": np.zeros(count, [("a", "i4")]),
        "float": plain.astype("f4"),
        "NaN": np.full(count, np.nan),
        "1e300": np.full(count, 1e300),
        "one axis more": plain[:, None],
        "two axes more": plain[:, None, None],
        "rows": np.zeros((count, 0)),
        "one number": np.array(3),
        "fewer": plain[:-1],
        "none": plain[:0],
        "infinite targets": np.full((count, 2), np.inf),
        "half floats": np.full((count, 1), 6e4, "f2"),
    }
    said = draw.choice([*kinds])
    return _put(draw, members, "y", kinds[said]), f"labels {said}"


def _values(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    plain = np.linspace(-1, 1, 240).reshape(60, 4)
    kinds: dict[str, Any] = {
        "NaN": plain * np.nan,
        "one NaN": np.where(plain == plain[3, 1], np.nan, plain),
        "infinite": np.where(plain > 0.9, np.inf, plain),
        "1e300": plain * 1e300,
        "3e38 of float32": (plain * 3e38).astype("f4"),
        "denormal": plain * 1e-320,
        "constant": plain * 0,
        "of texts": plain.astype("U5"),
        "complex": plain.astype("c8"),
        "boolean": plain > 0,
        "int64 at its ends": np.where(plain > 0, 2**63 - 1, -(2**63)),
        "uint8": np.arange(240, dtype="u1").reshape(60, 4),
        "of dates": np.zeros((60, 4), "M8[ns]"),
        "of structures": np.zeros((60, 4), [("a", "f4")]),
        "without an axis": np.array(1.0),
        "of one axis": plain[:, 0],
        "without columns": plain[:, :0],
        "without rows": plain[:0],
        "one row": plain[:1],
        "three rows": plain[:3],
        "images": np.zeros((60, 2, 2, 1), "u1"),
        "of seven axes": plain.reshape(60, 1, 2, 1, 2, 1, 1),
        "half floats": np.full((60, 4), 6e4, "f2"),
        "long doubles": plain.astype("g"),
        "of another byte order": plain.astype(">f8"),
    }
    said = draw.choice([*kinds])
    return _put(draw, members, "x", kinds[said]), f"values {said}"


def _put(draw: Random, members: list[Member], name: str, array: Any) -> list[Member]:
    suffix = draw.choice(["", "", "_train", "_test"]) if any("_train" in one.name for one in members) else ""
    file = f"{name}{suffix}.npy"
    return [member for member in members if member.name != file] + [Member(file, saved(array))]


def _splits(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    """Splits of their own, of which some may be missing or of another shape."""
    x, y = np.linspace(-1, 1, 240).reshape(60, 4), np.arange(60) % 3
    arrays = {"x_train": x, "y_train": y, "x_test": x[:9], "y_test": y[:9], "x_val": x[:9], "y_val": y[:9]}
    odd_ones = [
        x[:9, :2],
        x[:0],
        y[:9] + 5,
        y[:9] - 5,
        y[:9].astype("f4"),
        x[:9].astype("u1"),
        y[:9, None],
        x * 1j,
    ]
    for _ in range(draw.choice([0, 1, 2])):
        arrays[draw.choice([*arrays])] = draw.choice(odd_ones)
    if draw.random() < 0.3:
        arrays.pop(draw.choice([*arrays]))
    return [Member(f"{name}.npy", saved(array)) for name, array in arrays.items()], "splits of their own"


def _other(draw: Random, members: list[Member]) -> tuple[list[Member], str]:
    name = draw.choice(["x", "z", "x.npy", "y_test", *odd.TEXTS])
    return [*members, Member(f"{name}.npy", saved(np.zeros(3)))], f"and an array {name[:40]!r}"


Edit = Callable[[Random, list[Member]], tuple[list[Member], str]]
_EDITS: tuple[Edit, ...] = (
    *(
        _header,
        _header,
        _header,
        _pickled,
        _labels,
        _labels,
        _labels,
        _values,
        _values,
        _values,
        _splits,
        _splits,
    ),
    *(_other, _large),
)


def edit_arrays(draw: Random, content: bytes) -> Change:
    """Change the arrays of an .npz file, or bytes in one of them."""
    if draw.random() < 0.15:
        return edit_member(draw, content, lambda chosen, name, member: damage(chosen, member))
    try:
        members = unpack(content)
        if not members:
            raise ValueError("an empty archive")
    except ValueError:
        return damage(draw, content)
    members, said = draw.choice(_EDITS)(draw, members)
    return pack(members), said
