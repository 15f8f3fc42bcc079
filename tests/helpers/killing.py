"""Runs that are killed: one process that has imported everything and computed nothing forks a child for each run.

TensorFlow must not be forked once it has run an operation; before that it can be, which saves its import
at every restart. Called as `python -m tests.helpers.killing FOLDER SEED KILLS`: writes FOLDER/whole in one go,
FOLDER/random-N with KILLS kills at random moments between them, and FOLDER/moments with a kill at each of
the moments below. Prints how many kills hit a run.
"""

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import keras  # noqa: F401 - these imports are what the children share
import tensorflow as tf  # noqa: F401

import kerastickets.pruning.scoring
import kerastickets.training.trainer  # noqa: F401
from kerastickets.pruning.prune_model import prune
from tests.helpers.training import data, noisy

DIALS = {
    "levels": 3,
    "rate": 0.3,
    "train": "60ep",
    "batch_size": 8,
    "rewind_to": "1ep",
    "jit": "off",
    "lr": 0.01,
}
DIALS |= {"lr_schedule": "cosine", "seed": 3}


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def at_row(level, iteration):
    """Die when this evaluation is reported."""

    def on_row(row):
        if (row["level"], row["iteration"]) == (level, iteration):
            die()

    return on_row


def at_half_a_row(row):
    """Die in the middle of writing a line."""
    if (row["level"], row["iteration"]) == (1, 150):
        folder = Path(sys.argv[1]) / "moments"
        with (folder / "metrics.jsonl").open("a") as file:
            file.write('{"level": 1, "itera')
        die()


def at_replace(name, *, after):
    """Die right before or right after a file gets its final name."""
    real = os.replace

    def replace(source, target, **folders):
        if Path(target).name == name:
            if after:
                real(source, target, **folders)
            die()
        return real(source, target, **folders)

    os.replace = replace


#: What a child does first, and its `on_row`: in the order in which one folder meets them.
MOMENTS = [
    (lambda: at_replace("run.json", after=False), None),
    (None, at_row(0, 155)),
    (lambda: at_replace("level-00.safetensors", after=False), None),
    (lambda: at_replace("level-00.safetensors", after=True), None),
    (lambda: at_replace("metrics.jsonl", after=False), None),
    (None, at_half_a_row),
]


def run(folder, prepare=None, on_row=None):
    """Fork a child that runs the whole command; returns its process id."""
    child = os.fork()
    if child:
        return child
    try:
        if prepare:
            prepare()
        prune(noisy, data(), out=folder, on_row=on_row, **DIALS)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def finished(child):
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return not os.WIFSIGNALED(status)


def kill_at_random(folder, chance, kills, length):
    hits = completed = 0
    while hits < kills:
        child = run(f"{folder}/random-{completed}")
        # Half of a run is starting; up to two thirds of it, a kill lands before, in and after a level.
        time.sleep(chance.uniform(0, 2 / 3 * length))
        os.kill(child, signal.SIGKILL)
        if finished(child):
            completed += 1
        else:
            hits += 1
    assert finished(run(f"{folder}/random-{completed}"))
    return hits


def main(folder, seed, kills):
    began = time.perf_counter()
    assert finished(run(f"{folder}/whole"))
    hits = kill_at_random(folder, random.Random(seed), kills, time.perf_counter() - began)
    for prepare, on_row in MOMENTS:
        hits += not finished(run(f"{folder}/moments", prepare, on_row))
    assert finished(run(f"{folder}/moments"))
    print("kills", hits)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
