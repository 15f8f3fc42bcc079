"""Atomic output: make a file or folder in a temporary folder beside its target, check it, then move it."""

import ctypes
import fcntl
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kerastickets.errors import ExportError, RecipeError, TicketError

_HERE = -100 if sys.platform != "darwin" else -2  # AT_FDCWD: paths are relative to the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


def check_target(path: Path, suffix: str, force: bool = False, keep: Collection[Path] = ()) -> None:
    """Refuse an output path that must not be written, before any slow work begins.

    Args:
        path: the file or folder to make.
        suffix: the required ending of the name. Empty for a folder.
        force: whether an existing file or folder may be replaced.
        keep: paths that must not be lost. `path` must not be one of them, nor a folder that contains one.
            The working folder and the home folder are always protected in the same way.

    Raises:
        RecipeError: the path has no name of its own, or its name has another ending.
        TicketError: the path exists and `force` is False, or replacing it would remove a protected path.

    Example:
        >>> check_target(Path("net.onnx"), ".tflite")
        Traceback (most recent call last):
        ...
        kerastickets.errors.RecipeError: The name of this export must end in .tflite. Received: net.onnx. ...
    """
    if path.name in ("", "..") or path.name == suffix:
        raise RecipeError(f"An export must have a name of its own. Received: {path}. Give another path.")
    if not path.name.endswith(suffix):
        raise RecipeError(
            f"The name of this export must end in {suffix}. Received: {path}. "
            f"Use {path.with_suffix(suffix)}, or another format."
        )
    if not force and (os.path.lexists(path) or _aside(path).exists()):
        raise _exists(path)
    around = path.resolve()
    for kept in (Path.cwd(), Path.home(), *keep):
        if kept.resolve().is_relative_to(around):
            raise TicketError(
                f"Replacing {path} must not remove anything else. Received: a path that is or contains {kept}. "
                "Give another path."
            )


@contextmanager
def staged(path: Path, force: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside `path`. If the body succeeds, move the result from there to `path`.

    Remains of an earlier attempt, left by a killed process, are removed first. If anything fails, also by
    Ctrl-C, no temporary file is left and `path` is unchanged.

    Args:
        path: the file or folder to make. Missing parent folders are created.
        force: whether an existing file or folder may be replaced.

    Yields:
        The empty temporary folder. Make the result in it under the name `path.name`.

    Raises:
        ExportError: the body made nothing, or the operating system refuses.
        TicketError: `path` exists and `force` is False, or another process is writing `path`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "deep", "a.txt")
        >>> with staged(path) as folder:
        ...     _ = (folder / path.name).write_text("whole")
        >>> path.read_text(), [one.name for one in path.parent.iterdir()]
        ('whole', ['a.txt'])
    """
    missing = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        with _named_refusals(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _held(path) as folder:
                _recover(path)
                yield folder
                made = folder / path.name
                check_made(made)
                if os.path.lexists(path) and not force:  # it may have appeared since `check_target`
                    raise _exists(path)
                _finish(made)
                _put(made, path)
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def check_made(path: Path) -> None:
    """Refuse an exporter that did not write its output path.

    Raises:
        ExportError: `path` does not exist.
    """
    if not os.path.lexists(path):
        raise ExportError(
            f"The exporter must write the path that it is given. Received: nothing at {path.name}. "
            "Repair the exporter."
        )


def _exists(path: Path) -> TicketError:
    return TicketError(
        f"An export must be a new file or folder. Received: {path}, which exists. "
        "Use --force (in Python force=True) to replace it."
    )


@contextmanager
def _named_refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"{path} must be writable. Received: {error.strerror or error}. Nothing was written; free space or "
            "give another path, and export again."
        ) from error


@contextmanager
def _held(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside `path`, locked for this process. Remove it at the end."""
    part = path.absolute().with_name(f".{path.name}.part")
    # A link here would lead to someone else's folder, which would be emptied.
    if part.is_symlink() or (part.exists() and not part.is_dir()):
        part.unlink()
    part.mkdir(exist_ok=True)
    handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TicketError(
                f"{path} must be written by one command at a time. Received: a second one. Wait for the other, or "
                "give another path."
            ) from error
        try:
            for left in part.iterdir():
                _remove(left)
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)
    finally:
        os.close(handle)


def _aside(path: Path) -> Path:
    return path.absolute().with_name(f".{path.name}.old")


def _put(made: Path, path: Path) -> None:
    """Move `made` to `path`. What was at `path` is deleted last."""
    if not os.path.lexists(path) or not (made.is_dir() or path.is_dir()):
        os.replace(made, path)
        return
    if exchange(made, path):  # the old one is now in the temporary folder
        return
    # The system cannot exchange them, so the old folder gets another name until the new one is there.
    old = _aside(path)
    os.rename(path, old)
    try:
        os.rename(made, path)
    except BaseException:
        os.rename(old, path)
        raise
    _remove(old)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two files or folders of one file system in one step: at no moment is nothing there.

    Returns:
        False if the system or the file system cannot do that; then nothing was changed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            return libc.renamex_np(*names, _EXCHANGE) == 0
        return libc.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0
    except AttributeError:  # an older C library
        return False


@contextmanager
def published(folder: Path, mark: str) -> Iterator[Path]:
    """Give a temporary folder in `folder`. If the body succeeds, move all its files to `folder`, as one whole.

    The file `mark` stands for completeness: it is removed first and comes last, so that no reader finds it beside
    files of another time. Other files in `folder` stay. If the body fails, nothing in `folder` is changed.

    Args:
        folder: the folder to write to. It is created if missing.
        mark: the name of a file that the body makes.

    Yields:
        The empty temporary folder.

    Raises:
        ExportError: the operating system refuses.
        TicketError: another process is writing there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with published(folder, "done.txt") as temporary:
        ...     for name in ("rows.txt", "done.txt"):
        ...         _ = (temporary / name).write_text(name)
        >>> sorted(path.name for path in folder.iterdir())
        ['done.txt', 'rows.txt']
    """
    target = folder / mark
    with _named_refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _held(target) as temporary:
            yield temporary
            _finish(temporary)
            files = [path for path in sorted(temporary.rglob("*")) if not path.is_dir()]
            target.unlink(missing_ok=True)
            for path in sorted(files, key=lambda path: path == temporary / mark):
                place = folder / path.relative_to(temporary)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, place)


def _recover(path: Path) -> None:
    """Finish a replacement that a killed process left half done.

    The old folder is deleted if the new one is in place, else it gets its name back.
    """
    old = _aside(path)
    if os.path.lexists(old):
        if os.path.lexists(path):
            _remove(old)
        else:
            os.rename(old, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _finish(path: Path) -> None:
    """Make every file readable for all users, and sync it to the disk before it gets its final name."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o644)  # some libraries write files that only their owner can read
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
