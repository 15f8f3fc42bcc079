"""Structure and separation of a (1568, 784, 392, 20) net, 1.5 million weights: dense under 0.3 s, at 2 % under 20 ms.

Beside it the same facts by networkx: a graph of every kept weight, built in the quickest way there is, and for every
neuron its ancestors and descendants. At least 200 times its speed is the goal. What networkx takes grows with the paths
and not with the net, so it is timed at 2 %, 10 % and 30 %; of the dense net it takes minutes. Memory is the most that
Python allocates meanwhile, NumPy's arrays included, beside the ticket itself: under 5 bytes a weight.
"""

import math
import statistics
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
from _harness import interleaved, parser, settings, summary, table, timed, write
from scipy.sparse import bmat

from kerastickets import Data, Task
from kerastickets.structure.reachability import Structure
from kerastickets.structure.task_separation import separation
from kerastickets.tickets.ticket import Ticket

Sizes = tuple[int, ...]
Measured = Mapping[str, Sequence[float]]

SIZES: Sizes = (1568, 784, 392, 20)
GOALS = {"dense": 0.3, "2 %": 0.02}
BESIDE = {"2 %": 0.02, "10 %": 0.1, "30 %": 0.3}  # the densities that networkx is timed at


def ticket(density: float, sizes: Sizes) -> Ticket:
    """Random masks of one density; the weights are worth nothing here."""
    rng = np.random.default_rng(0)
    names = ["dense", "dense_1", "dense_2"]
    shapes = dict(zip(names, pairwise(sizes), strict=True))
    masks = {f"{name}/kernel": rng.random(shape) < density for name, shape in shapes.items()}
    weights = {key: np.ones(mask.shape, "float32") for key, mask in masks.items()}
    layers = [{"class_name": "InputLayer", "config": {"batch_shape": [None, sizes[0]], "name": "input"}}]
    layers += [{"class_name": "Dense", "config": {"name": name, "activation": "relu"}} for name in names]
    return Ticket({"class_name": "Sequential", "config": {"layers": layers}}, masks, {"init": weights})


def tasks(sizes: Sizes) -> Data:
    """Two tasks, as mnist-fashion has them: left and right half of the pixels, half of the outputs each."""
    side, outputs = math.isqrt(sizes[0] // 2), sizes[-1] // 2
    x, y = np.zeros((1, side, 2 * side)), np.zeros((1, sizes[-1]))
    pixels = np.arange(sizes[0]).reshape(side, 2 * side)
    halves = {"left": pixels[:, :side], "right": pixels[:, side:]}
    named = {
        name: Task(tuple(part.ravel().tolist()), tuple(range(outputs * n, outputs * (n + 1))), "mse")
        for n, (name, part) in enumerate(halves.items())
    }
    return Data("halves", (x, y), (x, y), (x, y), "mse", (), classes=None, tasks=named)


def ours(one: Ticket, data: Data) -> tuple[dict[str, int], int]:
    """Categories of all weights, and how many subnetworks there are; everything else that is told as well."""
    structure = Structure.of(one)
    return structure.facts()["totals"], separation(structure, data, "outputs")["subnetworks"]


def theirs(one: Ticket) -> tuple[dict[str, int], int]:
    """The same categories and subnetworks by networkx: ancestors and descendants of every neuron."""
    kernels = list(one.masks.values())
    sizes = [len(kernel) for kernel in kernels] + [kernels[-1].shape[1]]
    blocks = [[None] * len(sizes) for _ in sizes]
    for n, kernel in enumerate(kernels):
        blocks[n][n + 1] = kernel
    blocks[-1][0] = np.zeros((sizes[-1], sizes[0]), bool)
    graph = nx.from_scipy_sparse_array(bmat(blocks, "csr"), create_using=nx.DiGraph)
    first, last = set(range(sizes[0])), set(range(sum(sizes[:-1]), sum(sizes)))
    fed = {node for node in graph if node in first or not first.isdisjoint(nx.ancestors(graph, node))}
    needed = {node for node in graph if node in last or not last.isdisjoint(nx.descendants(graph, node))}
    totals = {"active": 0, "inactive": 0, "zombie": 0}
    for source, target in graph.edges:
        totals["inactive" if target not in needed else "active" if source in fed else "zombie"] += 1
    totals["pruned"] = one.total - one.kept
    parts = nx.number_connected_components(graph.subgraph(fed & needed).to_undirected(as_view=True))
    return totals, parts


def peak(action: Callable[[], object]) -> int:
    """The most bytes that were allocated at once during one call."""
    tracemalloc.start()
    action()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def judged(measured: Measured, memory: Mapping[str, float], times: Mapping[str, float]) -> dict[str, Any]:
    """Every goal, and whether it is met."""
    goals: dict[str, Any] = {
        name: {
            "goal_seconds": goal,
            "goal_bytes_per_weight": 5,
            "met": statistics.median(measured[name]) < goal and memory[name] < 5,
        }
        for name, goal in GOALS.items()
    }
    slow = {f"networkx, {name}": {"goal_ratio": 200, "met": ratio >= 200} for name, ratio in times.items()}
    return goals | slow


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__, repeats=9)
    made.add_argument("--rounds", type=int, default=2, help="rounds of networkx that count")
    made.add_argument("--sizes", type=int, nargs=4, default=SIZES, help="units of each layer")
    args = settings(made, repeats=1, rounds=1, sizes=(128, 64, 32, 4))
    sizes = tuple(args.sizes)
    data, nets = tasks(sizes), {"dense": ticket(1.0, sizes)}
    nets |= {name: ticket(density, sizes) for name, density in BESIDE.items()}
    if any(ours(nets[name], data) != theirs(nets[name]) for name in ("2 %", "10 %")):
        raise SystemExit("The two sides disagree.")
    sides = {name: lambda one=one: timed(lambda: ours(one, data)) for name, one in nets.items()}
    slow = {f"networkx, {name}": lambda one=nets[name]: timed(lambda: theirs(one)) for name in BESIDE}
    measured = interleaved(sides, args.repeats) | interleaved(slow, args.rounds)
    facts = summary(measured, against="2 %")
    print(table(facts, against="2 %"))
    middle = {name: statistics.median(seconds) for name, seconds in measured.items()}
    times = {name: round(middle[f"networkx, {name}"] / middle[name]) for name in BESIDE}
    print("networkx / ours: " + ", ".join(f"{name} {ratio}" for name, ratio in times.items()))
    memory = {name: round(peak(lambda one=one: ours(one, data)) / one.total, 3) for name, one in nets.items()}
    print("peak bytes / weight: " + ", ".join(f"{name} {bytes_}" for name, bytes_ in memory.items()))
    told = {"sizes": sizes, "weights": nets["dense"].total, "kept": nets["2 %"].kept}
    repeats = {"repeats": args.repeats, "rounds_of_networkx": args.rounds}
    found = {"seconds": facts, "times_as_fast": times, "bytes_per_weight": memory}
    write(
        "structure",
        {**repeats, **told, **found, "goals": judged(measured, memory, times)},
        packages=("kerastickets", "numpy", "scipy", "networkx"),
        folder=args.results,
    )


if __name__ == "__main__":
    main()
