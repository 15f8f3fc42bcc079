"""Run a corpus: hand out seeds to worker processes, replace those that hang or die, and group what fails."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tests.hostile.judge import ROOT, location_in
from tests.hostile.worker import live

Facts = dict[str, Any]
_EXAMPLES = 5


class Worker:
    """A process that tries inputs, and the input that it is trying.

    Args:
        folder: a new folder for this process.
        home: the folder of the sound inputs.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self._deadline = context.Value("d", float("inf"))
        self._doing: Any = context.Array("c", 64)
        self._folder = folder
        given = (other, self._deadline, self._doing, str(folder), str(home))
        self.process = context.Process(target=live, args=given, daemon=True)
        self.process.start()
        other.close()
        self.message: Facts | None = None

    def give(self, message: Facts) -> None:
        """Hand out an input."""
        self._deadline.value = time.monotonic() + 300  # the first input also imports TensorFlow
        self.message = message
        self.pipe.send(message)

    @property
    def late(self) -> bool:
        """Whether it did not even react to its own alarm."""
        return self.message is not None and time.monotonic() > self._deadline.value

    def end(self) -> Facts:
        """Kill the process; returns the outcome of its input."""
        late = self.late and self.process.is_alive()
        if late:
            with suppress(OSError, ProcessLookupError):
                os.kill(self.process.pid or 0, signal.SIGUSR1)  # writes down where it is
                time.sleep(0.5)
        self.process.kill() if late else self.process.join(5)
        self.process.join()
        faults = self._folder / "faults.txt"
        trace = faults.read_text(errors="replace") if faults.exists() else ""
        kind = "hang" if late else f"death of the process (exit code {self.process.exitcode})"
        action = self._doing.value.decode()
        cause = f"{kind} at {location_in(trace)}"
        failure = {"action": action, "cause": cause, "message": trace[:200], "trace": trace}
        outcome = {
            "accepted": [],
            "refused": [],
            "failures": [failure],
            "said": {},
            "warned": [],
            "seconds": 0.0,
            "peak": 0,
        }
        return outcome | {"slowest": [action, 0.0], "steps": [], **(self.message or {})}

    def stop(self) -> None:
        """End a process that waits for an input."""
        with suppress(OSError):
            self.pipe.send(None)
        self.process.join(5)
        self.process.kill()
        self.process.join()


class Corpus:
    """Tries inputs in worker processes, inside of a scratch folder that is removed in the end.

    Args:
        jobs: how many processes.
        home: the folder of the sound inputs. It is made if it is missing.
    """

    def __init__(self, jobs: int, home: Path) -> None:
        made_sound(home)
        memory = Path("/dev/shm")
        base = memory if os.access(memory, os.W_OK) else None
        self._scratch, self.home = Path(tempfile.mkdtemp(prefix="hostile-", dir=base)), home
        self._jobs, self._started = jobs, 0
        self._workers: list[Worker] = []

    def __enter__(self) -> "Corpus":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _start(self) -> None:
        self._started += 1
        folder = self._scratch / f"{self._started}"
        self._workers.append(Worker(folder, self.home))

    def try_all(self, messages: Iterable[Facts]) -> Iterator[Facts]:
        """Try inputs; yields their outcomes as they come, in no order."""
        waiting = iter(messages)
        over = False
        while True:
            for worker in [one for one in self._workers if one.message is None]:
                if (message := next(waiting, None)) is None:
                    over = True
                    break
                worker.give(message)
            if not over and len(self._workers) < self._jobs:
                self._start()
                continue
            if over and all(one.message is None for one in self._workers):
                return
            yield from self._events()

    def _events(self) -> Iterator[Facts]:
        busy = [one for one in self._workers if one.message is not None]
        ready = wait([one.pipe for one in busy], timeout=1)
        for worker in busy:
            worn = False
            if worker.pipe in ready:
                try:
                    outcome, worn = worker.pipe.recv()
                    worker.message = None
                    yield outcome
                except (EOFError, ConnectionError):
                    yield self._ended(worker)
            elif worker.late:
                yield self._ended(worker)
            if worn:
                worker.stop()
                self._workers.remove(worker)

    def _ended(self, worker: Worker) -> Facts:
        self._workers.remove(worker)
        return worker.end()


