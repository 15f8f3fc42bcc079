"""Training together: thirty-two 4-38-38-2 nets in one compiled call against the same trainer one net after another.

Per net and epoch, evaluation on validation data and everything that a training remembers included. Both sides
train the same starts to the same bits, and have compiled before the first round.
"""

import argparse
import statistics

from _harness import interleaved, summary, table, timed, write

from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.loop import Loop
from kerastickets.training.session import Start

GOAL = 1.5
APART, TOGETHER = "one by one", "together"


def main() -> None:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=7, help="rounds that count")
    parser.add_argument("--model", default="mlp:38-38")
    parser.add_argument("--dataset", default="moons-circles")
    parser.add_argument("--batch-size", type=int, default=60)
    args = parser.parse_args()
    dials = {"levels": 1, "rate": 0.2, "train": f"{args.epochs}ep", "batch_size": args.batch_size}
    loops = [
        Loop(PruneJob.of(args.model, args.dataset, seed=seed, dials=dials))  # type: ignore[arg-type]
        for seed in range(args.nets)
    ]
    trainer = loops[0].trainer
    starts = [Start(loop.init, loop.masks, seed) for seed, loop in enumerate(loops)]

    def apart() -> None:
        for start in starts:
            trainer.train(start.weights, start.masks, seed=start.seed)

    trainings = args.nets * args.epochs
    sides = {APART: apart, TOGETHER: lambda: trainer.train_many(starts)}
    measured = interleaved(
        {name: lambda side=side: timed(side) for name, side in sides.items()}, args.repeats
    )  # type: ignore[misc]
    micros = {name: [1e6 * t / trainings for t in times] for name, times in measured.items()}
    facts = summary(micros, against=TOGETHER)
    print(f"{args.nets} nets, {trainer.per_epoch} steps an epoch; microseconds a net and epoch")
    print(table(facts, TOGETHER).replace("median s", "  median"))
    ratio = statistics.median(micros[APART]) / statistics.median(micros[TOGETHER])
    print(f"  {ratio:.2f}x one by one: goal {GOAL}x {'met' if ratio >= GOAL else 'MISSED'}")
    path = write(
        "together",
        {
            "nets": args.nets,
            "epochs": args.epochs,
            "steps_per_epoch": trainer.per_epoch,
            "repeats": args.repeats,
            "microseconds_per_net_and_epoch": facts,
            "goal": {"goal": GOAL, "measured": round(ratio, 2), "met": ratio >= GOAL},
        },
        packages=("kerastickets", "tensorflow", "keras"),
    )
    print(f"written: benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
