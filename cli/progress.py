"""Show the progress of training: `kt prune` prints one row per level on stdout and draws a bar on stderr."""

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kerastickets_cli.output import cell, line, number, percent, say, yes

if TYPE_CHECKING:
    from rich.progress import Progress

    from kerastickets.runs.run import Level
    from kerastickets.tickets.ticket import Ticket

_COLUMNS = ("level", "kept", "density", "early-stop", "validation", "test", "winning", "seconds")
_WIDTHS = (5, 9, 8, 10, 10, 8, 7, 8)


class Report:
    """Shows the rows and levels of one or several runs.

    Args:
        runs: the number of runs.
        seeds: whether to name the seed in every row.
        rows: whether to print the table.
        bar: whether to draw a progress bar.
    """

    def __init__(self, runs: int, *, seeds: bool, rows: bool, bar: bool) -> None:
        self._many, self._rows = seeds, rows
        self._bar = Bar(runs) if bar else None
        self._headed = False

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def plan(self, seed: int, steps: Sequence[int]) -> None:
        """A run begins. `steps` are the training steps of each level, 0 if a level is not trained."""
        self._head()
        if self._bar:
            self._bar.plan(seed, steps)

    def row(self, seed: int, row: Mapping[str, Any]) -> None:
        """An evaluation is done."""
        if self._bar:
            self._bar.reach(seed, row["level"], row["iteration"])

    def level(self, seed: int, level: "Level") -> None:
        """A level is finished, or was found finished in the folder."""
        self._print(seed, cells(level))
        if self._bar:
            self._bar.close(seed, level.level)

    def _head(self) -> None:
        if not self._headed:
            self._headed = True
            self._print("seed", _COLUMNS)

    def _print(self, seed: int | str, row: Sequence[str]) -> None:
        if not self._rows:
            return
        first = [str(seed)] if self._many else []
        if self._bar:
            self._bar.stop()
        # click flushes, so whoever reads the pipe sees each level as soon as it ends.
        say(line([*first, *row], [4, *_WIDTHS] if self._many else _WIDTHS))
        if self._bar:
            self._bar.start()


def cells(level: "Level") -> list[str]:
    """The cells of a level's row in the table. A level that was not trained has dashes."""
    return [
        str(level.level),
        str(level.kept),
        percent(level.density),
        cell(level.early_stop_iteration),
        percent(level.val_accuracy),
        percent(level.test_accuracy),
        yes(level.winning),
        number(level.seconds),
    ]


def wants_bar(quiet: bool) -> bool:
    """Whether to draw a bar: stderr is a terminal, and the user did not ask for silence."""
    return not quiet and sys.stderr.isatty()


class Bar:
    """A progress bar: iterations done over all levels and runs, and the time left. Early stops shorten the total.

    Args:
        runs: the number of runs. Each is assumed to be as long as the first.
        levels: whether to name the level.
    """

    def __init__(self, runs: int, levels: bool = True) -> None:
        self._runs, self._levels = runs, levels
        self._plans: dict[int, Sequence[int]] = {}
        self._at: dict[tuple[int, int], int] = {}
        self._saved = 0
        self._progress = new_progress()
        self._task = self._progress.add_task("starting", total=None)

    def start(self) -> None:
        """Draw the bar."""
        self._progress.start()

    def stop(self) -> None:
        """Erase the bar."""
        self._progress.stop()

    def plan(self, seed: int, steps: Sequence[int]) -> None:
        """A run begins."""
        self._plans[seed] = steps
        self._draw(0, f"iteration 0/{max(steps)}")
        self.start()

    def reach(self, seed: int, level: int, iteration: int) -> None:
        """Training has reached this iteration. Later levels may start after iteration 0."""
        steps = self._plans[seed]
        whole = max(steps)
        self._at[seed, level] = iteration - (whole - steps[level])
        self._draw(level, f"iteration {iteration}/{whole}")

    def close(self, seed: int, level: int) -> None:
        """A level is finished. The steps that it did not need are taken off the total."""
        self._saved += self._plans[seed][level] - self._at.setdefault((seed, level), 0)
        self._draw(level, "done")

    @property
    def reached(self) -> tuple[int, int]:
        """(steps done, steps in all as far as is known)."""
        whole = sum(next(iter(self._plans.values()))) * self._runs - self._saved
        return sum(self._at.values()), whole

    def _draw(self, level: int, text: str) -> None:
        text = f"level {level}  {text}" if self._levels else text
        done, whole = self.reached
        self._progress.update(self._task, description=text, total=max(whole, 1), completed=done)


def new_progress() -> "Progress":
    """Make a bar on stderr that shows the percentage done and the time left. It is not drawn yet."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # With redirection, rows meant for stdout would be drawn on stderr.
        redirect_stdout=False,
        redirect_stderr=False,
    )


class Watch:
    """A progress bar for one training. The first evaluation after the start tells it how long an epoch is.

    Args:
        ticket: the ticket that is trained. Its own recipe gives the settings that are not in `dials`.
        dials: the training settings that the caller gave.
    """

    def __init__(self, ticket: "Ticket", dials: Mapping[str, Any]) -> None:
        from kerastickets.training.recipe import Recipe, TrainSettings

        own = {
            k: v
            for k, v in (ticket.provenance.get("recipe") or {}).items()
            if k in TrainSettings.__annotations__
        }
        self._train, self._planned = Recipe.of(dials, own).train, 0
        self._bar = Bar(1, levels=False)

    def row(self, row: Mapping[str, Any]) -> None:
        """An evaluation is done."""
        if not row["epoch"]:  # the evaluation before training
            return
        if not self._planned:
            self._planned = self._train.iterations(max(1, round(row["iteration"] / row["epoch"])))
            self._bar.plan(0, [self._planned])
        self._bar.reach(0, 0, min(row["iteration"], self._planned))

    def stop(self) -> None:
        """Erase the bar."""
        self._bar.stop()
