"""Inputs as values: a file or a folder as a dict from relative path to what is there.

A mutation is then a pure function, and an input can be written to a folder, or kept as JSON beside a test.
"""

import base64
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class File:
    """A file with this content."""

    content: bytes


@dataclass(frozen=True)
class Link:
    """A symbolic link. In `target`, `{precious}` stands for a folder of the same disk that nobody may change."""

    target: str


@dataclass(frozen=True)
class Pipe:
    """A named pipe that nobody writes to: whoever opens it for reading waits forever."""


@dataclass(frozen=True)
class Folder:
    """A folder, empty but for what other nodes put into it."""


Node = File | Link | Pipe | Folder
Input = Mapping[str, Node]

_KINDS = {"link": Link, "pipe": Pipe, "folder": Folder}


def write(nodes: Input, home: Path, precious: Path) -> None:
    """Make the files, links, pipes and folders of an input below `home`.

    A node that the file system refuses, such as one below a file, is left out.

    Args:
        nodes: the input.
        home: an existing empty folder.
        precious: what `{precious}` in links stands for.
    """
    for name, node in nodes.items():
        path = os.path.join(home, name)
        with suppress(OSError, ValueError):
            if "/" in name:
                os.makedirs(os.path.dirname(path), exist_ok=True)
            _make(path, node, precious)


def _make(path: str, node: Node, precious: Path) -> None:
    if isinstance(node, File):
        with open(path, "wb") as file:
            file.write(node.content)
    elif isinstance(node, Link):
        os.symlink(node.target.replace("{precious}", str(precious)), path)
    elif isinstance(node, Pipe):
        os.mkfifo(path)
    else:
        os.makedirs(path, exist_ok=True)


def read(home: Path) -> dict[str, Node]:
    """The files of a folder of sound inputs; it holds no links and no pipes."""
    files = (path for path in sorted(home.rglob("*")) if path.is_file())
    return {str(path.relative_to(home)): File(path.read_bytes()) for path in files}


def to_json(nodes: Input) -> dict[str, Any]:
    """The input as a JSON object, which `from_json` reads."""
    return {
        name: {"base64": base64.b64encode(node.content).decode()}
        if isinstance(node, File)
        else {"link": node.target}
        if isinstance(node, Link)
        else {type(node).__name__.lower(): True}
        for name, node in nodes.items()
    }


def from_json(facts: Mapping[str, Any]) -> dict[str, Node]:
    """The input that `to_json` described.

    Example:
        >>> import json
        >>> nodes = {"a": File(b"x"), "b": Link("a"), "c/d": Pipe(), "e": Folder()}
        >>> from_json(json.loads(json.dumps(to_json(nodes)))) == nodes
        True
    """
    nodes: dict[str, Node] = {}
    for name, about in facts.items():
        [(kind, value)] = about.items()
        if kind == "base64":
            nodes[name] = File(base64.b64decode(value))
        else:
            nodes[name] = Link(value) if kind == "link" else _KINDS[kind]()
    return nodes
