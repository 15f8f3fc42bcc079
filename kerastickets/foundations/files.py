"""Files that are written whole or not at all, and errors of the operating system that name the path."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kerastickets.errors import RecipeError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: a reader sees either the old file or the whole new file.

    The content goes to a temporary file in the same folder first, which then replaces `path`. Missing folders
    are created.

    Args:
        path: the file to make or replace.
        content: its bytes.

    Raises:
        OSError: the file cannot be written. An existing file is unchanged.
        ValueError: the path is invalid on every system.
    """
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with suppress(OSError, ValueError):
            part.unlink()
    # The file is already complete, and some network file systems cannot sync a folder, so errors are ignored.
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Write a text file as `write_whole` does.

    Raises:
        RecipeError: the file cannot be written. The old file is unchanged.
    """
    with named_refusals(path):
        write_whole(path, text.encode())


@contextmanager
def named_refusals(path: Path) -> Iterator[None]:
    """Turn an `OSError` into a `RecipeError` that names the path."""
    try:
        yield
    except OSError as error:
        raise RecipeError(
            f"{path} must be readable and writable. Received: {error.strerror or error}. "
            "What was finished is kept; free space or give another --out, and run the same command again."
        ) from error
