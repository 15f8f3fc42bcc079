"""Training steps per second: kerastickets against PyTorch and JAX, each at its best, interleaved in one run.

Every side trains the same masked net with Adam on data in memory. PyTorch at its best is the fastest of its
variants; default PyTorch is Adam as it comes. Needs the `bench` extra.
"""

import statistics
from collections.abc import Collection
from dataclasses import replace

from _harness import installed, parser, settings, spread, summary, table, write

from kerastickets_cli.race.nets import NETS, Net
from kerastickets_cli.race.side import OURS, SIDES, best_torch, contestants, race

GOALS = {
    "lenet-300-100": {"PyTorch at its best": 1.6, "PyTorch default": 3.0, "JAX": 1.1},
    "mlp-4-38-38-2": {"PyTorch at its best": 5.0, "JAX": 1.0},
    "conv-2": {"PyTorch at its best": 1.3},
}


def contest(net: Net, repeats: int, wanted: Collection[str]) -> dict[str, object]:
    """Measure all sides of one contest that are wanted and can run here."""
    measured = race(net, [name for name in contestants(net) if name in wanted], repeats)
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
            shown = spread(measured[name], measured[OURS])
            print(f"  {shown} {name}: goal {goal}x {'met' if ratio >= goal else 'MISSED'}")
    return {"steps": net.steps, "pytorch_best": best, "microseconds_per_step": facts, "goals": goals}


def main() -> None:
    """Measure, print, and write the result files."""
    made = parser(__doc__, repeats=9)
    made.add_argument("--net", choices=sorted(NETS), action="append", help="only these")
    made.add_argument("--side", choices=SIDES, action="append", help="only these, and kerastickets")
    made.add_argument("--steps", type=int, help="of one measurement; each net's own")
    few = [OURS, "JAX", "PyTorch default"]
    args = settings(made, repeats=1, net=["mlp-4-38-38-2"], side=few, steps=20)
    for peer, package in (("PyTorch", "torch"), ("JAX with optax", "optax")):
        installed(peer, package)
    packages = ("kerastickets", "tensorflow", "keras", "torch", "jax", "optax")
    for name in args.net or NETS:
        net = NETS[name] if args.steps is None else replace(NETS[name], steps=args.steps)
        facts = contest(net, args.repeats, [OURS, *(args.side or SIDES)])
        write(f"training-{name}", {"repeats": args.repeats, **facts}, packages=packages, folder=args.results)


if __name__ == "__main__":
    main()
