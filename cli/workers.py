"""Seeds in processes of their own: one thread each, so that the number of processes changes no number."""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

import click

from kerastickets.errors import KerasTicketsError
from kerastickets_cli.output import hush_tensorflow
from kerastickets_cli.runs import Batch, Facts, Observer

if TYPE_CHECKING:
    from kerastickets.run import Level

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def run_apart(batch: Batch, jobs: int, observer: Observer) -> list[Facts]:
    """Run the seeds in `jobs` processes.

    Args:
        batch: what to run.
        jobs: how many processes at most.
        observer: is told what happens in any of them.

    Returns:
        The facts of each run, in the order of the seeds.

    Raises:
        KerasTicketsError: the first that a run raised; the others are stopped, and can be continued.
    """
    context = multiprocessing.get_context("spawn")
    tasks, events = context.Queue(), context.Queue()
    for seed in batch.seeds:
        tasks.put(seed)
    workers = [
        context.Process(target=_work, args=(batch, tasks, events), daemon=True)
        for _ in range(min(jobs, len(batch.seeds)))
    ]
    done: dict[int, Facts] = {}
    with _started(workers):
        while len(done) < len(batch.seeds):
            kind, seed, content = _next(events, workers)
            if kind == "error":
                raise KerasTicketsError(content)
            if kind == "done":
                done[seed] = content
            else:
                getattr(observer, kind)(seed, content)
    return [done[seed] for seed in batch.seeds]


@contextmanager
def _started(workers: Sequence[BaseProcess]) -> Iterator[None]:
    # Ctrl-C in a terminal reaches every process. Only this one is to answer; the others inherit the deafness.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for worker in workers:
            worker.start()
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield
    finally:
        # What is on disk at any moment is complete, and what runs are good for is written.
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()


def _next(events: Any, workers: Sequence[BaseProcess]) -> tuple[str, int, Any]:
    while True:
        codes = [worker.exitcode for worker in workers]
        try:
            return events.get(timeout=0.2)
        except queue.Empty:
            if any(codes) or None not in codes:
                raise click.ClickException(
                    f"A process ended too early, with exit code {next(filter(None, codes), 0)}. "
                    "Use fewer --jobs; the same command continues."
                ) from None


class _Sender:
    """An observer in a worker: passes everything on to the main process."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def plan(self, seed: int, steps: Sequence[int]) -> None:
        self._events.put(("plan", seed, list(steps)))

    def row(self, seed: int, row: Mapping[str, Any]) -> None:
        self._events.put(("row", seed, dict(row)))

    def level(self, seed: int, level: "Level") -> None:
        self._events.put(("level", seed, level))


def _work(batch: Batch, tasks: Any, events: Any) -> None:
    """The life of a worker: seeds until none is left."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    hush_tensorflow()
    import tensorflow as tf

    # Said here as well, for provenance: the environment does not show in TensorFlow's own setting.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    while True:
        try:
            seed = tasks.get_nowait()
        except queue.Empty:
            return
        try:
            events.put(("done", seed, batch.run(seed, _Sender(events))))
        except KerasTicketsError as error:  # anything else ends the process, with its traceback
            events.put(("error", seed, str(error)))
            return


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
