"""Make Ctrl-C end a command at once, even while TensorFlow computes and Python does not get a turn."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from kerastickets_cli.output import say

_GRACE = 1.0
_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Within the body, Ctrl-C ends the command with exit code 130 and prints `message` on stderr.

    Python raises KeyboardInterrupt only between its own instructions, and one call into TensorFlow can last for
    minutes. So if the body has not ended one second after Ctrl-C, the process exits. That is safe, because whatever
    is on disk is complete at any moment.

    Args:
        message: one line to print.
    """
    with _watched(message):
        try:
            yield
        except KeyboardInterrupt:
            say(message, err=True)
            raise click.exceptions.Exit(130) from None


@contextmanager
def _watched(message: str) -> Iterator[None]:
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


def _watch(ours: socket.socket, ended: threading.Event, message: str) -> None:
    with ours:
        while received := ours.recv(1):
            if received[0] == signal.SIGINT and not ended.wait(_GRACE):
                sys.stderr.write((_SHOW_CURSOR if sys.stderr.isatty() else "") + message + "\n")
                sys.stderr.flush()
                os._exit(130)
