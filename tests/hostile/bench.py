"""One attempt at a time: write an input, do everything with it within limits, and judge what happened.

Allowed are success, and errors of this library by name. Anything else is a failure: another exception, a traceback or
control characters in what is printed, too much time or memory, a file made or changed outside of the output folder.
"""

import os
import re
import resource
import shutil
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from tests.hostile.actions import ACTIONS, Action, Place
from tests.hostile.judge import WARNING, Failure, TimeLimitError, judged, raised
from tests.hostile.nodes import Input, write

#: What archives and links of the corpus would write to if somebody followed them.
_ESCAPED = ("/tmp/hostile-x",)
_OUTSIDE = "files outside of --out"
#: How much memory the library is told to be free, in bytes. Data sets are bounded by it.
FREE = 1 << 30
#: How much more address space an action may ask for, and how much more memory it may hold, in bytes. What is no data
#: set has a few kilobytes, so that little memory is enough.
SPACE, HELD, LITTLE = 4 << 30, 3 << 29, 1 << 28


@dataclass
class Outcome:
    """What happened to one input.

    Args:
        accepted: the actions that succeeded.
        refused: the actions that ended with an error by name.
        failures: what must not happen.
        seconds: how long all of it took.
        warned: warnings of Python that a command printed, each with its place.
        said: what was said by what was refused.
        peak: how much memory it took at most, in bytes.
        slowest: the action that took longest, and its seconds.
    """

    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    peak: int = 0
    slowest: tuple[str, float] = ("", 0.0)


