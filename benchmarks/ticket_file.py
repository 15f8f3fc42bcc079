"""Saving a ticket of 25 million weights, and loading it with its digest checked: each under a second.

For scale, the same arrays by plain safetensors, without digest or fsync.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from _harness import interleaved, summary, table, timed, write
from safetensors.numpy import load_file, save_file

from kerastickets.tickets.ticket import Ticket

SHAPES = {f"dense_{n}/kernel": (2500, 2500) for n in range(4)}


def ticket() -> Ticket:
    """25 million weights, a fifth of them kept, one snapshot."""
    rng = np.random.default_rng(0)
    weights = {key: rng.normal(size=shape).astype("float32") for key, shape in SHAPES.items()}
    masks = {key: rng.random(shape) < 0.2 for key, shape in SHAPES.items()}
    return Ticket({}, masks, {"init": weights})


def main() -> None:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9, help="rounds that count")
    repeats = parser.parse_args().repeats
    made = ticket()
    with tempfile.TemporaryDirectory() as folder:
        ours, plain = Path(folder, "a.safetensors"), Path(folder, "b.safetensors")
        arrays = {f"init/{key}": np.array(value) for key, value in made.snapshots["init"].items()}
        sides = {
            "save a ticket": lambda: timed(lambda: made.replace().save(ours)),
            "load and verify it": lambda: timed(lambda: Ticket.load(ours)),
            "plain save": lambda: timed(lambda: save_file(arrays, plain)),
            "plain load": lambda: timed(lambda: load_file(plain)),
        }
        facts = summary(interleaved(sides, repeats), against="plain save")
    print(table(facts, against="plain save"))
    goals = {name: {"goal_seconds": 1.0, "met": facts[name]["median"] < 1.0} for name in list(sides)[:2]}
    path = write("ticket_file", {"repeats": repeats, "weights": made.total, "seconds": facts, "goals": goals})
    print(f"written: benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
