"""What every benchmark shares: fair timing, the facts of the machine, one result file."""

import importlib.metadata
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerastickets.foundations.environment import machine

RESULTS = Path(__file__).resolve().parent / "results"


def seconds(command: Sequence[str], **environment: str) -> float:
    """Wall-clock seconds of one run of a command, its output thrown away; raises if it fails."""
    settings: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    started = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, **environment}, **settings)
    return time.perf_counter() - started


def timed(action: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def interleaved(sides: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Measure every side in turn, `repeats` times over: a busy moment then hits all sides alike.

    One round before the first counts for nothing: it fills the caches of files and bytecode.

    Args:
        sides: for each name, a function that runs once and returns the seconds.
        repeats: rounds that count.

    Returns:
        The seconds of every round by name.
    """
    rounds = [{name: measure() for name, measure in sides.items()} for _ in range(repeats + 1)]
    return {name: [measured[name] for measured in rounds[1:]] for name in sides}


def summary(measured: Mapping[str, Sequence[float]], against: str) -> dict[str, dict[str, float]]:
    """Median, extremes and ratio of medians by name; `against` names the side with ratio 1."""
    base = statistics.median(measured[against])
    return {
        name: {
            "median": round(statistics.median(times), 4),
            "lowest": round(min(times), 4),
            "highest": round(max(times), 4),
            "ratio": round(statistics.median(times) / base, 3),
        }
        for name, times in measured.items()
    }


def table(facts: Mapping[str, Mapping[str, float]], against: str) -> str:
    """The summary as text, one side a line."""
    width = max(len(name) for name in facts)
    lines = [f"{'':{width}}  median s  lowest  highest  ratio to {against}"]
    for name, row in facts.items():
        numbers = f"{row['median']:8.3f}  {row['lowest']:6.3f}  {row['highest']:7.3f}  {row['ratio']:6.2f}"
        lines.append(f"{name:{width}}  {numbers}")
    return "\n".join(lines)


def write(name: str, facts: Mapping[str, Any], packages: Sequence[str] = ("kerastickets",)) -> Path:
    """Write `results/NAME.json`: the facts, the machine, and the versions of `packages`."""
    versions = {package: importlib.metadata.version(package) for package in packages}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    result = {"benchmark": name, "machine": machine(), "versions": versions, **facts}
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path
