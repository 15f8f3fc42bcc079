"""What the jobs of studies do: prune, train, transfer, apply, evaluate, analyze. Called in the processes of a pool.

A verb takes its options, the tickets of its inputs, and a folder; it writes tickets there and returns facts.
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
from kerastickets.studies.study import Cache, Job
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.trainer_cache import TrainerCache

Facts = dict[str, Any]
Verb = Callable[[Mapping[str, Any], Sequence[Ticket], Path, TrainerCache, Emit], Facts]


def do(job: Job, cache: Cache, trainers: TrainerCache, emit: Emit = lambda kind, content: None) -> Facts:
    """Do a job, or find it done.

    Args:
        job: a job whose inputs are done.
        cache: where inputs are, and where to write.
        trainers: what the jobs of one process share.
        emit: is told `progress`, in [0, 1], on the way.

    Returns:
        What the job gave: JSON, with `seconds` that it took.

    Raises:
        KerasTicketsError: what stands in its way.
        RecipeError: there is no such verb.
    """
    if job.verb not in VERBS:
        raise RecipeError(unknown("verb", job.verb, VERBS, "Verbs"))
    with cache.held(job) as folder:
        found = cache.facts(job)
        if found is not None:
            return found
        started = time.perf_counter()
        tickets = [cache.ticket(one) for one in job.inputs]
        facts = VERBS[job.verb](job.options, tickets, folder, trainers, emit)
        return cache.keep(job, {"seconds": time.perf_counter() - started} | facts)


def work(task: tuple[Job, str], emit: Emit) -> Facts:
    """Do a job in a worker: what `kerastickets.foundations.process_pool.Pool` is given."""
    job, folder = task
    return do(job, Cache(folder), _own_workshop(), emit)


@lru_cache
def _own_workshop() -> TrainerCache:
    return TrainerCache()


def prune(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Options: `model`, `dataset`, `criterion`, `seed`, `watch`, `dials`; an input is the ticket to start from.

    Gives tickets `level-00` ..., and facts `levels`, `rows` and `stopped_by`; a killed job continues with its
    unfinished level.
    With `seeds`, a list, instead of `seed` these runs train together, which for tiny nets saves most of the time:
    tickets `seed-0/level-00` ..., and facts `runs`, by seed.
    """
    from kerastickets.pruning.job import PruneJob
    from kerastickets.pruning.loop import Loop
    from kerastickets.pruning.several_runs import Errand, run_abreast

    together = "seeds" in options
    jobs = {
        seed: PruneJob.of(
            options.get("model"),
            options["dataset"],
            options.get("criterion", "magnitude"),
            start=tickets[0] if tickets else None,
            seed=seed,
            dials=dict(options.get("dials", {})),  # type: ignore[arg-type]
        )
        for seed in (options["seeds"] if together else [options.get("seed", 0)])
    }
    loops = [Loop(job, watch=options.get("watch", ()), trainers=trainers) for job in jobs.values()]
    seconds: list[float] = []

    def told(level: Any) -> None:
        seconds.append(level.seconds or 0.0)
        emit("progress", len(seconds) / sum(loop.levels + 1 for loop in loops))

    errands = [
        Errand(
            loop,
            folder / f"seed-{seed}" if together else folder,
            on_level_end=told,
            name=f"Seed {seed}" if together else "",
        )
        for seed, loop in zip(jobs, loops, strict=True)
    ]
    runs = {str(seed): _run_facts(run) for seed, run in zip(jobs, run_abreast(errands), strict=True)}
    # Of a job that was killed, the levels that were found done took their time as well.
    return ({"runs": runs} if together else next(iter(runs.values()))) | {"seconds": sum(seconds)}


def _run_facts(run: Any) -> Facts:
    levels = [
        level.facts() | {"metrics": dict(ticket.provenance["metrics"]), "layers": ticket.layers}
        for level, ticket in zip(run.levels, run.tickets, strict=True)
    ]
    return {"levels": levels, "rows": list(run.rows), "stopped_by": run.stopped_by}


def train(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Options: `dataset`, `seed`, `start`, `freeze`, `watch`, `dials`, `evaluate` (a split, or none); one input.

    Gives `ticket`, trained, and facts `metrics`, `rows` and `evaluation`.
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
    """Options: `protocol` and its `options`, `dataset`, `seed`, `dials`, `watch`, `adapt`; one input.

    Gives `ticket`, trained on the target, and facts `protocol`, `source`, `target`, `train_size`, `metrics`, `rows`
    and `phases`.
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
    """Options: `operation`, and its `options`; any number of inputs. Gives `ticket`."""
    made = registry.create("operations", options["operation"], options.get("options", {}))(*tickets)
    made.save(folder / "ticket.safetensors")
    return _about(made)


def evaluate(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Options: `split`; one input. Gives no ticket, and the facts of `kt eval`."""
    return _about(tickets[0]) | {"evaluation": _evaluated(tickets[0], options.get("split", "test"), trainers)}


def analyze(
    options: Mapping[str, Any], tickets: Sequence[Ticket], folder: Path, trainers: TrainerCache, emit: Emit
) -> Facts:
    """Options: `analyzers`, options by name, and `dataset`, if another than what the tickets were found on.

    Any number of inputs. Gives no ticket, and `analyses`: for each input what each analyzer says about it alone.
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


#: What a job's `verb` may be.
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
    """What `evaluate` says, and the mean confidence over the examples, which the calibration's bins hold."""
    from kerastickets.training.evaluate_ticket import evaluate as measure

    facts = measure(ticket, split=split, trainers=trainers)
    bins = facts.get("calibration", {}).get("bins", ())
    full = [row for row in bins if row["count"]]
    count = sum(row["count"] for row in full)
    if count:
        facts["confidence"] = sum(row["count"] * row["confidence"] for row in full) / count
    return facts
