"""Make Ctrl-C and SIGTERM end a command, even while TensorFlow computes and Python does not get a turn."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kerastickets.training.checkpoint import Checkpoint

from kerastickets.foundations.termination import EXIT_CODE, GRACE, Terminated, terminable
from kerastickets_cli.output import say

_GRACE: Mapping[int, float] = {signal.SIGINT: 1.0, signal.SIGTERM: GRACE + 5}
_SHOW_CURSOR = "\x1b[?25h"

#: One line to print, or a function that makes it when it is needed.
Message = str | Callable[[], str]


@contextmanager
def interruptible(message: Message) -> Iterator[None]:
    """Within the body, Ctrl-C ends the command with exit code 130, and SIGTERM with 143; both print `message`.

    Python raises KeyboardInterrupt only between its own instructions, and one call into TensorFlow can last for
    minutes. So if the body has not ended one second after Ctrl-C, the process exits. That is safe, because whatever
    is on disk is complete at any moment. After SIGTERM there is more time, so that a training can write its state.

    Args:
        message: what to say after `Interrupted.` or `Terminated.`
    """
    with _watched(message), terminable():
        try:
            yield
        except KeyboardInterrupt:
            code = 130
        except Terminated:
            code = EXIT_CODE
        else:
            return
        say(_line(code, message), err=True)
        raise click.exceptions.Exit(code) from None


def nothing_written(checkpoint: "Checkpoint | None") -> str:
    """What to say when a training ends too early."""
    kept = checkpoint is not None and checkpoint.files()
    return "Its state is kept: the same command continues." if kept else "Nothing was written."


def _line(code: int, message: Message) -> str:
    word = "Terminated." if code == EXIT_CODE else "Interrupted."
    return f"{word} {message if isinstance(message, str) else message()}".strip()


@contextmanager
def _watched(message: Message) -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    ours, signals = socket.socketpair()
    signals.setblocking(False)
    ended = threading.Event()
    before = signal.set_wakeup_fd(signals.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(ours, ended, message), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        signals.close()


def _watch(ours: socket.socket, ended: threading.Event, message: Message) -> None:
    with ours:
        while received := ours.recv(1):
            grace = _GRACE.get(received[0])
            if grace is not None and not ended.wait(grace):
                code = 128 + received[0]
                sys.stderr.write((_SHOW_CURSOR if sys.stderr.isatty() else "") + _line(code, message) + "\n")
                sys.stderr.flush()
                os._exit(code)
