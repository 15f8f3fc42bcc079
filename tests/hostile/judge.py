"""Judge what an action did: success, an error by name, or a failure with its cause and its place in our code."""

import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.hostile import subjects
from tests.hostile.actions import Action, Place

ROOT = Path(__file__).resolve().parents[2]
_OURS = re.compile(rf"{re.escape(str(ROOT))}/((?:kerastickets|plugins|cli)/[^\"]*)")
_FRAME = re.compile(rf'File "{_OURS.pattern}", line (\d+),? in (\S+)')
_BENCH = "hostile/bench.py"
WARNING = re.compile(r"^(\S{1,300}):(\d{1,6}): (\w{0,40}Warning): ", re.MULTILINE)
#: What `kt` says instead of a traceback, if the error is none of its own.
_UNEXPECTED = ("Add --debug", "This needs more memory")
# What steers a terminal: C0 without tab and line feed, DEL and C1. Halves of characters cannot be encoded at all.
_RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class TimeLimitError(BaseException):
    """An action took too long. It is no `Exception`, so that nothing turns it into an error with a name."""


@dataclass(frozen=True)
class Failure:
    """Something that must not happen.

    Args:
        action: what was done.
        cause: the kind of failure and where it comes from; failures with the same cause are one finding.
        message: the last line of the exception, or what was printed.
        trace: the traceback, if there is one.
    """

    action: str
    cause: str
    message: str
    trace: str = ""


def judged(action: Action, place: Place, result: Any) -> tuple[str, Failure | None]:
    """What a refused command line said, nothing if it succeeded; or what is wrong with it."""
    text = result.stdout_bytes.decode(errors="replace") + result.stderr_bytes.decode(errors="replace")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return raised(action.name, result.exception, command=True)
    if "Traceback (" in text:
        return "", Failure(action.name, f"traceback printed by {action.name}", text[-300:], text)
    if any(one in result.stderr for one in _UNEXPECTED):
        return "", _unexpected(action, place, result)
    if result.exit_code not in (0, 1, 2):
        return "", Failure(action.name, f"exit code {result.exit_code} of {action.name}", text[-300:])
    if found := _RAW.search(text):
        line = text[max(0, found.start() - 60) : found.end() + 30]
        return "", Failure(action.name, f"control character printed by {action.name}", repr(line))
    return (result.stderr[-300:] or "nothing") if result.exit_code else "", None


def _unexpected(action: Action, place: Place, result: Any) -> Failure:
    """Where an error comes from that is none of ours: the same command again with `--debug`, which must show it."""
    with patch.object(subjects, "EXTRA", ["--debug"]):
        trace = action.run(place).stderr
    message = _last(result.stderr)
    found = [one for one in _FRAME.findall(trace) if one[0] != "cli/main.py"]
    kind = re.search(r"^(?:\w+\.)*(\w+)(?::.*)?\n(?:.*\n)?Error: ", trace, re.MULTILINE)
    if not (found and kind):
        return Failure(action.name, f"no traceback with --debug: {message[:150]}", message, trace)
    return Failure(
        action.name,
        f"{_name(kind[1])} at {found[-1][0]}:{found[-1][1]} in {found[-1][2]}",
        message[:300],
        trace,
    )


def raised(name: str, error: BaseException, command: bool = False) -> tuple[str, Failure | None]:
    """What an error by name says, or what is wrong with an exception. A command line must not let any through."""
    import click

    from kerastickets.errors import KerasTicketsError

    if not command and isinstance(error, KerasTicketsError | click.ClickException):
        return str(error)[-300:] or "nothing", None
    trace = "".join(traceback.format_exception(error))
    where = location(error)
    kind = "hang" if isinstance(error, TimeLimitError) else _name(type(error).__name__)
    return "", Failure(name, f"{kind} at {where}", ascii(_last(str(error)))[:300], trace[-6000:])


def _name(kind: str) -> str:
    """The name of a type of exception; NumPy has a type of its own for what does not fit into memory."""
    return "MemoryError" if kind.endswith("MemoryError") else kind


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def location(error: BaseException) -> str:
    """The innermost line of our code in the traceback of an exception."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.endswith(_BENCH)]
    for frame in reversed(frames):
        if found := _OURS.match(frame.filename):
            return f"{found[1]}:{frame.lineno} in {frame.name}"
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"


def location_in(text: str) -> str:
    """The innermost line of our code in a stack that `faulthandler` wrote; it begins with the innermost."""
    found = _FRAME.search(text)
    return f"{found[1]}:{found[2]} in {found[3]}" if found else "an unknown place"
