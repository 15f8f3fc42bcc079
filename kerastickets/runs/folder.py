"""A run's folder: it holds the recipe, one row per evaluation and one ticket per level.

Only one process at a time can hold the folder. The level is the unit of work: a killed run loses at most the
level that it was training, because the last ticket is the checkpoint.
"""

import fcntl
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import Any

from kerastickets.errors import RecipeError, TicketError
from kerastickets.foundations.files import clear_parts, named_refusals, same_file, write_text
from kerastickets.foundations.strangers import is_count, is_number, parse_json, read_bytes, read_json
from kerastickets.tickets import file as ticketfile
from kerastickets.tickets.ticket import Ticket

_LARGEST_TABLE = 1_000_000_000
_LONGEST_NAME = 4096
_TRIES = 10
# A link at the path of the lock is not followed, and a named pipe there is not waited for.
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TICKET = re.compile(r"level-(\d{2,})\.safetensors")


class RunFolder:
    """The files of one run. Use it as `with RunFolder(path).locked(recipe) as folder`.

    Args:
        path: the folder; it is created if missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: RawIOBase | None = None

    @property
    def recipe_file(self) -> Path:
        """The file `run.json`: the full recipe, seeds and versions."""
        return self.path / "run.json"

    @property
    def metrics_file(self) -> Path:
        """The file `metrics.jsonl`: one row per evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def tasks_file(self) -> Path:
        """The file `tasks.json`: the inputs and outputs of each task.

        It is written only for data sets of several tasks.
        """
        return self.path / "tasks.json"

    @property
    def lock_file(self) -> Path:
        """The file `run.lock`: the operating system holds the lock, so a killed process releases it."""
        return self.path / "run.lock"

    def ticket_file(self, level: int) -> Path:
        """The file `level-NN.safetensors`: the ticket of one level."""
        return self.path / f"level-{level:02d}.safetensors"

    def checkpoint_file(self, level: int) -> Path:
        """The file `level-NN.checkpoint`: the state of a level's training, while it lasts."""
        return self.path / f"level-{level:02d}.checkpoint"

    @contextmanager
    def locked(
        self,
        recipe: Mapping[str, Any],
        versions: Mapping[str, str],
        *,
        extendable: bool,
        accept_versions: bool = False,
    ) -> Iterator["RunFolder"]:
        """Lock the folder for this process, and check that it belongs to this recipe.

        Args:
            recipe: every setting that can change the tickets, as JSON.
            versions: library versions.
            extendable: whether the run may continue with more levels than before.
            accept_versions: continue even if the run was begun with other library versions.

        Raises:
            RecipeError: another process holds the folder, it belongs to another recipe or to other library
                versions, or it cannot be written.
        """
        with self._held_lock():
            with named_refusals(self.path):
                clear_parts(self.path)
                for level in range(self.finished):
                    self.checkpoint_file(level).unlink(missing_ok=True)
            self._claim(dict(recipe), dict(versions), extendable, accept_versions)
            yield self
            self.check_held()

    @contextmanager
    def _held_lock(self) -> Iterator[None]:
        """Hold the lock of the folder that is at the path now: it may be replaced while the lock is taken."""
        for _ in range(_TRIES):
            with named_refusals(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                if self.lock_file.is_symlink():
                    break
                # No buffer: on a full disk, a buffered file would raise a second error when it is closed.
                lock = open(os.open(self.lock_file, _OPEN, 0o666), "r+b", buffering=0)  # noqa: SIM115
            with lock:
                self._hold(lock)
                if self._holds():
                    try:
                        yield
                    finally:
                        self._lock = None
                    return
        raise RecipeError(
            f"{self.lock_file} must be a file of its own, written by `kt prune`. Received: a link, or a folder that is "
            "replaced again and again. Remove the file, or give another --out."
        )

    def _holds(self) -> bool:
        """Whether this process holds the lock of the folder that is at the path now."""
        try:
            now = os.stat(self.lock_file, follow_symlinks=False)
        except OSError:
            return False
        return self._lock is not None and same_file(now, os.fstat(self._lock.fileno()))

    def check_held(self) -> None:
        """Refuse to go on if the folder was removed or replaced since this process locked it.

        Raises:
            RecipeError: it was. Whatever is at the path now belongs to another command.
        """
        if self._lock is not None and not self._holds():
            raise RecipeError(
                f"{self.path} must stay in place while a run writes to it. Received: a folder that was removed or "
                "replaced meanwhile. Nothing more was written. Run the same command again, or give another --out."
            )

    def _hold(self, lock: RawIOBase) -> None:
        with named_refusals(self.lock_file):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                other = (lock.read(_LONGEST_NAME) or b"").decode(errors="replace").strip()
                raise RecipeError(
                    f"{self.path} is in use by another command: {other or 'unknown'}. "
                    "Wait for it, stop it, or give another --out."
                ) from error
            self._lock = lock
            if self._holds():
                command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
                lock.truncate(0)
                lock.write(f"{command} (process {os.getpid()})\n".encode(errors="replace"))

    def _claim(
        self, recipe: dict[str, Any], versions: dict[str, str], extendable: bool, accept_versions: bool
    ) -> None:
        if self.recipe_file.exists():
            before = self._before()
            _compare(self.path, before["recipe"], recipe, extendable)
            if not accept_versions:
                _compare_versions(self.path, before["versions"], versions)
            longest = max(before["recipe"]["levels"], recipe["levels"])
            recipe = recipe | {"levels": longest}
            if before == {"recipe": recipe, "versions": versions}:
                return
        elif self._levels():
            raise RecipeError(f"{self.path} holds tickets but no run.json. Give another --out.")
        write_text(
            self.recipe_file,
            json.dumps({"recipe": recipe, "versions": versions}, indent=1, sort_keys=True),
            self.check_held,
        )

    def _before(self) -> dict[str, Any]:
        try:
            return self.head()
        except RecipeError as error:
            raise RecipeError(f"{error} Give another --out.") from error

    def head(self) -> dict[str, Any]:
        """What `run.json` holds: `recipe` with at least an integer `levels`, and `versions`, text by name.

        Raises:
            RecipeError: the file cannot be read, or holds something else.
        """
        head = read_json(self.recipe_file, "`kt prune`")
        recipe, versions = head.get("recipe"), head.get("versions")
        if not isinstance(recipe, dict) or not is_count(recipe.get("levels")):
            wrong = "no recipe with a number of levels"
        elif not isinstance(versions, dict) or not all(isinstance(text, str) for text in versions.values()):
            wrong = "versions of another kind"
        else:
            return {"recipe": recipe, "versions": versions}
        raise RecipeError(f"{self.recipe_file} must be what `kt prune` wrote. Received: {wrong}.")

    def _levels(self) -> list[int]:
        matches = (_TICKET.fullmatch(path.name) for path in self.path.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    @property
    def finished(self) -> int:
        """The number of finished levels, counted from 0 up to the first gap."""
        levels = set(self._levels())
        return next(level for level in range(len(levels) + 1) if level not in levels)

    def tickets(self, last: int) -> list[Ticket]:
        """The tickets of the finished levels, up to and including level `last`."""
        return [self._ticket(level) for level in range(min(self.finished, last + 1))]

    def _ticket(self, level: int) -> Ticket:
        try:
            return Ticket.load(self.ticket_file(level))
        except TicketError as error:
            raise TicketError(
                f"{error} Remove this file and the levels after it, and run the same command again to make them anew; "
                "or give another --out."
            ) from error

    def keep_rows(self) -> list[dict[str, Any]]:
        """Drop the rows of unfinished levels from the metrics file; returns the remaining rows."""
        levels = self.finished
        rows = [row for row in read_metrics(self.metrics_file) if row["level"] < levels]
        write_text(self.metrics_file, "".join(json.dumps(row) + "\n" for row in rows), self.check_held)
        return rows

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Append the row of one evaluation."""
        self.check_held()
        with named_refusals(self.metrics_file), self.metrics_file.open("a") as file:
            self.check_held()  # now that the file is open, a folder that replaces this one can no longer be written to
            file.write(json.dumps(dict(row)) + "\n")

    def save(self, ticket: Ticket, level: int) -> None:
        """Write the ticket of a level.

        Raises:
            RecipeError: the folder was removed or replaced.
            TicketError: the file cannot be written.
        """
        self.check_held()
        ticketfile.write(self.ticket_file(level), ticket.content(), self.check_held)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file that has one per line. A line that is none is skipped: a killed process may leave one.

    Raises:
        RecipeError: the file cannot be read.
    """
    rows = []
    try:
        lines = read_bytes(path, _LARGEST_TABLE).splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise RecipeError(f"{path} must be a file with one JSON object per line. Received: {why}.") from error
    for line in lines:
        with suppress(ValueError):
            row = parse_json(line)
            if isinstance(row, dict):
                rows.append(row)
    return rows


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`: `level` and `iteration` are counts, and all other values are numbers.

    Values of another type are left out of their row, and rows without level or iteration out of the list.

    Raises:
        RecipeError: the file cannot be read.
    """
    rows = [{name: value for name, value in row.items() if is_number(value)} for row in read_rows(path)]
    return [row for row in rows if is_count(row.get("level")) and is_count(row.get("iteration"))]


def _compare(
    path: Path, before: dict[str, Any], now: dict[str, Any], extendable: bool, group: str = ""
) -> None:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new or (name == "levels" and extendable):
            continue
        # The settings in these two groups have clear names. In other groups a bare `name` or `sha256` says nothing.
        label = name if group in ("", "method", "train") else f"{group} {name}"
        if isinstance(old, dict) and isinstance(new, dict):
            _compare(path, old, new, extendable, label)
            continue
        why = (
            " (only a run that prunes by a rate and treats its last level like the others can be extended)"
            if name == "levels"
            else ""
        )
        raise RecipeError(
            f"{path} belongs to a run with {label}={short_json(old)}. Received: {label}={short_json(new)}{why}. "
            "Repeat that command, or give another --out."
        )


def _compare_versions(path: Path, before: dict[str, str], now: dict[str, str]) -> None:
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            raise RecipeError(
                f"{path} was begun with {name} {before.get(name)}. Received: {now.get(name)}. "
                "Use that version, or --accept-versions to mix them."
            )


def short_json(value: Any, most: int = 120) -> str:
    """A value as JSON for a message, cut off after `most` characters."""
    text = json.dumps(value)
    return text if len(text) <= most else text[:most] + "..."
