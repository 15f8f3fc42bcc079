"""Files that are old or new and never a part, and refusals of the system that name the path."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kerastickets.errors import RecipeError


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, then replace: readers see the old or the new, never a part.

    Raises:
        RecipeError: it cannot be written; the old file is as it was.
    """
    with named_refusals(path):
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def named_refusals(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal into an error that names the path."""
    try:
        yield
    except OSError as error:
        raise RecipeError(
            f"{path} must be readable and writable. Received: {error.strerror or error}. "
            "What was finished is kept; free space or give another --out, and run the same command again."
        ) from error
