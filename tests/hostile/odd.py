"""Odd values that have broken readers before: bytes, texts, numbers, and values for fields of known names."""

import re
from random import Random
from typing import Any

#: Bytes that mean something to a terminal, a decoder or a file format.
BYTES = (
    b"\x1b[31m",
    b"\x1b]0;title\x07",
    b"\x00",
    b"\x00" * 64,
    b"\xff" * 8,
    b"\xc2\x9b31m",  # a control sequence of one character, in UTF-8
    b"\xed\xa0\x80",  # a lone surrogate
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\r",
    b"\r\n",
    b"\x7f",
    b"\x80",
    b"NaN",
    b"1e999",
    b"-1",
    b"[" * 5000,
    b'{"a":' * 2000,
    b"9" * 5000,
    b"</script>",
    b"%s%n{0}",
    (2**31).to_bytes(8, "little"),
    (2**32 - 1).to_bytes(4, "little"),
    (2**63 - 1).to_bytes(8, "little"),
    (2**64 - 1).to_bytes(8, "little"),
)

#: Texts that break terminals, encoders, paths, pages and format strings.
TEXTS = (
    "",
    " ",
    "\x00",
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x9b31m",
    "\x85",
    "\x7f",
    "\r",
    "\n",
    "a\nb",
    "\t",
    "\u2028",
    "\u202e",
    "\ud800",
    "\udcff",
    "\U0001f3ab",
    "a" * 300,
    "x" * 100_000,
    "../../../../../../x",
    "/tmp/hostile-x",
    "/dev/zero",
    "~",
    "-",
    "--help",
    "NaN",
    "inf",
    "1",
    "0",
    "-1",
    "true",
    "null",
    "{0}{x}%s%n",
    "[bold]",
    "</script><img src=x onerror=alert(1)>",
    "__class__",
    "init",
    "final",
    "rewind@0",
    "rewind@999999999999999999",
    "1e400",
    "\u0663",
)

#: Numbers at the borders of types, and past them.
NUMBERS = (
    *(0, 1, -1, 2, 7, 255, 256, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 10**400),
    *(0.5, -0.0, 1e-320, 1e9, 1e22, 1e308, -1e308, -(2**63), -(10**30)),
)

_RAW = re.compile(r'"<<raw:([0-9a-f]*)>>"')


def raw(text: str) -> str:
    """A string that stands for this text in JSON: for what Python's own `json.dumps` does not write."""
    return f"<<raw:{text.encode().hex()}>>"


def with_raw(text: str) -> str:
    """JSON text with the texts that its `raw` strings stand for.

    Example:
        >>> with_raw('{"a": "' + raw("1e999") + '"}')
        '{"a": 1e999}'
    """
    return _RAW.sub(lambda found: bytes.fromhex(found[1]).decode(), text) if "<<raw:" in text else text


#: JSON that is nested too deep, has keys twice, or numbers that no type holds.
RAW = tuple(
    map(
        raw,
        (
            *(
                "NaN",
                "Infinity",
                "-Infinity",
                "1e999",
                "-1e999",
                "1" * 5000,
                "1E400",
                "0.1e-999",
                "-0",
                "-0.0",
            ),
            *("[" * 900 + "]" * 900, "[" * 100_000 + "]" * 100_000, '{"a":' * 3000 + "1" + "}" * 3000),
            *(
                '{"a":1,"a":2}',
                '{"":0}',
                "[[[[[[]]]]]]",
                "[" + "0," * 20_000 + "0]",
                '"\\ud800"',
                '"\\u0000"',
            ),
        ),
    )
)


def value(draw: Random) -> Any:
    """Any odd JSON value."""
    kind = draw.randrange(10)
    if kind < 3:
        return draw.choice(TEXTS)
    if kind < 5:
        return draw.choice(NUMBERS)
    if kind < 7:
        return draw.choice(RAW)
    plain: tuple[Any, ...] = (None, True, False, [], {}, [[]], [{}], {"a": {}}, [None], [0, 2**62], [1, "a"])
    return draw.choice(plain)


_DATASETS = (
    *("npz:/dev/zero", "npz:missing.npz", "npz:points.npz,seed=-1", "npz:points.npz,seed=x", "npz:.", "npz:"),
    *("folder:/proc/self/fd", "folder:..", "digits", "digits[0,1]", "digits[0,99]", "digits[]", "nothing"),
    *("digits+digits", "digits+" * 50 + "digits", "tfds:../../x", "tfds:mnist", "mnist", "moons-circles"),
    *(
        "symbolic",
        "npz:points.npz[0,1]",
        "npz:points.npz+npz:points.npz",
        "digits:",
        "digits:x=1",
        ":",
        "[",
        "+",
    ),
)
_CLASSES: tuple[Any, ...] = (
    *("Lambda", "Sequential", "Functional", "TFSMLayer", "Dense", "Conv2D", "InputLayer", "Hashing", "Adam"),
    *("__lambda__", "__tensor__", "os.system", "Variable", "", 3, None),
)
_MODELS: tuple[Any, ...] = (
    *("mlp:8", "mlp:1000000000", "mlp:", "mlp:-1", "os:system", "this:x", "resnet-20", "lenet-5", "", 3, {}),
    *("missing.keras", {"name": "mlp"}, None),
)
_SHAPES: tuple[Any, ...] = (
    [],
    None,
    [4],
    "4",
    [None, 4],
    [None, 0],
    [None, -4],
    [None, 2**40],
    [None, None],
    [2**40, 4],
)
_OPTIMIZERS: tuple[Any, ...] = (
    *("sgd", "lambda", "", 3, [], {"class_name": "Adam"}, {"class_name": "Lambda", "module": "os"}),
    *({"class_name": "Adam", "config": {"learning_rate": "x"}}, {"class_name": "Adam", "config": 3}),
)
_METRICS: tuple[Any, ...] = (
    {},
    [],
    3,
    "x",
    None,
    {"val_accuracy": "x"},
    {"val_accuracy": [1]},
    {"val_accuracy": 10**400},
)
_STARTS: tuple[Any, ...] = (
    "init",
    "final",
    "rewind@1",
    "rewind@7",
    "random-reinit",
    "dense",
    "",
    3,
    None,
    [],
    "rewind@-1",
)

