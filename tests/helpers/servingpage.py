"""The blocks of a page that shows commands, programs and what they print; running them as strangers would."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest


class Block(NamedTuple):
    """A command or a program of a page: the section it is in, its text, and what the page says that it prints."""

    section: str
    text: str
    shown: str


class Ran(NamedTuple):
    """What a block did: its exit code and what it printed."""

    code: int
    printed: str


def _fences(page: Path, pattern: str):
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        yield re.findall(r"^## (.*)$", text[: found.start()], re.MULTILINE)[-1], found


def commands(page: Path) -> list[Block]:
    """The lines behind a `$ `, in order, each with the lines below it."""
    blocks = []
    for section, found in _fences(page, r"^```console\n(.*?)^```"):
        for part in re.split(r"^\$ ", found[1], flags=re.MULTILINE)[1:]:
            command, shown = re.match(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", part, re.DOTALL).groups()
            blocks.append(Block(section, command.rstrip(), shown))
    return blocks


def programs(page: Path) -> list[Block]:
    """The Python blocks, in order, each with the block of text that follows it."""
    pattern = r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```)?"
    return [Block(section, found[1], found[2] or "") for section, found in _fences(page, pattern)]


def run_commands(blocks: Sequence[Block], folder: Path) -> list[Ran]:
    """Commands of one shell, which knows what earlier ones set; `python` is the one that runs the tests."""
    script = "".join(f"{block.text}\necho; echo @@ $?\n" for block in blocks)
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    ran = [Ran(int(code), said) for said, code in re.findall(r"(.*?)\n@@ (\d+)\n", done.stdout, re.DOTALL)]
    assert len(ran) == len(blocks), done.stderr
    return ran


#: Runs programs in one process: each would need seconds to import TensorFlow. Ours is not to be had in it.
_STRANGER = """
import contextlib, io, json, sys, traceback

class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0].startswith("kerastickets"):
            raise ImportError(f"{name} is not for strangers")

sys.meta_path.insert(0, Absent())
ran = []
for number, text in enumerate(json.load(sys.stdin)):
    said, code = io.StringIO(), 0
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(text, f"program {number}", "exec"), {"__name__": "__main__"})
        except Exception:
            code, said = 1, io.StringIO(traceback.format_exc())
    ran.append([code, said.getvalue()])
print("@@", json.dumps(ran))
"""


def run_programs(blocks: Sequence[Block], folder: Path) -> list[Ran]:
    """Programs in a Python of their own, isolated and without this library."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", _STRANGER],
        input=json.dumps([block.text for block in blocks]),
        cwd=folder,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Ran(*each) for each in json.loads(done.stdout.rpartition("@@ ")[2])]


_TOKEN = re.compile(r"-?\d+\.\d*(?:e-?\d+)?|\w+|[^\s\w]")


def numbers(text: str) -> list[float]:
    """The numbers with a point, in order."""
    return [float(token) for token in _TOKEN.findall(text) if "." in token[1:]]


def assert_shown(shown: str, printed: str, tolerance: float) -> None:
    """What was printed is what the page shows: words and whole numbers alike, others within a tolerance.

    Training ends elsewhere on other machines, by a little, so that the page's decimals are one machine's.
    """
    expected, got = (
        [token for token in _TOKEN.findall(text) if "." not in token[1:]] for text in (shown, printed)
    )
    assert got == expected, printed
    assert numbers(printed) == pytest.approx(numbers(shown), abs=tolerance)
