"""Run a study: do each of its jobs once in a pool of processes, then write its tables, figures and page."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerastickets import registry
from kerastickets.errors import RecipeError
from kerastickets.figures.matplotlib_figures import draw
from kerastickets.figures.table import Table
from kerastickets.foundations.environment import machine, versions
from kerastickets.foundations.files import named_refusals, write_text
from kerastickets.foundations.process_pool import Pool
from kerastickets.foundations.staging import published
from kerastickets.foundations.strangers import is_finite
from kerastickets.registry import plugin_options as options
from kerastickets.reports.write import report
from kerastickets.studies.job_kinds import work
from kerastickets.studies.study import Cache, DamagedError, Job, Results, Study, in_order, reduced


@dataclass(frozen=True)
class Progress:
    """The progress of a study.

    Args:
        done: number of finished jobs.
        total: number of jobs known so far.
        share: finished fraction of the cost known so far, in [0, 1]; running jobs count in part.
        running: the jobs that are running.
    """

    done: int
    total: int
    share: float
    running: tuple[Job, ...]


@dataclass(frozen=True)
class Reproduction:
    """A study with its settings.

    Args:
        name: the registered name of the study.
        module: the study's module.
        budget: the name of the budget.
        dials: the settings of the budget, possibly with changes.
    """

    name: str
    module: Study
    budget: str
    dials: Any

    @classmethod
    def of(cls, name: str, budget: str = "smoke", given: Mapping[str, Any] | None = None) -> "Reproduction":
        """Load a registered study with one of its budgets.

        Args:
            name: the name of a registered study.
            budget: `smoke`, `cpu` or `paper`.
            given: settings to change, by name; values are text or already typed.

        Raises:
            PluginError: there is no such study or setting, or the setting does not take that value.
            RecipeError: the study has no such budget, or its settings contradict each other.
        """
        module = registry.load("studies", name)
        if budget not in module.BUDGETS:
            raise RecipeError(options.unknown("budget", budget, module.BUDGETS, "Budgets"))
        base = module.BUDGETS[budget]
        changed = options.arguments(type(base), dict(given or {}))
        try:
            return cls(name, module, budget, replace(base, **changed))
        except ValueError as error:
            raise RecipeError(f"The study '{name}' rejects its settings: {error}") from error

    def run(
        self,
        out: str | Path,
        *,
        cache: str | Path = "runs/.cache",
        jobs: int = 1,
        command: str = "",
        on_progress: Callable[[Progress], None] | None = None,
        on_note: Callable[[str], None] | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> Path:
        """Do every job that is not done yet, then write the results.

        Args:
            out: the folder to write to: `results.jsonl`, `tables.json`, `tables.md`, `figures.json`,
                `figures/`, `study.json`, `report.html`.
            cache: the folder with the results of finished jobs; studies share it.
            jobs: number of processes, with one thread each; does not change any result.
            command: the command that was called, for the record.
            on_progress: called whenever a job finishes or makes progress.
            on_note: called with a sentence when a damaged result was set aside.
            prepare: called first in each process.

        Returns:
            The path of the report.

        Raises:
            KerasTicketsError: a job failed. Finished jobs stay finished: the same call continues.
        """
        started = time.perf_counter()
        results = Results(Cache(cache))
        with named_refusals(Path(out)):
            Path(out).mkdir(parents=True, exist_ok=True)
        tell, shown = on_note or (lambda note: None), on_progress or (lambda progress: None)
        with Pool(work, jobs, prepare) as pool:
            while True:
                runner = _JobRunner(self, results, pool, jobs, shown, tell)
                try:
                    done = runner.run()
                    facts = self._facts(done, results, command, jobs, started)
                    return write(self, results, Path(out), facts)
                except DamagedError as error:
                    if error.job is None:  # made again and damaged again, in another process
                        raise
                    aside = results.cache.set_aside(error.job)
                    results.forget(error.job)
                    tell(f"{error} It was set aside as {aside.name} and is made again.")

    def _facts(
        self, done: Sequence[Job], results: Results, command: str, processes: int, started: float
    ) -> dict[str, Any]:
        return {
            "study": self.name,
            "title": self.module.TITLE,
            "paper": self.module.PAPER,
            "budget": self.budget,
            "dials": options.describe(self.dials),
            "command": command,
            "jobs": len(done),
            "processes": processes,
            "seconds of all jobs": round(sum(_seconds(results[job]) for job in done), 1),
            "seconds of this command": round(time.perf_counter() - started, 1),
            "versions": versions(),
            "machine": machine(),
        }


class _JobRunner:
    """Hands each job to a pool as soon as the jobs it needs are done."""

    def __init__(
        self,
        what: Reproduction,
        results: Results,
        pool: Pool,
        most: int,
        on_progress: Callable[[Progress], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._what, self._results, self._pool, self._most = what, results, pool, most
        self._on_progress, self._on_note = on_progress, on_note
        self._running: dict[str, Job] = {}
        self._parts: dict[str, float] = {}

    def run(self) -> list[Job]:
        """Do all jobs of the study, and return them."""
        while True:
            known = in_order(self._what.module.jobs(self._what.dials, self._results))
            self._submit([job for job in known if job not in self._results])
            self._report(known)
            if not self._running:
                return known
            self._wait(known)

    def _submit(self, missing: Sequence[Job]) -> None:
        ready = [
            job
            for job in missing
            if job.hash not in self._running and all(need in self._results for need in job.needs)
        ]
        # Longest jobs first. Otherwise a long job may run last, while the other processes have nothing to do.
        for job in sorted(ready, key=lambda job: -job.cost)[: self._most - len(self._running)]:
            self._running[job.hash] = job
            self._pool.submit(job.hash, (job, self._results.cache.folder))

    def _wait(self, known: Sequence[Job]) -> None:
        """Wait until a job is done, and report progress meanwhile."""
        while True:
            event = self._pool.next()
            if event.kind == "done":
                del self._running[str(event.key)]
                return
            if event.kind == "note":
                self._on_note(event.content)
                continue
            self._parts[str(event.key)] = event.content
            self._report(known)

    def _report(self, known: Sequence[Job]) -> None:
        done = [job for job in known if job in self._results]
        part = sum(job.cost * self._parts.get(job.hash, 0.0) for job in self._running.values())
        whole = sum(job.cost for job in known)
        share = (sum(job.cost for job in done) + part) / whole if whole else 1.0
        self._on_progress(Progress(len(done), len(known), share, tuple(self._running.values())))


def _seconds(facts: Mapping[str, Any]) -> float:
    """How long a job took; 0 if its result, which may come from elsewhere, does not say so."""
    seconds: Any = facts.get("seconds")
    return float(seconds) if is_finite(seconds) else 0.0


def said_tables(module: Study, dials: Any, trials: Sequence[Mapping[str, Any]]) -> list[Table]:
    """A study's tables, each with a note of the settings that differ from the paper's."""
    said = _reduced(module, dials)
    return [replace(table, note=f"{table.note} {said}".strip()) for table in module.tables(dials, trials)]


def _reduced(module: Study, dials: Any) -> str:
    return reduced(dials, module.BUDGETS["paper"]) if "paper" in module.BUDGETS else ""


def write(what: Reproduction, results: Results, out: Path, facts: Mapping[str, Any]) -> Path:
    """Write the tables, figures and page of a study; its jobs must be done. Returns the page's path."""
    module, dials = what.module, what.dials
    try:
        trials = [dict(trial) for trial in module.trials(dials, results)]
    except (LookupError, TypeError) as error:
        raise RecipeError(
            f"The results in {results.cache.folder} must be what `kt reproduce` wrote. Received: one that the study "
            f"cannot read, {type(error).__name__}: {error}. Give another --cache."
        ) from error
    tables, figures = said_tables(module, dials, trials), module.figures(dials, trials)
    said = _reduced(module, dials)
    facts = {**facts, "notes": [*filter(None, [said]), *module.notes(dials, trials)]}
    text = "".join(f"- {note}\n" for note in facts["notes"])
    markdown = f"# {module.TITLE}\n\nBudget: {what.budget}.\n\n{text}\n" + "\n".join(
        t.markdown() for t in tables
    )
    texts = {
        "results.jsonl": "".join(json.dumps(trial, sort_keys=True) + "\n" for trial in trials),
        "tables.json": json.dumps([table.facts() for table in tables], indent=1),
        "tables.md": markdown,
        "figures.json": json.dumps([figure.facts() for figure in figures]),
        "study.json": json.dumps(facts, indent=1, sort_keys=True),
    }
    with published(out, "study.json") as folder:
        for name, content in texts.items():
            write_text(folder / name, content)
        (folder / "figures").mkdir()
        for figure in figures:
            draw(figure, folder / "figures")
        report(folder)
    return out / "report.html"
