"""Open files of users: only regular files, and without waiting."""

import os
import stat
from io import BufferedReader
from pathlib import Path


def user_path(text: str | Path) -> Path:
    """A path as a user wrote it, with `~` replaced by the home folder. An unknown user's home stays as written.

    Example:
        >>> user_path("~no-such-user/points.npz").as_posix()
        '~no-such-user/points.npz'
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_regular(path: str | Path) -> bool:
    """Whether a path leads to a regular file. A path that cannot be looked up leads to none.

    Unlike `Path.is_file`, the function never raises an error.

    Example:
        >>> is_regular("/dev/null"), is_regular("x" * 5000)
        (False, False)
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def open_regular(path: str | Path) -> BufferedReader:
    """Open a regular file for reading. Links are followed, but not to anything else.

    A named pipe would wait for a writer, and a device may be endless.

    Args:
        path: the file.

    Returns:
        The open file.

    Raises:
        OSError: the file cannot be opened, or it is not a regular file.
        ValueError: no file can have such a name.
    """
    # Looked at before opening, because opening a device can already have an effect.
    _check_regular(os.stat(path))
    # And again afterwards, because another file may have taken its place. O_NONBLOCK keeps a pipe from waiting.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_regular(os.fstat(number))
    except OSError:
        os.close(number)
        raise
    return open(number, "rb")


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kinds = {
            stat.S_IFDIR: "a folder",
            stat.S_IFIFO: "a named pipe",
            stat.S_IFSOCK: "a socket",
            stat.S_IFCHR: "a device",
            stat.S_IFBLK: "a device",
        }
        raise OSError(f"it is {kinds.get(stat.S_IFMT(found.st_mode), 'something else')}, not a regular file")


def shown_name(name: str | Path) -> str:
    """A file's name for a message: as it is, or in quotes with escapes if it has characters that cannot be printed.

    Example:
        >>> shown_name("cats/1.png"), shown_name("cats/\\x1b[31m.png")
        ('cats/1.png', "'cats/\\\\x1b[31m.png'")
    """
    text = str(name)
    return text if text.isprintable() else repr(text)


def reason(error: Exception) -> str:
    """What went wrong with a file, without its name, which messages give once.

    Example:
        >>> reason(FileNotFoundError(2, "No such file or directory", "a.npz"))
        'No such file or directory'
    """
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
