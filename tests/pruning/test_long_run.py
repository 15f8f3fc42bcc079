"""A run of two hundred levels: what it holds of the machine does not grow with them."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

LEVELS, WARM = 200, 20

# In a process of its own: the other tests' memory is not this run's. Freed pages go back to the system before each
# measurement, so that what is measured is held.
PROGRAM = """
import ctypes, gc, json, os, sys

import kerastickets as kt

trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)
measured = {}

def measure(level):
    if level.level % 20 and level.level != 1:
        return
    gc.collect()
    trim(0)
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    measured[level.level] = {
        "kilobytes": int(status["VmRSS"].split()[0]),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": int(status["Threads"]),
    }

run = kt.prune(
    "mlp:8", "digits", levels=int(sys.argv[2]), rate=0.01, scope="layer", train="20it", jit="off",
    allow_collapse=True, out=sys.argv[1], on_level_end=measure,
)
assert len(run.tickets) == int(sys.argv[2]) + 1
print(json.dumps(measured))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="reads what Linux says of a process")
def test_memory_threads_and_open_files_stay_flat_over_two_hundred_levels(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "run", str(LEVELS)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    measured = {int(level): held for level, held in json.loads(done.stdout.splitlines()[-1]).items()}
    assert max(measured) == LEVELS
    for what in ("kilobytes", "files", "threads"):
        warm, end = measured[WARM][what], measured[LEVELS][what]
        assert end <= 1.05 * warm, (
            f"{what}: {warm} after level {WARM}, {end} after level {LEVELS}: {measured}"
        )
    # The run keeps its tickets, of some 15 kB each; a model compiled at every level would be 4 MB.
    growth = (measured[LEVELS]["kilobytes"] - measured[WARM]["kilobytes"]) / (LEVELS - WARM)
    assert growth < 100, f"{growth} kB a level: {measured}"
