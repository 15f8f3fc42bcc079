"""Carry out the jobs of studies: prune, train, transfer, apply, evaluate and analyze.

The functions run in the processes of a pool. A verb takes its options, the tickets of its inputs, and a
folder. It writes tickets to the folder and returns facts.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from kerastickets import registry
from kerastickets.errors import RecipeError
from kerastickets.foundations.process_pool import Emit
from kerastickets.registry.plugin_options import unknown
from kerastickets.studies.study import Cache, DamagedError, Input, Job
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.trainer_cache import TrainerCache

Facts = dict[str, Any]
Verb = Callable[[Mapping[str, Any], Sequence[Ticket], Path, TrainerCache, Emit], Facts]


def do(job: Job, cache: Cache, trainers: TrainerCache, emit: Emit = lambda kind, content: None) -> Facts:
    """Do a job, or read its result from the cache if it is already done.

    Args:
        job: a job; the jobs of its inputs must be done.
        cache: holds the input tickets and receives the result.
        trainers: trainers that the jobs of one process share.
        emit: called with `"progress"` and a number in [0, 1] while the job runs.

    Returns:
        The job's facts as JSON, including the `seconds` it took.

    Raises:
        KerasTicketsError: the job failed.
        RecipeError: there is no such verb.
    """
    if job.verb not in VERBS:
        raise RecipeError(unknown("verb", job.verb, VERBS, "Verbs"))
    with cache.held(job) as folder:
        found = cache.facts(job)
        if found is not None:
            return found
        started = time.perf_counter()
        tickets = [_input(one, cache, trainers, emit) for one in job.inputs]
        facts = VERBS[job.verb](job.options, tickets, folder, trainers, emit)
        return cache.keep(job, {"seconds": time.perf_counter() - started} | facts)


def _input(wanted: Input, cache: Cache, trainers: TrainerCache, emit: Emit) -> Ticket:
    """A ticket that a job needs. If its file is damaged, it is set aside, and the job that made it is done again."""
    try:
        return cache.ticket(wanted)
    except DamagedError as error:
        emit("note", f"{error} It was set aside as {cache.set_aside(wanted.job).name} and is made again.")
    do(wanted.job, cache, trainers, emit)
    return cache.ticket(wanted)


def work(task: tuple[Job, str], emit: Emit) -> Facts:
    """Do a job in a worker process.

    This is the function given to `kerastickets.foundations.process_pool.Pool`.
    """
    job, folder = task
    return do(job, Cache(folder), _own_trainers(), emit)


@lru_cache
def _own_trainers() -> TrainerCache:
    return TrainerCache()


def prune(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Prune: run the pruning loop.

    Options: `model`, `dataset`, `criterion`, `seed`, `watch`, `dials` (the settings of the run). An input, if
        there
    is one, is the ticket to start from.

    Writes the tickets `level-00`, `level-01`, ... and returns the facts `levels`, `rows` and `stopped_by`. A
    killed job continues with its unfinished level.

    With a list `seeds` instead of `seed`, the runs of all seeds train together. For tiny nets this saves most
    of the time. The tickets are then `seed-0/level-00`, ... and the facts are `runs`, by seed.
    """
    from kerastickets.pruning.job import PruneJob
    from kerastickets.pruning.loop import find_tickets
    from kerastickets.pruning.prepared import PreparedRun
    from kerastickets.pruning.pruning_run import PruningRun

    together = "seeds" in options
    seeds = options["seeds"] if together else [options.get("seed", 0)]
    job = PruneJob.of(
        options.get("model"),
        options["dataset"],
        options.get("criterion", "magnitude"),
        start=tickets[0] if tickets else None,
        dials=dict(options.get("dials", {})),  # type: ignore[arg-type]
    )
    watch = options.get("watch", ())
    prepared = [PreparedRun(job.with_seed(seed), watch=watch, trainers=trainers) for seed in seeds]
    seconds: list[float] = []

    def told(level: Any) -> None:
        seconds.append(level.seconds or 0.0)
        emit("progress", len(seconds) / sum(one.levels + 1 for one in prepared))

    runs = [
        PruningRun(
            one,
            folder / f"seed-{seed}" if together else folder,
            on_level_end=told,
            name=f"Seed {seed}" if together else "",
        )
        for seed, one in zip(seeds, prepared, strict=True)
    ]
    found = [_run_facts(run) for run in find_tickets(runs)]
    facts: Facts = {"runs": {str(seed): run for seed, run in zip(seeds, found, strict=True)}}
    # If the job was killed and continued, the time of the levels found on disk counts as well.
    return (facts if together else found[0]) | {"seconds": sum(seconds)}


