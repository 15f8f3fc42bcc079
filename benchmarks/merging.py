"""Merging ten tickets of 25 million weights: under ten times the time of copying them, and three times their memory.

A copy is one of every mask and weight of all ten into memory that is there already: the strict reading. Copies in new
arrays, all held until the last is made, are timed as well; where new memory is slow they take far longer. Merging
records its tickets' digests: tickets that were loaded or saved know theirs, for others they are worked out first.
"""

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from _harness import interleaved, summary, table, timed, write

from kerastickets import registry
from kerastickets.tickets.ticket import Ticket

TICKETS = 10
SHAPES = {"wide/kernel": (4000, 5000), "narrow/kernel": (2500, 2000)}
METHODS = ("dtm", "atm")


def ticket(seed: int) -> Ticket:
    """25 million weights, a fifth of them kept, and a bias."""
    rng = np.random.default_rng(seed)
    weights = {key: rng.standard_normal(shape, dtype="float32") for key, shape in SHAPES.items()}
    masks = {key: rng.random(shape, dtype="float32") < 0.2 for key, shape in SHAPES.items()}
    return Ticket({}, masks, {"init": weights | {"narrow/bias": np.zeros(2000, "float32")}}, {"seed": seed})


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


def peak(method: str) -> float:
    """The most memory of a process that makes ten tickets and merges them, in units of the tickets' size."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tickets = [ticket(seed) for seed in range(TICKETS)]
    registry.create("operations", method)(*tickets)
    unit = 1 if sys.platform == "darwin" else 1024
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / size(tickets)


def main() -> None:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds that count")
    parser.add_argument("--peak", choices=METHODS, help="print one method's memory, and nothing else")
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak(arguments.peak))
        return
    # Each in a process of its own: a process's peak never falls.
    commands = {method: [sys.executable, __file__, "--peak", method] for method in METHODS}
    memory = {
        method: round(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout), 3)
        for method, command in commands.items()
    }
    tickets = [ticket(seed) for seed in range(TICKETS)]
    facts = summary(interleaved(sides(tickets), arguments.repeats), against="copy")
    print(table(facts, against="copy"))
    print(
        "peak memory / size of the tickets: " + ", ".join(f"{name} {peak}" for name, peak in memory.items())
    )
    goals = {
        method: {
            "goal_ratio": 10,
            "goal_memory": 3,
            "met": facts[method]["ratio"] < 10 and memory[method] <= 3,
        }
        for method in METHODS
    }
    told = {"tickets": TICKETS, "weights_each": tickets[0].total, "bytes": size(tickets)}
    path = write(
        "merging",
        {"repeats": arguments.repeats, **told, "seconds": facts, "peak_memory": memory, "goals": goals},
        packages=("kerastickets", "numpy"),
    )
    print(f"written: benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
