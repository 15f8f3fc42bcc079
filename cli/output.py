"""What every command prints, and how: JSON, aligned tables, notes, and TensorFlow's greeting left out."""

import difflib
import importlib.abc
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import click

from kerastickets.errors import KerasTicketsError, TicketError


def emit(value: Any) -> None:
    """Print JSON on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str, quiet: bool = False) -> None:
    """Print a line on stderr, unless `quiet`."""
    if not quiet:
        click.echo(text, err=True)


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion to append to an error: ` Did you mean 'prune'?`, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def cell(value: Any) -> str:
    """A value as a table shows it: a dash for None."""
    return "-" if value is None else str(value)


def percent(share: float | None) -> str:
    """A share in [0, 1] as a table shows it: `97.58%`."""
    return "-" if share is None else f"{share:.2%}"


def yes(value: bool | None) -> str:
    """A verdict as a table shows it: a dash where there is none."""
    return "-" if value is None else "yes" if value else "no"


def number(value: float | None, digits: int = 1) -> str:
    """A number as a table shows it, with so many digits after the point."""
    return "-" if value is None else f"{value:.{digits}f}"


def line(cells: Sequence[str], widths: Sequence[int], left: int = 0) -> str:
    """One line of a table: the first `left` columns aligned left, the others right."""
    parts = [
        text.ljust(width) if n < left else text.rjust(width)
        for n, (text, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """Lines of equal columns, each as wide as its widest cell; the first `left` columns aligned left."""
    cells = [list(header), *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(line(row, widths, left) for row in cells)


@contextmanager
def held_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2; show it after all where the body fails."""
    try:
        saved = os.dup(2)
    except OSError:  # closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (KeyboardInterrupt, KerasTicketsError):
            raise
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


class _Hushed(importlib.abc.MetaPathFinder):
    """Imports TensorFlow as usual, with its greeting on file descriptor 2 held back.

    No log level covers those lines: they are written before TensorFlow reads any.
    """

    _asking = False

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != "tensorflow" or self._asking:
            return None
        # It stays in place: some only ask whether TensorFlow is there, and import it later.
        self._asking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def hushed(module: Any) -> None:
                with held_stderr():
                    execute(module)

            spec.loader.exec_module = hushed  # type: ignore[method-assign]
        return spec


def hush_tensorflow() -> None:
    """Whoever imports TensorFlow first, and whenever: its greeting stays off stderr."""
    if "tensorflow" not in sys.modules and not any(isinstance(f, _Hushed) for f in sys.meta_path):
        sys.meta_path.insert(0, _Hushed())


def check_file(path: Path, force: bool, option: str = "--out") -> None:
    """Refuse a file that could not be written, or that would be replaced, before anything slow begins.

    Args:
        path: the file.
        force: whether it may be replaced.
        option: what it was given by.

    Raises:
        TicketError: naming it.
    """
    if path.exists() and not (force and path.is_file()):
        raise TicketError(
            f"{option} must be a new file. Received: {path}, which exists. Use --force to replace it."
        )
    check_folder(path.absolute().parent, path, option)


def check_folder(folder: Path, path: Path | None = None, option: str = "--out") -> None:
    """Refuse a folder that could neither be made nor written, before anything slow begins.

    Args:
        folder: where something is to be written.
        path: what to name in the error; the folder itself if left out.
        option: what it was given by.

    Raises:
        TicketError: naming `path` and what stands in its way.
    """
    path = path or folder
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise TicketError(f"{option} must lie in a folder. Received: {path}, but {nearest} is a file.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise TicketError(f"{option} must be writable. Received: {path}, but {nearest} may not be written.")
