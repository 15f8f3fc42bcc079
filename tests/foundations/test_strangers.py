"""Files and texts of strangers: what is refused, and what is shown instead of obeyed."""

import json
import os
import threading

import pytest

from kerastickets.errors import RecipeError
from kerastickets.foundations.strangers import (
    DEEPEST,
    deeper,
    is_count,
    is_finite,
    is_number,
    parse_json,
    printable,
    printable_json,
    read_bytes,
    read_json,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ümläut, 漢字, \t and \n", "plain, ümläut, 漢字, \t and \n"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x08\x7f\x00", "a\\x0db\\x08\\x7f\\x00"),
        ("\u202eexe.txt\u2066", "\\u202eexe.txt\\u2066"),
        ("half \ud800 of one", "half \\ud800 of one"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown
    printable(text).encode()


def test_json_keeps_its_meaning():
    value = {"\x1b[2J": ["\x9b\u202e", "\ud800", "a\nb"]}
    text = printable_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value
    assert printable(text) == text
    text.encode()


def test_depth_is_counted():
    assert not deeper([[1, {"a": 2}]], 3)
    assert deeper([[1, {"a": 2}]], 2)
    parse_json("[" * DEEPEST + "]" * DEEPEST)
    for depth in (DEEPEST + 1, 5_000, 200_000):
        with pytest.raises(ValueError, match="nested too deep"):
            parse_json("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    ("value", "number", "finite", "count"),
    [
        (0, True, True, True),
        (-1, True, True, False),
        (0.5, True, True, False),
        (float("nan"), True, False, False),
        (float("inf"), True, False, False),
        (2**63 - 1, True, True, True),
        (2**63, False, False, False),
        (10**400, False, False, False),
        (True, False, False, False),
        ("1", False, False, False),
        (None, False, False, False),
        ([], False, False, False),
    ],
)
def test_numbers(value, number, finite, count):
    assert (is_number(value), is_finite(value), is_count(value)) == (number, finite, count)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b'{"a": 1}x', b"1" * 5000, b"null"])
def test_what_is_no_object_is_refused_with_its_file(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"run\.json must be what `kt prune` wrote\. Received: "):
        read_json(path, "`kt prune`")


def test_what_is_no_file_is_refused_at_once(tmp_path):
    pipe, folder, endless, loop = (tmp_path / name for name in ("pipe", "folder", "endless", "loop"))
    os.mkfifo(pipe)
    folder.mkdir()
    endless.symlink_to("/dev/zero")
    loop.symlink_to(loop)
    done = threading.Event()

    def read() -> None:
        for path in (pipe, folder, endless, loop, tmp_path / "none"):
            with pytest.raises(RecipeError):
                read_json(path, "`kt prune`")
        done.set()

    threading.Thread(target=read, daemon=True).start()
    assert done.wait(20)


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1001)
    assert len(read_bytes(path, 1001)) == 1001
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        read_bytes(path, 1000)
