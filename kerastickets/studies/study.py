"""What a study is made of: jobs that are found by their hash, and a cache of what they gave.

A study is a module: `jobs` says what to compute, `trials` and `tables` make rows of what came out. Imports
no TensorFlow: only the processes that do the jobs need it.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from kerastickets.errors import RecipeError
from kerastickets.figures.chart import Chart, Heatmap
from kerastickets.figures.table import Table
from kerastickets.foundations.environment import versions
from kerastickets.foundations.files import named_refusals, write_text
from kerastickets.tickets.ticket import Ticket

#: A change of what verbs do or of what they write makes another number, and old results are not found.
FORMAT = 1


@cache
def _versions() -> dict[str, str]:
    """Read once: every hash of every job asks for them, and each reads files."""
    return versions()


@dataclass(frozen=True, eq=False)
class Job:
    """One piece of work of a study: the same job gives the same bits, so it is done once.

    Args:
        verb: what to do; see `kerastickets.studies.job_kinds`.
        options: its options, JSON-ready.
        inputs: tickets of other jobs, which are done first.
        cost: how long it takes, in any unit that all jobs of a study share; for the time left only.

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
        """What the job is found by, in hexadecimal: verb, options, inputs, and the libraries' versions."""
        content = [FORMAT, self.verb, self.options, [[i.job.hash, i.name] for i in self.inputs], _versions()]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def needs(self) -> tuple["Job", ...]:
        """The jobs whose tickets it takes."""
        return tuple(dict.fromkeys(one.job for one in self.inputs))

    def ticket(self, name: str = "ticket") -> "Input":
        """One of its tickets, as an input of another job."""
        return Input(self, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"<Job: {self.verb} {self.hash[:8]}>"


@dataclass(frozen=True)
class Input:
    """A ticket that a job makes.

    Args:
        job: the job.
        name: which of its tickets: `ticket`, or `level-NN` of a pruning job.
    """

    job: Job
    name: str


class Cache:
    """What jobs gave, a folder each; shared by studies and by commands that run at the same time.

    Args:
        folder: where; missing folders are made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def place(self, job: Job) -> Path:
        """The folder of a job."""
        return self.folder / job.hash[:2] / job.hash

    def facts(self, job: Job) -> dict[str, Any] | None:
        """What a finished job gave; None while it is not done."""
        try:
            return json.loads((self.place(job) / "result.json").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def file(self, ticket: Input) -> Path:
        """The file of a finished job's ticket."""
        return self.place(ticket.job) / f"{ticket.name}.safetensors"

    def ticket(self, ticket: Input) -> Ticket:
        """A finished job's ticket."""
        return Ticket.load(self.file(ticket))

    @contextmanager
    def held(self, job: Job) -> Iterator[Path]:
        """The job's folder, for this process alone: another that wants it waits."""
        place = self.place(job)
        with named_refusals(place):
            place.mkdir(parents=True, exist_ok=True)
            lock = (place / "job.lock").open("ab")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield place

    def keep(self, job: Job, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write down what a job gave, which makes it done."""
        about = {"verb": job.verb, "inputs": [[one.job.hash, one.name] for one in job.inputs]}
        text = json.dumps(about | {"options": dict(job.options)}, indent=1, sort_keys=True)
        write_text(self.place(job) / "job.json", text)
        write_text(self.place(job) / "result.json", json.dumps(facts, sort_keys=True))
        return json.loads(json.dumps(facts))


class Results:
    """The facts of the jobs that are done.

    Args:
        cache: where they are.
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
        """A ticket of a job that is done."""
        return self.cache.ticket(ticket)


class Study(Protocol):
    """A study: a module that is registered under `kerastickets.studies`."""

    TITLE: str
    PAPER: str
    #: What `--budget` names: one frozen dataclass of dials, several instances; `-o k=v` changes a field.
    BUDGETS: Mapping[str, Any]

    def jobs(self, budget: Any, results: Results) -> Iterable[Job]:
        """Every job known so far; asked again when some are done, for jobs that depend on what came out."""
        ...

    def trials(self, budget: Any, results: Results) -> Sequence[Mapping[str, Any]]:
        """One JSON-ready row a trial, when all jobs are done."""
        ...

    def tables(self, budget: Any, trials: Sequence[Mapping[str, Any]]) -> Sequence[Table]:
        """The tables, published numbers beside the measured ones."""
        ...

    def figures(self, budget: Any, trials: Sequence[Mapping[str, Any]]) -> Sequence[Chart | Heatmap]:
        """The figures."""
        ...

    def notes(self, budget: Any, trials: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """Paragraphs that a reader of the tables must know."""
        ...


def reduced(budget: Any, paper: Any) -> str:
    """In which dials a budget differs from the paper's, as a sentence; empty where in none.

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
    """Jobs and all that they need, each once, needs first.

    Raises:
        RecipeError: what is no job.
    """
    ordered: dict[Job, None] = {}
    stack = list(reversed(list(jobs)))
    while stack:
        job = stack.pop()
        if not isinstance(job, Job):
            raise RecipeError(f"A study's `jobs` must give jobs. Received: {job!r}")
        missing = [need for need in job.needs if need not in ordered]
        if missing:
            stack += [job, *reversed(missing)]
        else:
            ordered.setdefault(job)
    return list(ordered)
