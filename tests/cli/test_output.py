"""What every command prints, and what it keeps from being printed."""

import contextlib
import os
import subprocess
import sys

import pytest

from kerastickets import TicketError
from kerastickets_cli.output import check_file, held_stderr, nearest, number, percent, table

GREETING = """
import importlib.util, os
from kerastickets_cli.output import hush_tensorflow

hush_tensorflow()
assert importlib.util.find_spec("tensorflow")  # as tensorflow_datasets does, before it imports
import tensorflow
import sys
print("ours", file=sys.stderr)
"""


def test_tensorflow_does_not_greet():
    # Not the environment of the tests, which silences a part of it.
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", GREETING], capture_output=True, text=True, env=environment)
    assert done.stderr == "ours\n"


@pytest.mark.parametrize(
    ("error", "shown"), [(None, ""), (TicketError("named"), ""), (ValueError("odd"), "noise")]
)
def test_stderr_is_held_back_and_shown_where_the_body_fails(capfd, error, shown):
    with contextlib.suppress(TicketError, ValueError), held_stderr():
        os.write(2, b"noise")
        if error:
            raise error
    assert capfd.readouterr().err == shown
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_tables_and_their_cells():
    rows = [("a", 1, percent(0.5)), ("long", None, percent(None)), ("b", 12345, number(2.34))]
    assert table(("name", "n", "share"), rows).splitlines() == [
        "name      n   share",
        "a         1  50.00%",
        "long      -       -",
        "b     12345     2.3",
    ]


def test_nearest():
    assert nearest("prun", ["prune", "plugins"]) == " Did you mean 'prune'?"
    assert nearest("xyz", ["prune"]) == ""


def test_a_folder_is_no_file_to_replace(tmp_path):
    with pytest.raises(TicketError, match="must be a new file"):
        check_file(tmp_path, force=True)
    check_file(tmp_path / "new" / "a.safetensors", force=False)
    assert list(tmp_path.iterdir()) == []