def _run_facts(run: Any) -> Facts:
    levels = [
        level.facts() | {"metrics": dict(ticket.provenance["metrics"]), "layers": ticket.layers}
        for level, ticket in zip(run.levels, run.tickets, strict=True)
    ]
    return {"levels": levels, "rows": list(run.rows), "stopped_by": run.stopped_by}


def train(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Train one input ticket.

    Options: `dataset`, `seed`, `start`, `freeze`, `watch`, `dials` (the training settings), `evaluate` (a
        split to
    evaluate on, or none).

    Writes the trained `ticket` and returns the facts `metrics`, `rows` and, if `evaluate` is given,
    `evaluation`.
    """
    from kerastickets.training.train_ticket import train as train_ticket

    done = train_ticket(
        tickets[0],
        options.get("dataset"),
        start=options.get("start"),
        freeze=options.get("freeze", ()),
        seed=options.get("seed"),
        watch=options.get("watch", ()),
        trainers=trainers,
        **options.get("dials", {}),
    )
    facts: Facts = {"metrics": dict(done.metrics), "rows": list(done.rows)} | _about(done.ticket)
    if options.get("evaluate"):
        facts["evaluation"] = _evaluated(done.ticket, options["evaluate"], trainers)
    done.ticket.save(folder / "ticket.safetensors")
    return facts


def transfer(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Transfer one input ticket to another task.

    Options: `protocol` and its `options`, `dataset` (the target), `seed`, `dials` (the training settings),
        `watch`,
    `adapt`.

    Writes `ticket`, trained on the target, and returns the facts `protocol`, `source`, `target`,
    `train_size`, `metrics`, `rows` and `phases`.
    """
    from kerastickets.transferring.transfer_ticket import transfer as carry

    name = options["protocol"]
    moved = carry(
        registry.create("transfers", name, options.get("options", {})),
        tickets[0],
        options["dataset"],
        seed=options.get("seed"),
        watch=options.get("watch", ()),
        adapt=options.get("adapt"),
        trainers=trainers,
        **options.get("dials", {}),
    )
    moved.ticket.save(folder / "ticket.safetensors")
    said = {name: value for name, value in moved.facts().items() if name in _CARRIED}
    facts: Facts = {"metrics": dict(moved.metrics), "rows": list(moved.rows)}
    return said | facts | {"phases": [dict(phase) for phase in moved.phases]} | _about(moved.ticket)


_CARRIED = ("protocol", "source", "target", "train_size")


def apply(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Apply an operation to any number of input tickets.

    Options: `operation` and its `options`. Writes the resulting `ticket`.
    """
    made = registry.create("operations", options["operation"], options.get("options", {}))(*tickets)
    made.save(folder / "ticket.safetensors")
    return _about(made)


def evaluate(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Evaluate one input ticket.

    Options: `split` (default `test`). Writes no ticket; `evaluation` holds the facts of `kt eval`.
    """
    return _about(tickets[0]) | {"evaluation": _evaluated(tickets[0], options.get("split", "test"), trainers)}


def analyze(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Analyze any number of input tickets, each on its own.

    Options: `analyzers` (each analyzer's options, by its name), and `dataset` if it is not the tickets' own
        data set.

    Writes no ticket. Returns `analyses`: for each input, the facts of each analyzer by name.
    """
    from kerastickets.structure.analysis import analyze as ask

    asked = {name: registry.create("analyzers", name, own) for name, own in options["analyzers"].items()}
    analyses = []
    for number, ticket in enumerate(tickets, 1):
        analyses.append(
            {
                name: ask(analyzer, ticket, data=options.get("dataset"), read=trainers.data)
                for name, analyzer in asked.items()
            }
        )
        emit("progress", number / len(tickets))
    return {"analyses": analyses}


#: The allowed values of a job's `verb`.
VERBS: Mapping[str, Verb] = {
    "prune": prune,
    "train": train,
    "transfer": transfer,
    "apply": apply,
    "evaluate": evaluate,
    "analyze": analyze,
}


def _about(ticket: Ticket) -> Facts:
    return {
        "digest": ticket.digest,
        "kept": ticket.kept,
        "total": ticket.total,
        "density": ticket.density,
        "layers": ticket.layers,
    }


def _evaluated(ticket: Ticket, split: str, trainers: TrainerCache) -> Facts:
    """The facts of `evaluate`, plus the mean confidence over the examples, computed from the calibration bins."""
    from kerastickets.training.evaluate_ticket import evaluate as measure

    facts = measure(ticket, split=split, trainers=trainers)
    bins = facts.get("calibration", {}).get("bins", ())
    full = [row for row in bins if row["count"]]
    count = sum(row["count"] for row in full)
    if count:
        facts["confidence"] = sum(row["count"] * row["confidence"] for row in full) / count
    return facts
