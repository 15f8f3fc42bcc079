"""Print JSON, aligned tables and notes, check output paths, and silence TensorFlow's start-up messages."""

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
from kerastickets.foundations.strangers import printable, printable_json


def say(text: Any = "", err: bool = False) -> None:
    """Print a line on stdout, or on stderr. Whatever a terminal would obey is shown as an escape, not sent."""
    click.echo(printable(str(text)), err=err)


def emit(value: Any) -> None:
    """Print a value as JSON on stdout."""
    click.echo(printable_json(json.dumps(value, indent=2, ensure_ascii=False)))


def note(text: str, quiet: bool = False) -> None:
    """Print a line on stderr, unless `quiet`."""
    if not quiet:
        say(text, err=True)


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion to append to an error, ` Did you mean 'prune'?`, or an empty text."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def cell(value: Any) -> str:
    """A value as text for a table; a dash for None."""
    return "-" if value is None else printable(str(value)).replace("\n", "\\n").replace("\t", "\\t")


def percent(share: float | None) -> str:
    """A fraction in [0, 1] as text for a table, such as `97.58%`; a dash for None."""
    return "-" if share is None else f"{share:.2%}"


def yes(value: bool | None) -> str:
    """`yes` or `no` as text for a table; a dash for None."""
    return "-" if value is None else "yes" if value else "no"


def number(value: float | None, digits: int = 1) -> str:
    """A number as text for a table, with `digits` digits after the point; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def line(cells: Sequence[str], widths: Sequence[int], left: int = 0) -> str:
    """One line of a table. The first `left` columns are aligned left, the others right."""
    parts = [
        text.ljust(width) if n < left else text.rjust(width)
        for n, (text, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """A table as text. Each column is as wide as its widest cell; the first `left` columns are aligned left."""
    cells = [list(header), *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(line(row, widths, left) for row in cells)


@contextmanager
def held_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2. Show it if the body fails with an unexpected error."""
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
    """Imports TensorFlow as usual, but holds back its start-up messages on file descriptor 2.

    No log level suppresses those messages: TensorFlow writes them before it reads any log level.
    """

    _asking = False

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != "tensorflow" or self._asking:
            return None
        # The finder stays in place, because some callers only ask whether TensorFlow exists and import it later.
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
    """Keep TensorFlow's start-up messages off stderr, whoever imports it first and whenever."""
    if "tensorflow" not in sys.modules and not any(isinstance(f, _Hushed) for f in sys.meta_path):
        sys.meta_path.insert(0, _Hushed())


def check_file(path: Path, force: bool, option: str = "--out") -> None:
    """Refuse a file that cannot be written or that would be replaced, before anything slow begins.

    Args:
        path: the file to write.
        force: whether an existing file may be replaced.
        option: the option by which the file was given, for the message.

    Raises:
        TicketError: the file must not or cannot be written. The message names the file.
    """
    if path.exists() and not (force and path.is_file()):
        raise TicketError(
            f"{option} must be a new file. Received: {path}, which exists. Use --force to replace it."
        )
    check_folder(path.absolute().parent, path, option)


def check_folder(folder: Path, path: Path | None = None, option: str = "--out") -> None:
    """Refuse a folder that cannot be made or written to, before anything slow begins.

    Args:
        folder: the folder to write to.
        path: the path to name in the message; by default the folder itself.
        option: the option by which the path was given, for the message.

    Raises:
        TicketError: the folder cannot be written. The message names `path` and the reason.
    """
    path = path or folder
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise TicketError(f"{option} must lie in a folder. Received: {path}, but {nearest} is a file.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise TicketError(f"{option} must be writable. Received: {path}, but {nearest} may not be written.")