#: Values for fields of these names that pass a check of types and are odd all the same.
FIELDS: dict[str, tuple[Any, ...]] = {
    "units": (0, -1, 1, 2**31, 2**40, 10**30, 1.5, True, "8", None, [8]),
    "class_name": _CLASSES,
    "batch_shape": _SHAPES,
    "model": _MODELS,
    "optimizer": _OPTIMIZERS,
    "metrics": _METRICS,
    "start": _STARTS,
    "module": ("os", "builtins", "subprocess", "keras.utils", "keras.src.layers", "keras", "", None, 3),
    "registered_name": ("os>system", "Lambda", "keras>Lambda", "", 3),
    "shape": ([], [0], [-1], [2**62], [2**40, 2**40], [4.0], [True], None, "4", [4, 8, 1], [[4]]),
    "dtype": ("float16", "float64", "int8", "string", "float8", "F99", "U8", None, {"a": 1}, "mixed_float16"),
    "activation": ("relu", "softmax", "lambda", "os.system", None, 3, {"class_name": "Lambda", "config": {}}),
    "data_offsets": ([0, 0], [0, 2**63], [-1, 4], [4, 0], [0], [0.0, 4.0], None),
    "dataset": _DATASETS,
    "criterion": ("snip", "", 3, {}, {"name": 3}, [], None, "\x1b[31m", {"name": "magnitude", "options": 3}),
    "level": (-1, 0, 1, 3, 99, 10**6, 10**18, 10**30, 0.5, True, "1", None, [], {}),
    "levels": (-1, 0, 1, 3, 10**6, 10**18, 1.5, True, "2", None, [], {}),
    "train": ("0ep", "-1ep", "1ep", "1e9ep", "999999999999it", "x", 4, None, {}, [], "4ep\x1b"),
    "batch_size": (0, -1, 1, 10**9, 10**30, 1.5, True, "16", None),
    "val_accuracy": (-1, 2, 10**400, "0.5", None, [], {}, True, raw("NaN"), raw("1e999")),
    "seeds": ({}, [], 3, None, {"init": -1}, {"init": "x"}, {"init": 10**30, "data": 10**30}, {"data": None}),
    "seed": (-1, 10**30, 0.5, "0", None, True),
    "parents": ([], {}, "x", 3, None, [3], [None], ["x" * 64], [["x"]]),
    "version": (0, 2, 10**30, 1.0, True, "1", None),
    "config": ({}, None, [], 3, "x", {"name": 3}, {"layers": []}, {"layers": [{}]}, {"layers": 3}),
    "layers": ([], {}, 3, None, [None], ["x"], [[]], [{}]),
    "rate": (-1, 0, 1, 2, "0.5", None, {"*": 0.5}, {"*": "x"}, [], True),
    "outputs": (-1, 0, 10**9, 2.5, "3", None),
    "inputs": ([-1], [10**9], ["x"], 3, None, [[0]]),
    "tasks": ({}, [], 3, {"a": 3}, {"a": {}}, {"": {"inputs": [], "outputs": [], "loss": None}}),
    "stop_when": ("x", ["x"], ["level=1"], [3], ["structure.layers=1"], ["os.system=1"], {}, 3),
    "columns": ([], {}, 3, None, [{}], ["x"], [3]),
    "rows": ([], {}, 3, None, [{}], ["x"], [3], [[]]),
    "series": ([], {}, 3, None, [{}], ["x"]),
    "x": ([], {}, None, ["a", 1], [raw("NaN")], [1e308, -1e308], 3),
    "y": ([], {}, None, ["a", 1], [raw("NaN")], [1e308, -1e308], 3),
    "format": (".1%", "d", "s", "1999999999d", "{}", "", 3, None, "\x1b", ".99999999999f", "x>1000000000"),
    "notes": ("x", [], {}, 3, None, [3], ["\x1b[31m"]),
    "nodes": ([], {}, 3, None, [{}], [[]]),
    "edges": ([], [["a", "b"]], [["x", "y"]], [["a"]], 3, None, [[3, 4]]),
}
