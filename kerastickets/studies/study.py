"""The parts of a study: its jobs, identified by hash, and a cache of their results.

A study is a module. Its function `jobs` lists what to compute; `trials` and `tables` turn the results into
rows. This module does not import TensorFlow, because only the processes that do the jobs need it.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from kerastickets.errors import RecipeError, TicketError
from kerastickets.figures.chart import Chart, Heatmap
from kerastickets.figures.table import Table
from kerastickets.foundations.environment import versions
from kerastickets.foundations.files import named_refusals, write_text
from kerastickets.foundations.strangers import read_json
from kerastickets.tickets.ticket import Ticket

#: Increase this number when verbs compute or write something else. Then old results no longer match any job.
FORMAT = 1


@cache
def _versions() -> dict[str, str]:
    """The library versions, read from files only once, because every job's hash needs them."""
    return versions()


@dataclass(frozen=True, eq=False)
class Job:
    """One piece of work of a study. The same job always gives the same bits, so it is done only once.

    Args:
        verb: what to do; see `kerastickets.studies.job_kinds`.
        options: options of the verb, JSON-ready.
        inputs: tickets of other jobs, which are done first.
        cost: estimated duration, at least 0, in any unit that all jobs of the study share. It decides which
            jobs start first and the progress shown, not the results.

    Example:
        >>> prune = Job("prune", {"model": "mlp:8", "dataset": "digits", "seed": 0})
        >>> twice = Job("apply", {"operation": "atm"}, (prune.ticket("level-05"), prune.ticket("level-05")))
        >>> prune in twice.needs, prune == Job("prune", dict(prune.options))
        (True, True)
    """

    verb: str
    options: Mapping[str, Any]
    inputs: tuple["Input", ...] = ()
    cost: float = field(default=1.0)

    @cached_property
    def hash(self) -> str:
        """The job's identifier in hexadecimal: a hash of verb, options, inputs and library versions."""
        content = [FORMAT, self.verb, self.options, [[i.job.hash, i.name] for i in self.inputs], _versions()]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def needs(self) -> tuple["Job", ...]:
        """The jobs that provide its input tickets."""
        return tuple(dict.fromkeys(one.job for one in self.inputs))

    def ticket(self, name: str = "ticket") -> "Input":
        """One of the job's tickets, for use as an input of another job."""
        return Input(self, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"<Job: {self.verb} {self.hash[:8]}>"


@dataclass(frozen=True)
class Input:
    """A ticket that one job makes and another job takes.

    Args:
        job: the job that makes the ticket.
        name: which of its tickets: `ticket`, or `level-NN` for a pruning job.
    """

    job: Job
    name: str


class DamagedError(TicketError):
    """A result in the cache cannot be read. The job must be done again.

    Args:
        why: what is wrong.
        job: the job.
    """

    def __init__(self, why: str, job: Job | None = None) -> None:
        super().__init__(why)
        self.job = job


class Cache:
    """The results of jobs, in one folder per job. Studies and concurrent commands can share a cache.

    Args:
        folder: the cache's folder; it is created if missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def place(self, job: Job) -> Path:
        """The folder of a job."""
        return self.folder / job.hash[:2] / job.hash

    def facts(self, job: Job) -> dict[str, Any] | None:
        """The facts of a finished job; None if it is not done."""
        try:
            facts = read_json(self.place(job) / "result.json", "`kt reproduce`")
            said = read_json(self.place(job) / "job.json", "`kt reproduce`").get("result")
        except RecipeError:
            # Whatever else stands there is no result: the job is done again, and its result replaces the file.
            return None
        # Results that were kept before have no digest.
        return facts if said in (None, _digest(facts)) else None

    def file(self, ticket: Input) -> Path:
        """The file of a finished job's ticket."""
        return self.place(ticket.job) / f"{ticket.name}.safetensors"

    def ticket(self, ticket: Input) -> Ticket:
        """A finished job's ticket.

        Raises:
            DamagedError: the file is missing or damaged.
        """
        try:
            return Ticket.load(self.file(ticket))
        except TicketError as error:
            raise DamagedError(str(error), ticket.job) from error

    def set_aside(self, job: Job) -> Path:
        """Rename the folder of a damaged result, so that the job is done again. Returns the folder's new path."""
        place = self.place(job)
        number = next(
            n for n in range(1, 10_000) if not place.with_name(f"{place.name}.damaged-{n}").exists()
        )
        aside = place.with_name(f"{place.name}.damaged-{number}")
        with named_refusals(place):
            os.replace(place, aside)
        return aside

    @contextmanager
    def held(self, job: Job) -> Iterator[Path]:
        """Lock the job's folder for this process; another process that wants it waits."""
        place = self.place(job)
        with named_refusals(place):
            place.mkdir(parents=True, exist_ok=True)
            lock = (place / "job.lock").open("ab")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield place

    def keep(self, job: Job, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Store the facts of a job, which marks it as done."""
        about: dict[str, Any] = {"verb": job.verb, "inputs": [[one.job.hash, one.name] for one in job.inputs]}
        about |= {"options": dict(job.options), "result": _digest(facts)}
        text = json.dumps(about, indent=1, sort_keys=True)
        write_text(self.place(job) / "job.json", text)
        write_text(self.place(job) / "result.json", json.dumps(facts, sort_keys=True))
        return json.loads(json.dumps(facts))


def _digest(facts: Mapping[str, Any]) -> str:
    """The sha256 of a result, so that a damaged one is noticed although it is still JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Results:
    """The facts of finished jobs, by job.

    Args:
        cache: the cache that stores them.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._facts: dict[str, dict[str, Any]] = {}

    def __contains__(self, job: object) -> bool:
        if isinstance(job, Job) and job.hash not in self._facts:
            facts = self.cache.facts(job)
            if facts is not None:
                self._facts[job.hash] = facts
        return isinstance(job, Job) and job.hash in self._facts

    def __getitem__(self, job: Job) -> dict[str, Any]:
        if job not in self:
            raise KeyError(f"{job!r} is not done")
        return self._facts[job.hash]

    def ticket(self, ticket: Input) -> Ticket:
        """A ticket of a finished job.

        Raises:
            DamagedError: its file is missing or damaged.
        """
        return self.cache.ticket(ticket)

    def forget(self, job: Job) -> None:
        """Drop what is known of a job, whose result was set aside."""
        self._facts.pop(job.hash, None)


class Study(Protocol):
    """The interface of a study: a module registered under `kerastickets.studies`."""

    TITLE: str
    PAPER: str
    #: By the names that `--budget` takes: several instances of one frozen dataclass of settings. `-o k=v` changes a
    #: field.
    BUDGETS: Mapping[str, Any]

    def jobs(self, budget: Any, results: Results) -> Iterable[Job]:
        """Every job known so far.

        Called again when some are done, because later jobs may depend on their results.
        """
        ...

    def trials(self, budget: Any, results: Results) -> Sequence[Mapping[str, Any]]:
        """One JSON-ready row per trial; called when all jobs are done."""
        ...

    def tables(self, budget: Any, trials: Sequence[Mapping[str, Any]]) -> Sequence[Table]:
        """The tables, with published numbers beside the measured ones."""
        ...

    def figures(self, budget: Any, trials: Sequence[Mapping[str, Any]]) -> Sequence[Chart | Heatmap]:
        """The figures."""
        ...

    def notes(self, budget: Any, trials: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """Paragraphs that every reader of the tables should know."""
        ...


def reduced(budget: Any, paper: Any) -> str:
    """A sentence that names the settings in which a budget differs from the paper's; empty if there are none.

    Example:
        >>> from dataclasses import make_dataclass
        >>> Dials = make_dataclass("Dials", ["train", "seeds"])
        >>> reduced(Dials("6ep", (2, 1)), Dials("25ep", (2, 2)))
        'Not as published: train 6ep (paper: 25ep); seeds 2, 1 (paper: 2, 2).'
    """
    both = [(f.name, getattr(budget, f.name), getattr(paper, f.name)) for f in fields(paper)]
    less = [f"{name} {_said(own)} (paper: {_said(whole)})" for name, own, whole in both if own != whole]
    return f"Not as published: {'; '.join(less)}." if less else ""


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Sort jobs and all jobs they need so that needed jobs come first; each job occurs once.

    Raises:
        RecipeError: an element is not a job.
    """
    ordered: dict[Job, None] = {}
    stack = list(reversed(list(jobs)))
    while stack:
        job = stack.pop()
        if not isinstance(job, Job):
            raise RecipeError(f"A study's `jobs` must return only jobs. Received: {job!r}")
        missing = [need for need in job.needs if need not in ordered]
        if missing:
            stack += [job, *reversed(missing)]
        else:
            ordered.setdefault(job)
    return list(ordered)
