"""Merging ten tickets of 25 million weights: under ten times the time of copying them, and three times their memory.

A copy is one of every mask and weight of all ten into memory that is there already: the strict reading. Copies in new
arrays, all held until the last is made, are timed as well; where new memory is slow they take far longer. Merging
records its tickets' digests: tickets that were loaded or saved know theirs, for others they are worked out first.
"""

import resource
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from _harness import interleaved, parser, settings, summary, table, timed, write

from kerastickets import registry
from kerastickets.tickets.ticket import Ticket

METHODS = ("dtm", "atm")


def ticket(seed: int, rows: int) -> Ticket:
    """Two layers, a fifth of their weights kept, and a bias; 25 million weights with 4000 rows."""
    rng = np.random.default_rng(seed)
    shapes = {"wide/kernel": (rows, rows * 5 // 4), "narrow/kernel": (rows * 5 // 8, rows // 2)}
    weights = {key: rng.standard_normal(shape, dtype="float32") for key, shape in shapes.items()}
    masks = {key: rng.random(shape, dtype="float32") < 0.2 for key, shape in shapes.items()}
    bias = {"narrow/bias": np.zeros(rows // 2, "float32")}
    return Ticket({}, masks, {"init": weights | bias}, {"seed": seed})


def arrays(tickets: list[Ticket]) -> list[np.ndarray]:
    """All masks and weights."""
    return [array for one in tickets for tree in (one.masks, one.weights()) for array in tree.values()]


def size(tickets: list[Ticket]) -> int:
    """Bytes of all arrays."""
    return sum(array.nbytes for array in arrays(tickets))


def copied(tickets: list[Ticket]) -> list[np.ndarray]:
    """Every array of every ticket once more."""
    return [array.copy() for array in arrays(tickets)]


def recopied(tickets: list[Ticket]) -> Callable[[], None]:
    """A function that copies every array into memory that is there."""
    room = [array.copy() for array in arrays(tickets[:1])]  # one ticket's: less is never written to

    def copy() -> None:
        for one in tickets:
            for place, array in zip(room, arrays([one]), strict=True):
                np.copyto(place, array)

    return copy


def sides(tickets: list[Ticket]) -> dict[str, Callable[[], float]]:
    """Copying, and each method with digests known and unknown."""
    for one in tickets:
        one.digest  # noqa: B018 - worked out and remembered
    again = recopied(tickets)
    measured = {"copy": lambda: timed(again), "copy in new arrays": lambda: timed(lambda: copied(tickets))}
    for method in METHODS:
        merge = registry.create("operations", method)
        measured[method] = lambda merge=merge: timed(lambda: merge(*tickets))
        measured[f"{method}, digests unknown"] = lambda merge=merge: timed(
            lambda: merge(*[one.replace() for one in tickets])
        )
    return measured


def peak(method: str, count: int, rows: int) -> float:
    """The most memory of a process that makes `count` tickets and merges them, in units of the tickets' size."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tickets = [ticket(seed, rows) for seed in range(count)]
    registry.create("operations", method)(*tickets)
    unit = 1 if sys.platform == "darwin" else 1024
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / size(tickets)


def peaks(count: int, rows: int) -> dict[str, float]:
    """`peak` of every method, each in a process of its own: a process's peak never falls."""
    found = {}
    for method in METHODS:
        command = [sys.executable, __file__, "--peak", method, "--tickets", str(count), "--rows", str(rows)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[method] = round(float(done.stdout), 3)
    return found


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__, repeats=5)
    made.add_argument("--tickets", type=int, default=10, help="how many to merge")
    made.add_argument("--rows", type=int, default=4000, help="of the larger layer")
    made.add_argument("--peak", choices=METHODS, help="print one method's memory, and nothing else")
    args = settings(made, repeats=1, tickets=3, rows=80)
    if args.peak:
        print(peak(args.peak, args.tickets, args.rows))
        return
    memory = peaks(args.tickets, args.rows)
    tickets = [ticket(seed, args.rows) for seed in range(args.tickets)]
    facts = summary(interleaved(sides(tickets), args.repeats), against="copy")
    print(table(facts, against="copy"))
    print(
        "peak memory / size of the tickets: " + ", ".join(f"{name} {most}" for name, most in memory.items())
    )
    goals = {
        method: {
            "goal_ratio": 10,
            "goal_memory": 3,
            "met": facts[method]["ratio"] < 10 and memory[method] <= 3,
        }
        for method in METHODS
    }
    told = {"tickets": args.tickets, "weights_each": tickets[0].total, "bytes": size(tickets)}
    write(
        "merging",
        {"repeats": args.repeats, **told, "seconds": facts, "peak_memory": memory, "goals": goals},
        packages=("kerastickets", "numpy"),
        folder=args.results,
    )


if __name__ == "__main__":
    main()
