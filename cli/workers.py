"""Run seeds in separate processes, with one thread each so that results do not depend on their number."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kerastickets.foundations.process_pool import Emit, Pool
from kerastickets_cli.output import hush_tensorflow
from kerastickets_cli.runs import Batch, Facts, Observer

if TYPE_CHECKING:
    from kerastickets.runs.run import Level


def run_apart(batch: Batch, jobs: int, observer: Observer) -> list[Facts]:
    """Run the seeds in `jobs` processes.

    Args:
        batch: the runs.
        jobs: the largest number of processes.
        observer: is told what happens in any of the runs.

    Returns:
        The facts of each run, in the order of the seeds.

    Raises:
        KerasTicketsError: the first error that a run raises. The other runs are stopped, and can be continued.
    """
    done: dict[int, Facts] = {}
    with Pool(partial(_run, batch), jobs, hush_tensorflow) as pool:
        for seed in batch.seeds:
            pool.submit(seed, seed)
        while pool.open:
            event = pool.next()
            if event.kind == "done":
                done[event.content[0]] = event.content[1]
            else:
                getattr(observer, event.kind)(*event.content)
    return [done[seed] for seed in batch.seeds]


class _Sender:
    """An observer in a worker process. It passes everything on to the main process."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def plan(self, seed: int, steps: Sequence[int]) -> None:
        self._emit("plan", (seed, list(steps)))

    def row(self, seed: int, row: Mapping[str, Any]) -> None:
        self._emit("row", (seed, dict(row)))

    def level(self, seed: int, level: "Level") -> None:
        self._emit("level", (seed, level))


def _run(batch: Batch, seed: int, emit: Emit) -> tuple[int, Facts]:
    return seed, batch.run(seed, _Sender(emit))
