"""`kt reproduce`: a paper's experiment, its tables beside the published numbers."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import json_option, quiet_option
from kerastickets_cli.output import check_folder, emit, hush_tensorflow, note
from kerastickets_cli.pairs import PairType, pairs
from kerastickets_cli.progress import wants_bar

if TYPE_CHECKING:
    from kerastickets.studies.reproduce import Progress

_INTERRUPTED = "Interrupted. Finished jobs are kept: the same command continues."


@click.command(epilog="\b\nExample:\n  kt reproduce merging --budget smoke --jobs 2")
@click.argument("study", metavar="STUDY")
@click.option(
    "--budget",
    type=click.Choice(["smoke", "cpu", "paper"]),
    default="smoke",
    show_default=True,
    help="smoke: under a minute, digits. cpu: real data, less of everything. paper: as published.",
)
@click.option(
    "-o", "--option", "dials", type=PairType(), multiple=True, help="A dial of the study (repeatable)."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Processes of one thread each; their number changes no number.  [default: one a core]",
)
@click.option("--cache", metavar="DIR", default="runs/.cache", show_default=True, help="Finished jobs.")
@click.option("--out", metavar="DIR", help="The study's folder.  [default: runs/STUDY-BUDGET]")
@json_option
@quiet_option
def reproduce(**chosen: Any) -> None:
    """Run the experiment of a paper and set its tables beside the published numbers.

    Jobs that are done are kept in the cache: the same command continues a study that was stopped, and
    studies share what they have in common. The folder gets results.jsonl, tables, figures and report.html.
    `kt plugins studies` lists the studies.
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
    """Run a study, and print its tables or where they are.

    Args:
        study: its name.
        budget: one of its budgets.
        dials: what to change of it.
        command: what to call for the same numbers: neither folders nor the number of processes change any.
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
            prepare=hush_tensorflow,
        )
    if chosen["as_json"]:
        emit({"study": study, "budget": budget, "out": str(out), "report": str(page)})
    else:
        click.echo((out / "tables.md").read_text(), nl=False)
    note(f"Report: {page}", quiet)


class _Bar:
    """Jobs done, and the time left by what the jobs so far took; a line now and then where nobody watches."""

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
        """A job is done, or got on."""
        if self._progress:
            text = f"job {progress.done}/{progress.total}"
            self._progress.update(self._task, description=text, completed=progress.share)
        # In a file that somebody follows: twenty lines in all.
        elif int(20 * progress.share) > self._said:
            self._said = int(20 * progress.share)
            note(f"{progress.done} of {progress.total} jobs done ({progress.share:.0%})", self._quiet)
            sys.stderr.flush()
