"""Kill every command that writes, at random moments, and run the same command again until it ends.

    python -m tests.hostile.kills --count 100 --seed 0

Whatever a command was doing, the same command must go on, and the bytes in the end must be those of a command that was
not killed. Where a command replaces an existing result, there must be a whole result at its path at every moment.
Each command runs in a process forked from one that has imported TensorFlow, so a kill hits the command, not imports.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.killing_commands import COMMANDS, Command, source


@dataclass
class Tally:
    """What happened to one command.

    Args:
        kills: processes that were killed.
        runs: processes that ended by themselves.
        wrong: what should not have happened.
    """

    kills: int
    runs: int
    wrong: list[str]


def started(words: list[str], log: Path) -> int:
    """Fork a process that runs a command of `kt` in a session of its own; returns its process id."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(target, 1)
    os.dup2(target, 2)
    code = 70
    try:
        from kerastickets_cli.main import kt

        sys.argv = ["kt", *words]
        kt()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def ended(child: int) -> int | None:
    """Wait for a process; its exit code, or None if it was killed."""
    status = os.waitpid(child, 0)[1]
    _kill_session(child)
    return None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _kill_session(child: int) -> None:
    """Kill what a killed command left running, as a scheduler does with a job."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == child and int(path.parent.name) != os.getpid():
            os.kill(int(path.parent.name), signal.SIGKILL)


def killed(child: int, after: float, command: Command, folder: Path) -> tuple[int | None, list[str]]:
    """Kill a process after some seconds, unless it ends before; its exit code, and what was wrong meanwhile."""
    wrong, until = [], time.monotonic() + after
    while time.monotonic() < until:
        if command.replaces and not os.path.lexists(folder / command.replaces):
            wrong.append(f"nothing was at {command.replaces} for a moment")
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.0005)
    else:
        os.kill(child, signal.SIGKILL)
    return ended(child), wrong


def trial(
    command: Command, given: Path, folder: Path, chance: random.Random, seconds: float, most: int
) -> Tally:
    """Run a command in a new folder until it ends by itself, killing it up to `most` times."""
    shutil.copytree(given, folder)
    words, tally, log = command.words(folder), Tally(0, 0, []), folder.with_suffix(".log")
    while True:
        child = started(words, log)
        code, wrong = (
            killed(child, chance.uniform(0, 1.1) * seconds, command, folder)
            if tally.kills < most
            else (ended(child), [])
        )
        tally.wrong += wrong
        if code is None:
            tally.kills += 1
            continue
        tally.runs += 1
        said = log.read_text(errors="replace")
        if "Traceback" in said or code not in (0, 1):
            tally.wrong.append(f"exit code {code}: {said[-500:]}")
        elif code == 1 and not (tally.kills and re.search(r"which exists|exists\. Use --force", said)):
            tally.wrong.append(f"refused: {said.strip().splitlines()[-1]}")
        return tally


def one(command: Command, given: Path, scratch: Path, chance: random.Random, count: int) -> dict[str, Any]:
    """Kill a command `count` times, over as many trials as that takes."""
    whole = scratch / f"{command.name}-whole"
    shutil.copytree(given, whole)
    began = time.monotonic()
    code = ended(started(command.words(whole), whole.with_suffix(".log")))
    seconds = time.monotonic() - began
    assert code == 0, whole.with_suffix(".log").read_text()
    expected, tallies = command.result(whole), []
    while sum(tally.kills for tally in tallies) < count:
        number = len(tallies)
        folder = scratch / f"{command.name}-{number}"
        left = count - sum(tally.kills for tally in tallies)
        tally = trial(command, given, folder, chance, seconds, min(left, 5))
        tally.wrong += differences(expected, command.result(folder))
        tallies.append(tally)
        if not tally.wrong:
            shutil.rmtree(folder)
    wrong = [text for tally in tallies for text in tally.wrong]
    kills, runs = (sum(getattr(tally, name) for tally in tallies) for name in ("kills", "runs"))
    return {
        "command": command.name,
        "seconds": round(seconds, 2),
        "kills": kills,
        "runs": runs,
        "wrong": wrong,
    }


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """What two results do not have in common."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in expected:
            yield f"{name} was left behind"
        elif expected[name] != found[name]:
            yield f"{name} has other content"


def main(argv: list[str] | None = None, tell: Callable[[str], None] = print) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="kills in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[command.name for command in COMMANDS], action="append")
    asked = parser.parse_args(argv)
    import tensorflow  # noqa: F401

    commands = [command for command in COMMANDS if not asked.only or command.name in asked.only]
    found = []
    with tempfile.TemporaryDirectory(prefix="kills-") as temporary:
        scratch = Path(temporary)
        given = source(scratch / "given", lambda words, log: ended(started(words, log)))
        whole = sum(command.weight for command in commands)
        for command in commands:
            chance = random.Random(f"{asked.seed} {command.name}")
            share = max(1, round(asked.count * command.weight / whole))
            found.append(one(command, given, scratch, chance, share))
            tell(json.dumps(found[-1]))
    wrong = sum(len(each["wrong"]) for each in found)
    tell(json.dumps({"kills": sum(each["kills"] for each in found), "seed": asked.seed, "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