def made_sound(home: Path) -> None:
    """Make the sound inputs in a process of their own, unless they are there."""
    if home.is_dir():
        return
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        command = [sys.executable, "-m", "tests.hostile.subjects", f"{folder}/sound"]
        subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
        os.replace(f"{folder}/sound", home)


@dataclass
class Summary:
    """What became of many inputs of one kind.

    Args:
        kind: their kind.
        seed: the first seed.
    """

    kind: str
    seed: int
    count: int = 0
    accepted: int = 0
    outcomes: dict[str, list[int]] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    failures: dict[str, Facts] = field(default_factory=dict)
    slowest: Facts = field(default_factory=dict)
    peak: Facts = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def add(self, outcome: Facts) -> None:
        """Count one input."""
        self.count += 1
        self.accepted += not outcome["refused"] and not outcome["failures"]
        for number, name in enumerate(("accepted", "refused", "failures")):
            for one in outcome[name]:
                action = one["action"] if name == "failures" else one
                self.outcomes.setdefault(action, [0, 0, 0])[number] += 1
        for warning in {*outcome["warned"]}:
            place = warning.replace(f"{ROOT}/", "")
            self.warnings[place] = self.warnings.get(place, 0) + 1
        for failure in outcome["failures"]:
            found = self.failures.setdefault(failure["cause"], {"count": 0, "examples": []})
            found["count"] += 1
            example = {"seed": outcome["seed"], "steps": outcome["steps"]} | failure
            example.pop("cause")
            found["examples"] = sorted([*found["examples"], example], key=_simplest)[:_EXAMPLES]
        name, seconds = outcome["slowest"]
        if seconds >= self.slowest.get("seconds", 0.0):
            self.slowest = {"seed": outcome["seed"], "action": name, "seconds": round(seconds, 2)}
        if outcome["peak"] >= self.peak.get("MiB", 0) << 20:
            self.peak = {"seed": outcome["seed"], "MiB": outcome["peak"] >> 20}

    def facts(self) -> Facts:
        """The summary as JSON; the most frequent failures come first."""
        seconds = time.monotonic() - self.started
        names = ("accepted", "refused", "failed")
        failures = sorted(self.failures.items(), key=lambda one: -one[1]["count"])
        return {
            "kind": self.kind,
            "count": self.count,
            "seed": self.seed,
            "accepted by all": self.accepted,
            "actions": {
                name: dict(zip(names, counts, strict=True)) for name, counts in self.outcomes.items()
            },
            "failures": [{"cause": cause, **_without_traces(found)} for cause, found in failures],
            "warnings of Python": self.warnings,
            "slowest": self.slowest,
            "most memory": self.peak,
            "seconds": round(seconds, 1),
            "inputs per second": round(self.count / seconds, 1) if seconds else 0.0,
        }


def _simplest(example: Facts) -> tuple[int, int]:
    return len(example["steps"]), example["seed"]


def _without_traces(found: Facts) -> Facts:
    examples = [{name: value for name, value in one.items() if name != "trace"} for one in found["examples"]]
    return {"count": found["count"], "examples": examples}


def run(
    corpus: Corpus,
    kind: str,
    count: int,
    seed: int,
    often: float = 1,
    say: Callable[[str], None] = lambda text: None,
) -> Facts:
    """Try `count` mutations of a kind, from `seed` on; returns the summary."""
    summary = Summary(kind, seed)
    told = time.monotonic()
    for outcome in corpus.try_all(
        {"kind": kind, "seed": one, "often": often} for one in range(seed, seed + count)
    ):
        summary.add(outcome)
        if time.monotonic() - told > 20:
            told = time.monotonic()
            say(f"{kind}: {summary.count} of {count}, {len(summary.failures)} causes of failure")
    return summary.facts()
