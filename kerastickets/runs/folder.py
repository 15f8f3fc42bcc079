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
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any

from kerastickets.errors import RecipeError, TicketError
from kerastickets.foundations.files import named_refusals, write_text
from kerastickets.tickets.ticket import Ticket

_TICKET = re.compile(r"level-(\d{2,})\.safetensors")


class RunFolder:
    """The files of one run. Use it as `with RunFolder(path).locked(recipe) as folder`.

    Args:
        path: the folder; it is created if missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

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
        with named_refusals(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # No buffer: on a full disk, a buffered file would raise a second error when it is closed.
            lock = self.lock_file.open("a+b", buffering=0)
        with lock:
            self._hold(lock)
            with named_refusals(self.path):
                self._clean()
            self._claim(dict(recipe), dict(versions), extendable, accept_versions)
            yield self

    def _hold(self, lock: RawIOBase) -> None:
        with named_refusals(self.lock_file):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                other = (lock.read() or b"").decode(errors="replace").strip()
                raise RecipeError(
                    f"{self.path} is in use by another command: {other or 'unknown'}. "
                    "Wait for it, stop it, or give another --out."
                ) from error
            command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
            lock.truncate(0)
            lock.write(f"{command} (process {os.getpid()})\n".encode(errors="replace"))

    def _clean(self) -> None:
        for part in self.path.glob("*.part"):
            part.unlink(missing_ok=True)

    def _claim(
        self, recipe: dict[str, Any], versions: dict[str, str], extendable: bool, accept_versions: bool
    ) -> None:
        if self.recipe_file.exists():
            before = self._read_recipe()
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
            self.recipe_file, json.dumps({"recipe": recipe, "versions": versions}, indent=1, sort_keys=True)
        )

    def _read_recipe(self) -> dict[str, Any]:
        try:
            before = json.loads(self.recipe_file.read_text())
            if not isinstance(before["recipe"]["levels"], int) or not isinstance(before["versions"], dict):
                raise ValueError("levels or versions of another kind")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecipeError(
                f"{self.recipe_file} must be what `kt prune` wrote. Received: {error!r}. Give another --out."
            ) from error
        return before

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
        rows = [row for row in read_rows(self.metrics_file) if row.get("level") in range(levels)]
        write_text(self.metrics_file, "".join(json.dumps(row) + "\n" for row in rows))
        return rows

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Append the row of one evaluation."""
        with named_refusals(self.metrics_file), self.metrics_file.open("a") as file:
            file.write(json.dumps(dict(row)) + "\n")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`. An incomplete line, as a killed process may leave, is skipped."""
    rows = []
    with named_refusals(path):
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


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
