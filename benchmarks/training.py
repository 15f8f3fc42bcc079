"""Training steps per second: kerastickets against PyTorch and JAX, each at its best, interleaved in one run.

Every side trains the same masked net with Adam on data in memory. PyTorch at its best is the fastest of its
variants; default PyTorch is Adam as it comes. Needs the `bench` extra.
"""

import argparse
import statistics

from _harness import summary, table, write

from kerastickets_cli.race.nets import NETS, Net
from kerastickets_cli.race.side import OURS, best_torch, contestants, race

GOALS = {
    "lenet-300-100": {"PyTorch at its best": 1.6, "PyTorch default": 3.0, "JAX": 1.1},
    "mlp-4-38-38-2": {"PyTorch at its best": 5.0, "JAX": 1.0},
    "conv-2": {"PyTorch at its best": 1.3},
}


def contest(net: Net, repeats: int) -> dict[str, object]:
    """Measure all sides of one contest."""
    measured = race(net, contestants(net), repeats)
    best = best_torch(measured)
    if best:
        measured["PyTorch at its best"] = measured[best]
    facts = summary({name: [1e6 * t for t in times] for name, times in measured.items()}, against=OURS)
    print(f"\n{net.name}, batch {net.batch}; microseconds a step (PyTorch at its best: {best})")
    print(table(facts, OURS).replace("median s", "  median"))
    ours = statistics.median(measured[OURS])
    goals = {}
    for name, goal in GOALS[net.name].items():
        if name in measured:
            ratio = statistics.median(measured[name]) / ours
            goals[name] = {"goal": goal, "measured": round(ratio, 2), "met": ratio >= goal}
            print(f"  {ratio:.2f}x {name}: goal {goal}x {'met' if ratio >= goal else 'MISSED'}")
    return {"steps": net.steps, "pytorch_best": best, "microseconds_per_step": facts, "goals": goals}


def main() -> None:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9, help="rounds that count")
    parser.add_argument("--net", choices=sorted(NETS), action="append", help="only these")
    args = parser.parse_args()
    packages = ("kerastickets", "tensorflow", "keras", "torch", "jax", "optax")
    for name in args.net or NETS:
        facts = contest(NETS[name], args.repeats)
        path = write(f"training-{name}", {"repeats": args.repeats, **facts}, packages=packages)
        print(f"written: benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
