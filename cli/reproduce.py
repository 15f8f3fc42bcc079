"""`kt reproduce`: run a paper's experiment, and show its tables next to the published numbers."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import json_option, quiet_option
from kerastickets_cli.output import check_folder, emit, hush_tensorflow, note, say
from kerastickets_cli.pairs import PairType, pairs
from kerastickets_cli.progress import wants_bar

if TYPE_CHECKING:
    from kerastickets.studies.reproduce import Progress

_INTERRUPTED = "Finished jobs are kept: the same command continues."


@click.command(epilog="\b\nExample:\n  kt reproduce merging --budget smoke --jobs 2")
@click.argument("study", metavar="STUDY")
@click.option(
    "--budget",
    type=click.Choice(["smoke", "cpu", "paper"]),
    default="smoke",
    show_default=True,
    help="How large the study is. smoke: digits, under a minute. cpu: real data, but less of everything. paper: as "
    "published.",
)
@click.option(
    "-o",
    "--option",
    "dials",
    type=PairType(),
    multiple=True,
    help="Change a setting of the study (repeatable). `kt plugins show STUDY` lists its settings.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Number of processes, each with one thread. The results do not depend on it.  [default: one per core]",
)
@click.option(
    "--cache",
    metavar="DIR",
    default="runs/.cache",
    show_default=True,
    help="Folder that keeps finished jobs.",
)
@click.option("--out", metavar="DIR", help="Folder for the results.  [default: runs/STUDY-BUDGET]")
@json_option
@quiet_option
def reproduce(**chosen: Any) -> None:
    """Run the experiment of a paper, and show its tables next to the published numbers.

    `kt plugins studies` lists the studies. The folder --out gets results.jsonl, tables, figures and report.html.
    The cache keeps finished jobs, so the same command continues a study that was stopped, and studies share the
    jobs that they have in common.
    """
    study, budget = chosen["study"], chosen["budget"]
    given = pairs("-o", chosen["dials"])
    options = [part for name, value in given.items() for part in ("-o", f"{name}={value}")]
    command = shlex.join(["kt", "reproduce", study, "--budget", budget, *options])
    run_study(study, budget, given, command, {"out": f"runs/{study}-{budget}"} | _given(chosen))


def _given(chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chosen.items() if value is not None}


def run_study(
    study: str, budget: str, dials: Mapping[str, Any], command: str, chosen: Mapping[str, Any]
) -> None:
    """Run a study. Print its tables, or with `as_json` where the results are.

    Args:
        study: the study's name.
        budget: the name of one of its budgets.
        dials: the settings to change in the budget, by name.
        command: the command that gives the same numbers. It names neither folders nor the number of processes,
            since these change no number.
        chosen: `out`, `cache`, `quiet`, `as_json`, and `jobs` if given.
    """
    from kerastickets.foundations.environment import cores
    from kerastickets.studies.reproduce import Reproduction

    quiet, out = chosen["quiet"], Path(chosen["out"])
    what = Reproduction.of(study, budget, dials)
    check_folder(out)
    check_folder(Path(chosen["cache"]))
    with interruptible(_INTERRUPTED), _Bar(wants_bar(quiet), quiet) as bar:
        page = what.run(
            out,
            cache=chosen["cache"],
            jobs=chosen.get("jobs") or cores(),
            command=command,
            on_progress=bar.show,
            on_note=lambda text: note(text, quiet),
            prepare=hush_tensorflow,
        )
    if chosen["as_json"]:
        emit({"study": study, "budget": budget, "out": str(out), "report": str(page)})
    else:
        say((out / "tables.md").read_text().rstrip("\n"))
    note(f"Report: {page}", quiet)


class _Bar:
    """Shows how many jobs are done, and estimates the time left from the jobs so far.

    It draws a bar in a terminal, and otherwise prints a line now and then.
    """

    def __init__(self, drawn: bool, quiet: bool) -> None:
        self._quiet, self._said = quiet, 0
        self._progress: Any = None
        if drawn:
            from kerastickets_cli.progress import new_progress

            self._progress = new_progress()
            self._task = self._progress.add_task("starting", total=1.0)

    def __enter__(self) -> "_Bar":
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress:
            self._progress.stop()

    def show(self, progress: "Progress") -> None:
        """A job is finished or has made progress."""
        if self._progress:
            text = f"job {progress.done}/{progress.total}"
            self._progress.update(self._task, description=text, completed=progress.share)
        # Not a terminal, perhaps a log file: at most twenty lines in all.
        elif int(20 * progress.share) > self._said:
            self._said = int(20 * progress.share)
            note(f"{progress.done} of {progress.total} jobs done ({progress.share:.0%})", self._quiet)
            sys.stderr.flush()
