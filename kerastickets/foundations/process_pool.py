"""Worker processes with one thread each, so that results do not depend on how many workers run.

For networks of LeNet's size, two one-thread processes also use two cores better than one process with two
threads. A worker imports TensorFlow once and then does one task after another.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from types import TracebackType
from typing import Any

from kerastickets.errors import KerasTicketsError
from kerastickets.foundations.environment import memory_maps
from kerastickets.foundations.termination import GRACE, Terminated, terminable

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")

Emit = Callable[[str, Any], None]


@dataclass(frozen=True)
class Event:
    """A message from a worker.

    Args:
        kind: `done` when a task has finished, or the kind that the work itself emitted.
        key: the task's key.
        content: the task's result if `kind` is `done`, else what the work emitted.
    """

    kind: str
    key: Hashable
    content: Any


class Pool:
    """A pool of at most `jobs` worker processes. A process starts only when a task needs it.

    Use it as a context manager. Leaving the context, also by an error or Ctrl-C, kills the processes at
    once. The files that the work writes must therefore be complete at any moment.

    Args:
        work: `work(task, emit)` does one task in a worker and returns its result. It must be an importable
            function. `emit(kind, content)` sends a message to the main process before the task is done.
        jobs: the largest number of processes, at least 1.
        prepare: a function that each process calls first, before it imports TensorFlow.
        worn: a function that a process calls before each task. If it returns True, the process ends and a
            new one takes its place. The default is `worn_out`.
    """

    def __init__(
        self,
        work: Callable[[Any, Emit], Any],
        jobs: int,
        prepare: Callable[[], None] | None = None,
        worn: Callable[[], bool] | None = None,
    ) -> None:
        self._work, self._most, self._prepare, self._worn = work, jobs, prepare, worn or worn_out
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._waiting: deque[tuple[Hashable, Any]] = deque()
        self._open: set[Hashable] = set()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, Terminated):
            self._ask_to_end()
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def _ask_to_end(self) -> None:
        """Let the processes keep what they have trained so far, if that does not take long."""
        until = time.monotonic() + GRACE
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))

    @property
    def open(self) -> int:
        """The number of submitted tasks that are not done."""
        return len(self._open)

    def submit(self, key: Hashable, task: Any) -> None:
        """Submit a task. All events of this task carry `key`."""
        self._open.add(key)
        self._waiting.append((key, task))
        self._give()
        if self._waiting and len(self._workers) < min(self._most, len(self._open)):
            self._start()

    def _give(self) -> None:
        """Give waiting tasks to the processes that are ready for one."""
        for worker in self._workers:
            if worker.ready and self._waiting:
                worker.ready = False
                with suppress(OSError):  # it has died; `next` says so
                    worker.pipe.send(self._waiting.popleft())

    def _start(self) -> None:
        # Each process has a pipe of its own. In a queue that all share, a process that is killed while it writes would
        # leave half a message and a lock behind, for which all others wait.
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_live, args=(self._work, self._prepare, self._worn, theirs), daemon=True
        )
        # Ctrl-C in a terminal reaches every process, but only this one should react to it.
        # The workers inherit the setting that ignores it.
        alone = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if alone else None
        try:
            process.start()
        finally:
            if alone:
                signal.signal(signal.SIGINT, before)
        theirs.close()  # so that the end of the process closes the pipe
        self._workers.append(_Worker(process, ours))

    def next(self) -> Event:
        """Wait for the next event and return it.

        Raises:
            KerasTicketsError: a task raised this error, or a process ended unexpectedly.
        """
        while True:
            for pipe in connection.wait([worker.pipe for worker in self._workers], timeout=1.0):
                worker = next(one for one in self._workers if one.pipe is pipe)
                try:
                    kind, key, content = worker.pipe.recv()
                except (EOFError, OSError):
                    self._ended(worker)
                    break
                if kind == "ready":
                    worker.ready = True
                    self._give()
                    continue
                if kind == "error":
                    raise content
                if kind == "done":
                    self._open.discard(key)
                return Event(kind, key, content)

    def _ended(self, worker: "_Worker") -> None:
        """Replace a worn-out process by a new one.

        Raises:
            KerasTicketsError: the process ended for another reason.
        """
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        if worker.process.exitcode != 0:
            raise KerasTicketsError(
                f"A process ended too early, with exit code {worker.process.exitcode}. "
                "Use fewer --jobs; the same command continues."
            )
        if self._open:
            self._start()


@dataclass(eq=False)
class _Worker:
    """A process, our end of its pipe, and whether it waits for a task."""

    process: Any
    pipe: Any
    ready: bool = False


def worn_out() -> bool:
    """Whether this process holds so much memory, or so many memory maps, that it should be replaced.

    The limits are half of the memory maps that Linux allows, and a quarter of the machine's memory.

    Linux allows a process 65 530 memory maps by default. Each network that XLA compiles takes some hundred
    maps and keeps them. A process that has no map left dies. TensorFlow also keeps the training data of every
    network that it compiled. One network needs less than a quarter of the machine's memory.
    """
    try:
        maps = memory_maps()
        many = maps is not None and maps[0] > maps[1] // 2
        with open("/proc/self/statm") as pages:
            held = int(pages.read().split()[1])
        return many or held > os.sysconf("SC_PHYS_PAGES") // 4
    except OSError:  # not Linux
        return False


def _live(
    work: Callable[[Any, Emit], Any],
    prepare: Callable[[], None] | None,
    worn: Callable[[], bool],
    pipe: Any,
) -> None:
    """The main loop of a worker: do tasks until the process is killed or worn out."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if prepare:
        prepare()
    import tensorflow as tf

    # Set here as well, for provenance: TensorFlow's own settings do not show the environment variables.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with suppress(Terminated), terminable():
        while not worn():
            pipe.send(("ready", None, None))
            key, task = pipe.recv()
            try:
                pipe.send(("done", key, work(task, partial(_tell, pipe, key))))
            except KerasTicketsError as error:  # any other error ends the process and prints its traceback
                pipe.send(("error", key, type(error)(str(error))))


def _tell(pipe: Any, key: Hashable, kind: str, content: Any) -> None:
    pipe.send((kind, key, content))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
