"""One side of `against.py`, in a process of its own: `python -P _against_side.py SETTINGS`, which are JSON.

It measures whichever kerastickets comes first on PYTHONPATH. Both revisions must understand it, so it uses public
names alone: times are those at which the library reports an evaluation, not those of anything inside it.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import kerastickets as kt

NETS = 10


def untrained(model: str, data: Any) -> kt.Ticket:
    """A ticket that keeps half of its weights, before any training."""
    dials: Any = {"levels": 1, "rate": 0.5, "between": "none", "no_train": True}
    return kt.prune(model, data, "random", **dials).tickets[-1]


def interval(times: Sequence[float], most: int) -> float:
    """Seconds between two evaluations: the least of the last `most`.

    The first may compile, and whatever else the machine does only ever adds time.
    """
    return min([end - start for start, end in pairwise(times)][-most:])


def lenet(steps: int, jit: str) -> float:
    """Steps per second of LeNet-300-100, an evaluation of two batches every `steps` steps included."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6000, 28, 28, 1)).astype("float32"), rng.integers(0, 10, 6000)
    few = (x[:120], y[:120])
    data = kt.Data("noise", (x, y), few, few, kt.CROSS_ENTROPY, ("accuracy",), classes=10)
    times: list[float] = []
    dials: Any = {"train": f"{10 * steps}it", "eval_every": f"{steps}it", "batch_size": 60, "jit": jit}
    kt.train(untrained("lenet-300-100", data), data, on_row=lambda row: times.append(now()), **dials)
    return steps / interval(times, 8)


def together(epochs: int, jit: str) -> float:
    """Epochs per second of tiny nets that train together, those of all nets counted, evaluation included."""
    times: list[float] = []
    dials: Any = {"train": f"{epochs}ep", "batch_size": 60, "jit": jit}
    ticket = untrained("mlp:38-38", "moons-circles")
    kt.train_many(
        [ticket] * NETS,
        "moons-circles",
        seeds=range(NETS),
        on_row=lambda number, row: times.append(now()),
        **dials,
    )
    # All nets report an epoch one after another: it ends with the last of them.
    return NETS / interval(times[NETS - 1 :: NETS], epochs - 2)


def alone(epochs: int, jit: str) -> float:
    """Epochs per second of as many nets, one after another by one trainer: the levels of a pruning run."""
    levels: list[list[float]] = [[]]
    dials: Any = {"levels": NETS - 1, "rate": 0.05, "train": f"{epochs}ep", "batch_size": 60, "jit": jit}
    kt.prune(
        "mlp:38-38",
        "moons-circles",
        on_row=lambda row: levels[-1].append(now()),
        on_level_end=lambda level: levels.append([]),
        **dials,
    )
    return 1 / min(interval(times, epochs - 2) for times in levels if times)


def digests() -> dict[str, str]:
    """The sha256 of every ticket file of small runs: IMP, SNIP, and both merged by DTM."""
    dials: Any = {"train": "2ep", "batch_size": 60}
    imp = kt.prune("mlp:8", "digits", levels=2, rate=0.3, **dials).tickets
    snip = kt.prune("mlp:8", "digits", "snip", sparsity=0.5, **dials).tickets
    merged = kt.registry.create("operations", "dtm")(imp[-1], snip[-1])
    named = {f"IMP, level {level}": ticket for level, ticket in enumerate(imp)}
    named |= {"SNIP": snip[-1], "DTM of both": merged}
    return {name: digest(ticket) for name, ticket in named.items()}


def digest(ticket: kt.Ticket) -> str:
    """The sha256 of a ticket's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ticket.safetensors")
        ticket.save(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()


def now() -> float:
    """The time, for differences."""
    return time.perf_counter()


def main(settings: dict[str, Any]) -> dict[str, Any]:
    """Everything that the settings ask for."""
    jit, epochs = settings["jit"], settings["epochs"]
    found: dict[str, Any] = {
        "package": str(Path(kt.__file__).resolve().parent),
        "per_second": {
            "LeNet-300-100, steps": lenet(settings["steps"], jit),
            f"{NETS} tiny nets together, epochs of a net": together(epochs, jit),
            f"{NETS} tiny nets alone, epochs of a net": alone(epochs, jit),
        },
    }
    return found | ({"bytes": digests()} if settings["bytes"] else {})


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
