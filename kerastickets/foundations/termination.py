"""SIGTERM: let a training keep its state before the process ends.

Schedulers of clusters send SIGTERM some seconds before they kill a process. Where nothing would be lost, the signal
ends the process at once. A training defers it to a moment at which its state can be kept.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: The longest time, in seconds, that a process takes to keep its state after SIGTERM.
GRACE = 20.0

#: The exit code of a process that SIGTERM ended.
EXIT_CODE = 128 + signal.SIGTERM


class Terminated(BaseException):
    """The process received SIGTERM. Like KeyboardInterrupt, it is no error."""


class _State:
    deferred = 0
    asked = False


@contextmanager
def terminable() -> Iterator[None]:
    """Within the body, SIGTERM raises `Terminated`: at once, or where a training that defers it asks.

    The signal is left as it is outside of the main thread, and if the program that uses the library handles it.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    _State.asked = False
    signal.signal(signal.SIGTERM, _heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _heard(number: int, frame: object) -> None:
    _State.asked = True
    if not _State.deferred:
        raise Terminated


@contextmanager
def deferred() -> Iterator[None]:
    """Within the body, `Terminated` is not raised. `asked` tells whether it would have been; the end raises it."""
    _State.deferred += 1
    try:
        yield
    finally:
        _State.deferred -= 1
    if _State.asked and not _State.deferred:
        raise Terminated


def asked() -> bool:
    """Whether SIGTERM was received."""
    return _State.asked
