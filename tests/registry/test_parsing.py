"""Annotations: how they are written, and how text and Python values become values of them."""

from typing import Literal, Optional

import numpy as np
import pytest

from kerastickets.errors import PluginError
from kerastickets.registry.parsing import read, text


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "int"),
        (bool, "bool"),
        (float | None, "float | None"),
        (Optional[int], "int | None"),  # noqa: UP045
        (Literal["a", "b", 3], "Literal['a', 'b', 3]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[int, str], "tuple[int, str]"),
        (tuple[float, ...] | None, "tuple[float, ...] | None"),
    ],
)
def test_annotation_as_people_write_it(annotation, words):
    assert text(annotation) == words


GOOD = [
    (int, "12", 12),
    (tuple[int, int], "28x56", (28, 56)),
    (tuple[int, int] | None, "none", None),
    (tuple[str, ...], "a1x2", ("a1x2",)),
    (tuple[str, ...], "1x2", ("1x2",)),
    (int, "-3", -3),
    (int, 7, 7),
    (int, np.int64(7), 7),
    (float, "1e-3", 0.001),
    (float, "2", 2.0),
    (float, 2, 2.0),
    (float, np.float32(0.5), 0.5),
    (bool, "true", True),
    (bool, "False", False),
    (bool, True, True),
    (str, "12", "12"),
    (str, "", ""),
    (Literal["same", "valid"], "valid", "valid"),
    (Literal[1, 2], "2", 2),
    (Literal[1, 2], 2, 2),
    (Literal[1, True], True, True),
    (int | None, "none", None),
    (int | None, "4", 4),
    (int | None, None, None),
    (str | None, "none", None),
    (str | None, "nine", "nine"),
    (int | str, "4", 4),
    (int | str, "four", "four"),
    (Optional[float], "0.5", 0.5),  # noqa: UP045
    (tuple[int, ...], "300-100", (300, 100)),
    (tuple[int, ...], "300", (300,)),
    (tuple[int, ...], "-1", (-1,)),
    (tuple[int, ...], "-1,2", (-1, 2)),
    (tuple[int, ...], "", ()),
    (tuple[int, ...], [300, 100], (300, 100)),
    (tuple[float, ...], "0.1-0.2", (0.1, 0.2)),
    (tuple[float, ...], "1e-3", (0.001,)),
    (tuple[float, ...], "1e-3,-2", (0.001, -2.0)),
    (tuple[str, ...], "a-b", ("a", "b")),
    (tuple[str, ...], "early-bird,", ("early-bird",)),
    (tuple[int, str], "3-x", (3, "x")),
    (tuple[int, ...] | None, "none", None),
    (tuple[int, ...] | None, "8-8", (8, 8)),
]


@pytest.mark.parametrize(("annotation", "value", "meant"), GOOD)
def test_read(annotation, value, meant):
    got = read(annotation, value)
    assert got == meant
    assert type(got) is type(meant)


BAD = [
    (int, "x"),
    (int, "1.5"),
    (int, "1_000"),
    (int, ""),
    (int, True),
    (int, 1.0),
    (int, None),
    (float, "x"),
    (float, "nan"),
    (float, "inf"),
    (float, True),
    (float, float("nan")),
    (bool, "yes"),
    (bool, "1"),
    (bool, 1),
    (str, 3),
    (str, None),
    (Literal["same", "valid"], "Same"),
    (Literal[1, 2], True),
    (int | None, "nothing"),
    (tuple[int, ...], "300-x"),
    (tuple[int, ...], "300--100"),
    (tuple[int, ...], 300),
    (tuple[int, ...], {300}),
    (tuple[int, ...], (1.5,)),
    (tuple[int, str], "3"),
]


@pytest.mark.parametrize(("annotation", "value"), BAD)
def test_wrong_values_are_refused(annotation, value):
    with pytest.raises(ValueError):  # noqa: PT011 - the caller words it
        read(annotation, value)


@pytest.mark.parametrize("annotation", [dict, list[int], bytes])
def test_other_annotations_cannot_be_options(annotation):
    with pytest.raises(PluginError, match=r"must be annotated int, float, .* Received: "):
        read(annotation, "x")
