"""The result of a pruning run: its tickets, its levels and its history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerastickets.runs.folder import RunFolder
from kerastickets.tickets.ticket import Ticket
from kerastickets.tickets.winning import is_winning, stopped_by

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Level:
    """One row of a run's table. Metrics are None if the level was not trained.

    Args:
        level: 0 before any cut, then 1, 2, ...
        kept: number of kept weights.
        total: number of prunable weights.
        density: kept / total.
        early_stop_iteration: the first iteration with the best monitored value.
        stopped_iteration: the iteration at which training ended.
        val_accuracy: accuracy on validation data, at the early-stop iteration.
        test_accuracy: accuracy on test data, with the weights of the early-stop iteration.
        seconds: time for training and validation.
        ticket: the ticket's file, relative to the run's folder; its digest if nothing is written.
        digest: the ticket's digest.
        winning: whether the ticket wins compared with level 0; None for level 0 and if level 0 is not dense.
            See `is_winning`.
    """

    level: int
    kept: int
    total: int
    density: float
    early_stop_iteration: int | None
    stopped_iteration: int | None
    val_accuracy: float | None
    test_accuracy: float | None
    seconds: float | None
    ticket: str
    digest: str
    winning: bool | None = None

    @classmethod
    def of(
        cls, ticket: Ticket, level: int, rows: Sequence[Mapping[str, Any]], folder: RunFolder | None
    ) -> "Level":
        """Make the row of a finished level."""
        metrics = dict(ticket.provenance.get("metrics") or {})
        seconds = [row["seconds"] for row in rows if row.get("level") == level and "seconds" in row]
        names = ("early_stop_iteration", "stopped_iteration", "val_accuracy", "test_accuracy")
        return cls(
            level,
            ticket.kept,
            ticket.total,
            ticket.density,
            **{name: metrics.get(name) for name in names},
            seconds=seconds[-1] if seconds else None,
            ticket=folder.ticket_file(level).name if folder else ticket.digest,
            digest=ticket.digest,
        )

    def beside(self, first: "Level") -> "Level":
        """The level with `winning` set, compared with level 0 (`first`) of its run.

        `winning` is None for level 0 itself, and if level 0 is not dense or was only measured.
        """
        judged = self.level > 0 and first.density == 1 and first.stopped_iteration != 0
        return replace(self, winning=is_winning(self.facts(), first.facts()) if judged else None)

    def facts(self) -> dict[str, Any]:
        """The level as JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        folder: the run's folder; None if nothing was written.
        tickets: one ticket per level, from 0 on.
        levels: one row per level.
        rows: one row per evaluation.
        head: criterion, model, dataset, seed and versions.
    """

    folder: Path | None
    tickets: tuple[Ticket, ...]
    levels: tuple[Level, ...]
    rows: tuple[dict[str, Any], ...]
    head: Mapping[str, Any]

    def history(self) -> list[dict[str, Any]]:
        """One dict per evaluation: level, iteration, epoch, training and validation metrics, and seconds since the
        level began. `pandas.DataFrame(run.history())` makes a table of them."""
        return [dict(row) for row in self.rows]

    def facts(self) -> dict[str, Any]:
        """The facts that `kt prune --json` prints."""
        run = str(self.folder) if self.folder else None
        return {
            "run": run,
            "levels": [level.facts() for level in self.levels],
            "stopped_by": self.stopped_by,
            **self.head,
        }

    @property
    def stopped_by(self) -> str | None:
        """The rule of `stop_when` that the last level fulfils; None if it fulfils none."""
        return stopped_by(self.tickets)
