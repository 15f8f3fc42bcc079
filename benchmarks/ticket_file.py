"""Saving a ticket of 25 million weights, and loading it with its digest checked: each under a second.

For scale, the same arrays by plain safetensors, without digest or fsync.
"""

import tempfile
from pathlib import Path

import numpy as np
from _harness import interleaved, parser, settings, summary, table, timed, write
from safetensors.numpy import load_file, save_file

from kerastickets.tickets.ticket import Ticket


def ticket(rows: int) -> Ticket:
    """Four square layers, a fifth of their weights kept, one snapshot."""
    rng = np.random.default_rng(0)
    shapes = {f"dense_{n}/kernel": (rows, rows) for n in range(4)}
    weights = {key: rng.normal(size=shape).astype("float32") for key, shape in shapes.items()}
    masks = {key: rng.random(shape) < 0.2 for key, shape in shapes.items()}
    return Ticket({}, masks, {"init": weights})


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__, repeats=9)
    made.add_argument("--rows", type=int, default=2500, help="of each of the four square layers")
    args = settings(made, repeats=1, rows=50)
    one = ticket(args.rows)
    with tempfile.TemporaryDirectory() as folder:
        ours, plain = Path(folder, "a.safetensors"), Path(folder, "b.safetensors")
        arrays = {f"init/{key}": np.array(value) for key, value in one.snapshots["init"].items()}
        sides = {
            "save a ticket": lambda: timed(lambda: one.replace().save(ours)),
            "load and verify it": lambda: timed(lambda: Ticket.load(ours)),
            "plain save": lambda: timed(lambda: save_file(arrays, plain)),
            "plain load": lambda: timed(lambda: load_file(plain)),
        }
        facts = summary(interleaved(sides, args.repeats), against="plain save")
    print(table(facts, against="plain save"))
    goals = {name: {"goal_seconds": 1.0, "met": facts[name]["median"] < 1.0} for name in list(sides)[:2]}
    told = {"repeats": args.repeats, "weights": one.total, "seconds": facts, "goals": goals}
    write("ticket_file", told, folder=args.results)


if __name__ == "__main__":
    main()