class Bench:
    """A scratch folder in which inputs are tried one after another.

    Args:
        scratch: a new folder, used by this process alone.
        home: the folder of the sound inputs.
        limited: whether to set limits of time and memory. They are those of the whole process.
        on_action: called before each action with its name and the seconds that it may take.
        patience: how many times longer each action may take, for a machine that does other work too.
    """

    def __init__(
        self, scratch: Path, home: Path, limited: bool = True, on_action: Any = None, patience: float = 1.0
    ) -> None:
        self._scratch, self._home, self._limited, self._patience = scratch, home, limited, patience
        self._on_action = on_action or (lambda name, seconds: None)
        self._work = scratch / "work" / "folder"
        self._work.mkdir(parents=True)
        self._renew()
        self._printed = open(scratch / "printed.txt", "w+b", buffering=0)  # noqa: SIM115

    def attempt(
        self,
        kind: str,
        seed: int,
        nodes: Input,
        *,
        often: float = 1,
        just: Collection[str] = (),
        every: bool = False,
        careful: bool = False,
    ) -> Outcome:
        """Try one input.

        Args:
            kind: its kind.
            seed: chooses among the actions.
            nodes: the input.
            often: how many times more often to do what is done with some inputs only.
            just: the names of the actions to do, besides the first. Empty for those that the seed chooses.
            every: do everything.
            careful: look for written files after each action, and not only in the end.
        """
        outcome, place = Outcome(), Place(kind, seed, self._home, often)
        started = time.perf_counter()
        with self._folders(nodes):
            first, *others = ACTIONS[kind]
            chosen = [
                first,
                *(one for one in others if (one.name in just if just else every or one.chosen(place))),
            ]
            before = self._listing()
            for action in chosen:
                if action.read and place.found is None:
                    continue
                self._do(action, place, outcome)
                if careful:
                    before = self._compare(action.name, before, outcome, action.writes)
            writes = {"out", *(folder for one in chosen for folder in one.writes)}
            changed = () if careful else self._changed(before, writes)
        if changed:
            self._renew()
            outcome = self.attempt(kind, seed, nodes, often=often, just=just, every=every, careful=True)
            self._renew()
            if not any(one.cause.startswith(_OUTSIDE) for one in outcome.failures):
                outcome.failures.append(Failure("all", f"{_OUTSIDE} by {kind}", ", ".join(changed)[:300]))
        outcome.seconds = time.perf_counter() - started
        return outcome

    def _renew(self) -> None:
        """Make everything beside the input new: what is precious, the data set, and the folder of temporary files."""
        for folder in (self._work, self._scratch / "precious", self._scratch / "tmp"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        (self._scratch / "precious" / "folder").mkdir()
        for name in ("file", "folder/file"):
            (self._scratch / "precious" / name).write_text("precious")
        shutil.copy(self._home / "points.npz", self._work)

    @contextmanager
    def _folders(self, nodes: Input) -> Iterator[None]:
        back = Path.cwd()
        for name in ("in", "out"):
            shutil.rmtree(self._work / name, ignore_errors=True)
            (self._work / name).mkdir()
        write(nodes, self._work / "in", self._scratch / "precious")
        os.chdir(self._work)
        try:
            yield
        finally:
            os.chdir(back)

    def _do(self, action: Action, place: Place, outcome: Outcome) -> None:
        started, failure, refused = time.perf_counter(), None, ""
        held = _reset_peak()
        most = self._patience * action.seconds
        self._on_action(action.name, most)
        try:
            with (
                self._limits(most),
                patch("kerastickets.foundations.memory.free_memory", lambda: FREE),
            ):
                result = action.run(place)
                if result is not None:
                    refused, failure = judged(action, place, result)
            said = WARNING.findall(result.stderr) if result is not None else ()
            outcome.warned += (f"{kind} at {path}:{line}" for path, line, kind in said)
        except (Exception, TimeLimitError) as error:
            refused, failure = raised(action.name, error)
        peak = _peak() - held
        seconds = time.perf_counter() - started
        failure = failure or self._said(action.name)
        bytes_most = HELD if place.kind in ("npz", "images") else LITTLE
        if failure is None and self._limited and peak > bytes_most:
            failure = Failure(action.name, f"memory in {action.name}", f"{peak >> 20} MiB more than before")
        if failure:
            outcome.failures.append(failure)
        else:
            (outcome.refused if refused else outcome.accepted).append(action.name)
            outcome.said |= {action.name: refused} if refused else {}
        outcome.peak = max(outcome.peak, peak)
        outcome.slowest = max(outcome.slowest, (action.name, seconds), key=lambda one: one[1])

    @contextmanager
    def _limits(self, seconds: float) -> Iterator[None]:
        if not self._limited:
            yield
            return
        free = resource.getrlimit(resource.RLIMIT_AS)
        signal.signal(signal.SIGALRM, _too_long)
        with suppress(OSError), open("/proc/self/statm") as pages:
            size = int(pages.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + SPACE, free[1]))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            resource.setrlimit(resource.RLIMIT_AS, free)

    def close(self) -> None:
        """Close the file that takes what is printed."""
        self._printed.close()

    def redirect(self) -> None:
        """Send what libraries print past Python to a file, where it is looked at."""
        for number in (1, 2):
            os.dup2(self._printed.fileno(), number)

    def _said(self, name: str) -> Failure | None:
        """A failure if a library printed a traceback past Python, or past the command."""
        if not self._printed.seek(0, os.SEEK_END):
            return None
        self._printed.seek(0)
        text = self._printed.read().decode(errors="replace")
        self._printed.seek(0)
        self._printed.truncate()
        return (
            Failure(name, f"traceback on stderr of {name}", text[-300:], text)
            if "Traceback (" in text
            else None
        )

    def _listing(self) -> dict[str, tuple[int, ...]]:
        return dict(_listed(str(self._scratch)))

    def _changed(self, before: Mapping[str, Any], writes: set[str]) -> list[str]:
        after = self._listing()
        names = (name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        own = [str(self._work / folder) for folder in writes]
        inside = {*own, *(str(self._scratch / name) for name in ("printed.txt", "faults.txt"))}
        # AutoGraph of TensorFlow removes its files when the process ends.
        allowed = (*(f"{one}/" for one in own), f"{self._scratch}/tmp/__autograph_generated_file")
        escaped = [path for path in _ESCAPED if os.path.lexists(path)]
        return escaped + sorted(name for name in names if name not in inside and not name.startswith(allowed))

    def _compare(self, name: str, before: Any, outcome: Outcome, writes: tuple[str, ...]) -> Any:
        if changed := self._changed(before, {"out", *writes}):
            said = [os.path.relpath(path, self._scratch) for path in changed]
            for path in _ESCAPED:
                with suppress(OSError):
                    os.unlink(path)
            outcome.failures.append(Failure(name, f"{_OUTSIDE} by {name}", ", ".join(said)[:300]))
        return self._listing()


def _listed(folder: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Everything below a folder, with size, time of change, inode and kind; links are not followed."""
    for entry in os.scandir(folder):
        about = entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield entry.path, (about.st_ino, about.st_mode)
            yield from _listed(entry.path)
        else:
            yield entry.path, (about.st_size, about.st_mtime_ns, about.st_ino, about.st_mode)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TimeLimitError


def _reset_peak() -> int:
    """Begin to measure the peak anew; returns the memory that is held now, in bytes (0 where this is not Linux)."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _peak()


def _peak() -> int:
    with suppress(OSError), open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1]) << 10  # type: ignore[index]
    return 0
