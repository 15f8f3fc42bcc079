"""A file or folder that appears whole or not at all: made in a folder beside it, checked there, then moved."""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kerastickets.errors import ExportError, RecipeError, TicketError


def check_target(path: Path, suffix: str, force: bool = False, keep: Collection[Path] = ()) -> None:
    """Refuse a path that nothing should be written to, before anything slow begins.

    Args:
        path: the file or folder to make.
        suffix: how its name must end; empty where a folder is made.
        force: whether what is there may be replaced.
        keep: what must not be lost: `path` may be neither these nor a folder around them.

    Raises:
        RecipeError: the name has another ending.
        TicketError: the path exists, or replacing it would take along what must not be lost.

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
                f"Replacing {path} must not take anything else along. Received: a path that is or holds {kept}. "
                "Give another path."
            )


@contextmanager
def staged(path: Path, force: bool = False) -> Iterator[Path]:
    """A folder beside `path` to make it in; when the body ends well, what was made there is moved to `path`.

    What a killed process left of an earlier attempt is taken away first. If anything fails, also Ctrl-C, nothing
    is left behind, and what was at `path` is as it was.

    Args:
        path: the file or folder to make; missing folders above it are made.
        force: whether what is there may be replaced.

    Yields:
        The folder, empty; make `path` in it under its own name.

    Raises:
        ExportError: nothing was made, or the operating system refuses.
        TicketError: `path` exists, or another process is making it.

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
                if os.path.lexists(path) and not force:  # since it was checked
                    raise _exists(path)
                _finish(made)
                _put(made, path)
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def check_made(path: Path) -> None:
    """Refuse an exporter that has not written the path that it was given.

    Raises:
        ExportError: nothing is there.
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
    """The folder beside `path`, empty and this process's own; taken away in the end."""
    part = path.absolute().with_name(f".{path.name}.part")
    part.mkdir(exist_ok=True)
    handle = os.open(part, os.O_RDONLY)
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
    """Move `made` to `path`; what is there goes last."""
    if not os.path.lexists(path) or not (made.is_dir() or path.is_dir()):
        os.replace(made, path)
        return
    # A folder cannot be replaced in one step: until the new one is there, the old one has another name.
    old = _aside(path)
    os.rename(path, old)
    try:
        os.rename(made, path)
    except BaseException:
        os.rename(old, path)
        raise
    _remove(old)


def _recover(path: Path) -> None:
    """End what a process was killed in the middle of: the old folder comes back, or goes."""
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
    """Have every file readable for whoever is to serve it, and on the disk before its name says that it is."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o644)  # some libraries write for their own user alone
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
