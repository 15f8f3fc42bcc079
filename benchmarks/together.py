"""Training together: thirty-two 4-38-38-2 nets in one compiled call against the same trainer one net after another.

Per net and epoch, evaluation on validation data and everything that a training remembers included. Both sides
train the same starts to the same bits, and have compiled before the first round.
"""

import statistics

from _harness import add_jit, interleaved, parser, settings, spread, summary, table, timed, write
from _training import compiled

GOAL = 1.5
APART, TOGETHER = "one by one", "together"


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__, repeats=7)
    made.add_argument("--nets", type=int, default=32)
    made.add_argument("--epochs", type=int, default=40)
    made.add_argument("--model", default="mlp:38-38")
    made.add_argument("--dataset", default="moons-circles")
    made.add_argument("--batch-size", type=int, default=60)
    add_jit(made)
    args = settings(made, repeats=1, nets=2, epochs=2, jit="off")
    dials = {"train": f"{args.epochs}ep", "batch_size": args.batch_size, "jit": args.jit}
    trainer, starts = compiled(args.model, args.dataset, range(args.nets), **dials)

    def apart() -> None:
        for start in starts:
            trainer.train(start.weights, start.masks, seed=start.seed)

    trainings = args.nets * args.epochs
    sides = {APART: lambda: timed(apart), TOGETHER: lambda: timed(lambda: trainer.train_many(starts))}
    measured = interleaved(sides, args.repeats)
    micros = {name: [1e6 * t / trainings for t in times] for name, times in measured.items()}
    facts = summary(micros, against=TOGETHER)
    print(f"{args.nets} nets, {trainer.per_epoch} steps an epoch; microseconds a net and epoch")
    print(table(facts, TOGETHER).replace("median s", "  median"))
    ratio = statistics.median(micros[APART]) / statistics.median(micros[TOGETHER])
    shown = spread(micros[APART], micros[TOGETHER])
    print(f"  {shown} one by one: goal {GOAL}x {'met' if ratio >= GOAL else 'MISSED'}")
    write(
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
        folder=args.results,
    )


if __name__ == "__main__":
    main()
