"""What every benchmark shares: options, fair timing, the facts of the machine, one result file."""

import argparse
import importlib.metadata
import importlib.util
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


def parser(
    text: str | None, repeats: int | None = None, results: Path | None = RESULTS
) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has.

    Args:
        text: the description, which is the module's docstring.
        repeats: the default of `--repeats`; None leaves that option out.
        results: the folder that results are written to by default; None writes none.
    """
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--tiny", action="store_true", help="seconds, not minutes: shows that it runs, no more")
    made.add_argument(
        "--results", type=Path, default=results, metavar="FOLDER", help="where to write results"
    )
    if repeats is not None:
        made.add_argument("--repeats", type=int, default=repeats, help="rounds that count")
    return made


def settings(made: argparse.ArgumentParser, **tiny: Any) -> argparse.Namespace:
    """Read the command line; `tiny` holds the defaults under `--tiny`.

    A tiny run writes nothing unless `--results` is given, so it never replaces a measured result.
    """
    if made.parse_known_args()[0].tiny:
        made.set_defaults(results=None, **tiny)
    return made.parse_args()


def add_jit(made: argparse.ArgumentParser) -> None:
    """Add `--jit`: a tiny run spends most of its time in XLA, which says nothing about the script."""
    made.add_argument("--jit", choices=("auto", "on", "off"), default="auto", help="whether XLA compiles")


def installed(peer: str, package: str) -> bool:
    """Whether a peer's package is here; where it is not, print that its side is left out."""
    if importlib.util.find_spec(package):
        return True
    print(f'{peer} is not installed, so its side is left out. To measure it: pip install -e ".[bench]"')
    return False


def seconds(command: Sequence[str], **environment: str) -> float:
    """Wall-clock seconds of one run of a command, its output thrown away; raises if it fails."""
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **environment}, **options)
    taken = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr.decode()[-2000:]}")
    return taken


def timed(action: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def interleaved(
    sides: Mapping[str, Callable[[], float]], repeats: int, warm_up: bool = True
) -> dict[str, list[float]]:
    """Measure every side in turn, `repeats` times over: a busy moment then hits all sides alike.

    Args:
        sides: for each name, a function that runs once and returns the seconds.
        repeats: rounds that count.
        warm_up: do one round more, before the first: it fills the caches of files and bytecode.

    Returns:
        The seconds of every round by name.
    """
    rounds = [
        {name: measure() for name, measure in sides.items()} for _ in range(repeats + (1 if warm_up else 0))
    ]
    return {name: [measured[name] for measured in rounds[-repeats:]] for name in sides}


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


def spread(slower: Sequence[float], faster: Sequence[float], digits: int = 2) -> str:
    """How many times as long `slower` took: the ratio of medians, and the least and most of any one round."""
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    middle = statistics.median(slower) / statistics.median(faster)
    return f"{middle:.{digits}f}x ({min(ratios):.{digits}f} to {max(ratios):.{digits}f} by round)"


def write(
    name: str,
    facts: Mapping[str, Any],
    packages: Sequence[str] = ("kerastickets",),
    *,
    folder: Path | None = RESULTS,
) -> None:
    """Write `FOLDER/NAME.json`: the facts, the machine, and the versions of `packages`; print where.

    A result of the repository that was measured with a peer stays as it is where that peer is missing.

    Args:
        name: the benchmark.
        facts: what was measured.
        packages: what else decides the numbers; those that are not installed have no version.
        folder: where to write; None writes nothing.
    """
    if folder is None:
        print(f"not written: {name}.json, as --results names no folder")
        return
    versions = {package: found for package in packages if (found := version(package))}
    path = folder / f"{name}.json"
    missing = [package for package in packages if package not in versions]
    if missing and folder == RESULTS and path.exists():
        print(f"not written: {path.name} was measured with {', '.join(missing)}; --results writes elsewhere")
        return
    folder.mkdir(parents=True, exist_ok=True)
    result = {"benchmark": name, "machine": machine(), "versions": versions, **facts}
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written: {path.relative_to(RESULTS.parents[1]) if folder == RESULTS else path}")


def version(package: str) -> str | None:
    """The installed version of a package, None where there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
