"""Ctrl-C, also while something that is not Python computes."""

import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import ctypes, sys, time, click
from kerastickets_cli.interrupt import interruptible

@click.command()
def command():
    with interruptible("Again."):
        print("ready", flush=True)
        {body}

try:
    sys.exit(command.main([], standalone_mode=False))
except click.Abort:
    sys.exit("aborted")
"""


@pytest.mark.parametrize(
    "body", ["time.sleep(60)", "ctypes.CDLL(None).usleep(60_000_000); ctypes.CDLL(None).sleep(60)"]
)
def test_ends_soon_with_130_and_the_message(body):
    def hear():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell is born deaf

    command = [sys.executable, "-c", SCRIPT.format(body=body)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear,
        start_new_session=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "Interrupted. Again.\n")
    assert process.returncode == 130
