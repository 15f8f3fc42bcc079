"""This checkout against another revision of it, in one run: training speed, and the bytes of tickets.

Both train LeNet-300-100, and ten tiny nets together and alone, in turns: this, REV, this, REV, each time in a fresh
process that tells its best speed. REV lies in a temporary git worktree, which is removed at the end. The ratio is
this / REV by round: above 1 this checkout is faster. The tickets of small IMP and SNIP runs and their merge must have
the same bytes on both sides, or the exit code is 1.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _harness import RESULTS, add_jit, parser, settings, write

ROOT = Path(__file__).resolve().parents[1]
SIDE = Path(__file__).with_name("_against_side.py")
#: The folder of each package in a tree of the project.
PACKAGES = {"kerastickets": "kerastickets", "kerastickets_cli": "cli", "kerastickets_plugins": "plugins"}
Measured = Mapping[str, Any]


def git(*arguments: str) -> str:
    """What a git command in this checkout prints; no hooks run."""
    command = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """The files of a revision, in a folder of `folder`, for as long as the context lasts."""
    tree = folder / "tree"
    git("worktree", "add", "--quiet", "--detach", str(tree), revision)
    try:
        yield tree
    finally:
        git("worktree", "remove", "--force", str(tree))


def linked(tree: Path, folder: Path) -> Path:
    """A new folder in which the packages of a tree are found under the names they are imported by."""
    folder.mkdir()
    for name, place in PACKAGES.items():
        if not (tree / place).is_dir():
            raise SystemExit(f"{tree} must have the folder {place}/, which is the package {name}.")
        (folder / name).symlink_to(tree / place, target_is_directory=True)
    return folder


def measure(links: Path, wanted: Mapping[str, Any]) -> Measured:
    """One measurement of the packages that `links` holds, in a fresh process."""
    command = [sys.executable, "-P", str(SIDE), json.dumps(wanted)]
    # The editable install searches last, so what PYTHONPATH holds is found first.
    environment = {**os.environ, "PYTHONPATH": str(links)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=links.parent)
    if done.returncode:
        raise SystemExit(f"The side of {links.name} failed:\n{done.stderr[-3000:]}")
    found: Measured = json.loads(done.stdout.splitlines()[-1])
    expected = str((links / "kerastickets").resolve())
    if found["package"] != expected:
        raise SystemExit(f"kerastickets must come from {expected}. Received: {found['package']}")
    return found


def ratios(this: Sequence[Measured], other: Sequence[Measured]) -> dict[str, dict[str, Any]]:
    """For every speed the medians of both sides, and least, median and most of this / other by round."""
    rows: dict[str, dict[str, Any]] = {}
    for name in this[0]["per_second"]:
        mine, theirs = ([one["per_second"][name] for one in side] for side in (this, other))
        by_round = [a / b for a, b in zip(mine, theirs, strict=True)]
        rows[name] = {
            "this": round(statistics.median(mine), 1),
            "other": round(statistics.median(theirs), 1),
            "ratio": round(statistics.median(by_round), 3),
            "least": round(min(by_round), 3),
            "most": round(max(by_round), 3),
        }
    return rows


def table(rows: Mapping[str, Mapping[str, Any]], revision: str) -> str:
    """The ratios as text, one speed a line."""
    width = max(map(len, rows))
    lines = [f"{'per second':{width}}      this  {revision[:9]:>9}   ratio  least   most by round"]
    for name, row in rows.items():
        spread = f"{row['ratio']:6.3f} {row['least']:6.3f} {row['most']:6.3f}"
        lines.append(f"{name:{width}} {row['this']:9.1f}  {row['other']:9.1f}  {spread}")
    return "\n".join(lines)


def different(this: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The names of the tickets whose bytes are not the same on both sides."""
    return [name for name in {**this, **other} if this.get(name) != other.get(name)]


def compared(revision: str, wanted: Mapping[str, Any], rounds: int) -> tuple[list[Measured], list[Measured]]:
    """The measurements of this checkout and of a revision, in turns; the first of each tells bytes, if wanted."""
    this: list[Measured] = []
    other: list[Measured] = []
    with tempfile.TemporaryDirectory() as name, worktree(revision, Path(name)) as tree:
        mine, theirs = linked(ROOT, Path(name, "this")), linked(tree, Path(name, "other"))
        for number in range(rounds):
            asked = {**wanted, "bytes": wanted["bytes"] and number == 0}
            this.append(measure(mine, asked))
            other.append(measure(theirs, asked))
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return this, other


def main() -> None:
    """Measure, print, and write the result file where `--results` says."""
    made = parser(__doc__, repeats=5, results=None)
    made.add_argument("revision", metavar="REV", help="a commit, a branch or a tag")
    made.add_argument("--steps", type=int, default=500, help="of LeNet-300-100 between two evaluations")
    made.add_argument("--epochs", type=int, default=40, help="of a tiny net")
    made.add_argument("--no-bytes", action="store_true", help="compare no tickets")
    add_jit(made)
    args = settings(made, repeats=1, steps=10, epochs=4, jit="off")
    if args.results == RESULTS:
        made.error("`--results` must be another folder: what two revisions did is no result of this one.")
    revision = git("rev-parse", "--verify", "--quiet", "--short", f"{args.revision}^{{commit}}")
    wanted = {"steps": args.steps, "epochs": args.epochs, "jit": args.jit, "bytes": not args.no_bytes}
    this, other = compared(revision, wanted, args.repeats)
    rows = ratios(this, other)
    print(table(rows, revision))
    facts = {"revision": revision, "repeats": args.repeats, **wanted, "per_second": rows}
    bad = [] if args.no_bytes else different(this[0]["bytes"], other[0]["bytes"])
    if not args.no_bytes:
        facts["bytes"] = {"this": this[0]["bytes"], "other": other[0]["bytes"]}
        same = len(this[0]["bytes"]) - len(bad)
        print(
            f"bytes: {same} of {len(this[0]['bytes'])} tickets are equal" + "".join(f"; not {n}" for n in bad)
        )
    write("against", facts, packages=("kerastickets", "tensorflow", "keras", "numpy"), folder=args.results)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
