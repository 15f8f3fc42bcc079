"""Files that are written whole or not at all, and errors of the operating system that name the path."""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kerastickets.errors import RecipeError

# A link at the path of a temporary file is not followed, and a named pipe there is not waited for.
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def write_whole(path: Path, content: bytes, check: Callable[[], None] | None = None) -> None:
    """Write a file atomically: a reader sees either the old file or the whole new file.

    The content goes to a temporary file in the same folder first, which then replaces `path`. Missing folders
    are created. If the process is killed, the temporary file stays; the next write to `path` removes it.

    Args:
        path: the file to make or replace.
        content: its bytes.
        check: called when the content is on the disk, before it replaces `path`. If it raises, `path` is unchanged.
            What it finds out about the folder still holds when the file is replaced, because the folder is open.

    Raises:
        OSError: the file cannot be written. An existing file is unchanged.
        ValueError: the path is invalid on every system.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        part, file = _part(path.name, folder)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(file, left) :]
            os.fsync(file)
            if check:
                check()
            os.replace(part, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(part, dir_fd=folder)
            raise
        finally:
            os.close(file)
        # The file is already complete, and some network file systems cannot sync a folder, so errors are ignored.
        with suppress(OSError):
            os.fsync(folder)
    finally:
        os.close(folder)


def _part(name: str, folder: int) -> tuple[str, int]:
    """Make an empty temporary file for the file `name`, and return its name and descriptor, which holds its lock.

    Its name depends on `name` only, so that what a killed process left is used again. If another process is writing
    there, or something else is in the way, the name is random.
    """
    part = f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.part"
    with suppress(OSError):
        file = os.open(part, _OPEN, 0o666, dir_fd=folder)
        if _own(file, part, folder):
            os.ftruncate(file, 0)
            return part, file
        os.close(file)
    part = f".{secrets.token_hex(8)}.part"
    return part, os.open(part, _OPEN | os.O_EXCL, 0o666, dir_fd=folder)


def _own(file: int, part: str, folder: int | None = None) -> bool:
    """Lock the open file; whether that worked, and it is still the file called `part`, and nothing else is."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return same_file(os.fstat(file), os.stat(part, dir_fd=folder, follow_symlinks=False))
    except OSError:  # another process holds or has renamed it, or the file system knows no locks
        return False


def same_file(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two results of `stat` are of the same regular file, which has no other name."""
    same = (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
    return same and stat.S_ISREG(one.st_mode) and one.st_nlink == 1


def clear_parts(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder. Those that are being written stay."""
    for path in folder.glob("*.part"):
        with suppress(OSError):
            file = os.open(path, _OPEN & ~os.O_CREAT)
            try:
                if _own(file, str(path)):
                    path.unlink()
            finally:
                os.close(file)


def write_text(path: Path, text: str, check: Callable[[], None] | None = None) -> None:
    """Write a text file as `write_whole` does. Halves of characters, which cannot be encoded, become escapes.

    Raises:
        RecipeError: the file cannot be written. The old file is unchanged.
    """
    with named_refusals(path):
        write_whole(path, text.encode(errors="backslashreplace"), check)


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
