"""Worker processes of one thread each, so that their number changes no number that they compute.

Two one-thread processes are also the better use of two cores for nets of LeNet's size. A process imports
TensorFlow once and then takes one task after another.
"""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from kerastickets.errors import KerasTicketsError

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")

Emit = Callable[[str, Any], None]


@dataclass(frozen=True)
class Event:
    """What a worker tells.

    Args:
        kind: `done` with a task's result, or whatever the work itself emits.
        key: the task's key.
        content: what was told.
    """

    kind: str
    key: Hashable
    content: Any


class Pool:
    """Processes that do tasks, at most `jobs` at a time; none is started before it is needed.

    As a context manager: leaving it, also by an error or Ctrl-C, ends the processes at once. What work
    writes must therefore be complete at any moment.

    Args:
        work: `work(task, emit)` does one task and returns its result; an importable function, called in a
            worker. `emit(kind, content)` tells the main process something on the way.
        jobs: how many processes, at least 1.
        prepare: called first in each process, before TensorFlow is imported.
        worn: asked in a process after each task whether another process should take its place.
    """

    def __init__(
        self,
        work: Callable[[Any, Emit], Any],
        jobs: int,
        prepare: Callable[[], None] | None = None,
        worn: Callable[[], bool] | None = None,
    ) -> None:
        self._work, self._most, self._prepare, self._worn = work, jobs, prepare, worn or worn_out
        context = multiprocessing.get_context("spawn")
        self._context, self._tasks, self._events = context, context.Queue(), context.Queue()
        self._workers: list[Any] = []
        self._open: set[Hashable] = set()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.join()

    @property
    def open(self) -> int:
        """How many tasks were submitted and are not done."""
        return len(self._open)

    def submit(self, key: Hashable, task: Any) -> None:
        """Hand over a task; what it tells later carries `key`."""
        self._open.add(key)
        self._tasks.put((key, task))
        if len(self._workers) < min(self._most, len(self._open)):
            self._start()

    def _start(self) -> None:
        worker = self._context.Process(
            target=_live, args=(self._work, self._prepare, self._worn, self._tasks, self._events), daemon=True
        )
        # Ctrl-C in a terminal reaches every process. Only this one is to answer; the others inherit the deafness.
        alone = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if alone else None
        try:
            worker.start()
        finally:
            if alone:
                signal.signal(signal.SIGINT, before)
        self._workers.append(worker)

    def next(self) -> Event:
        """What is told next; waits for it.

        Raises:
            KerasTicketsError: the error that a task raised, or a process ended by itself.
        """
        while True:
            codes = [worker.exitcode for worker in self._workers]
            try:
                kind, key, content = self._events.get(timeout=0.2)
            except queue.Empty:
                if not any(codes) and self._renewed():
                    continue
                if any(codes) or None not in codes:
                    raise KerasTicketsError(
                        f"A process ended too early, with exit code {next(filter(None, codes), 0)}. "
                        "Use fewer --jobs; the same command continues."
                    ) from None
                continue
            if kind == "error":
                raise content
            if kind == "done":
                self._open.discard(key)
            return Event(kind, key, content)

    def _renewed(self) -> bool:
        """Start processes in place of those that were worn out; whether there were any."""
        worn = [worker for worker in self._workers if worker.exitcode == 0]
        for worker in worn:
            worker.join()
            self._workers.remove(worker)
            self._start()
        return bool(worn)


def worn_out() -> bool:
    """Whether this process holds so much memory, or so many maps of it, that another should go on.

    Linux allows a process 65 530 maps by default. Each net that XLA compiles takes some hundred and keeps them; a
    process that finds none left dies of it. And TensorFlow keeps the training data of every net that it compiled: a
    quarter of the machine's memory is more than one net needs.
    """
    try:
        with open("/proc/self/maps", "rb") as maps, open("/proc/sys/vm/max_map_count") as most:
            many = sum(1 for _ in maps) > int(most.read()) // 2
        with open("/proc/self/statm") as pages:
            held = int(pages.read().split()[1])
        return many or held > os.sysconf("SC_PHYS_PAGES") // 4
    except OSError:  # another system than Linux
        return False


def _live(
    work: Callable[[Any, Emit], Any],
    prepare: Callable[[], None] | None,
    worn: Callable[[], bool],
    tasks: Any,
    events: Any,
) -> None:
    """The life of a worker: tasks until it is ended, or worn."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if prepare:
        prepare()
    import tensorflow as tf

    # Said here as well, for provenance: the environment does not show in TensorFlow's own setting.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    while not worn():
        key, task = tasks.get()
        try:
            events.put(("done", key, work(task, partial(_tell, events, key))))
        except KerasTicketsError as error:  # anything else ends the process, with its traceback
            events.put(("error", key, type(error)(str(error))))


def _tell(events: Any, key: Hashable, kind: str, content: Any) -> None:
    events.put((kind, key, content))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
