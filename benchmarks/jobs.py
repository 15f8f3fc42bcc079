"""`kt prune --seeds 0-1` of LeNet-300-100 in two one-thread processes against one process of all threads.

Whole commands, start of Python and compilation included: what somebody waits for.
"""

import statistics
import sysconfig
import tempfile
from pathlib import Path

from _harness import interleaved, parser, seconds, settings, spread, summary, table, write

GOAL = 1.25
ONE, TWO = "one process", "--jobs 2"


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__, repeats=3)
    made.add_argument("--dataset", default="mnist")
    made.add_argument("--train", default="5ep", help="training of each level")
    made.add_argument("--levels", type=int, default=2)
    args = settings(made, repeats=1, dataset="digits", train="2it", levels=1)
    command = [str(Path(sysconfig.get_path("scripts")) / "kt"), "prune", "--model", "lenet-300-100"]
    command += ["--dataset", args.dataset, "--train", args.train, "--rate", "0.2"]
    command += ["--levels", str(args.levels), "--seeds", "0-1", "--quiet"]

    def run(*extra: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return seconds([*command, "--out", str(Path(folder) / "run"), *extra], TF_CPP_MIN_LOG_LEVEL="3")

    sides = {ONE: lambda: run(), TWO: lambda: run("--jobs", "2")}
    measured = interleaved(sides, args.repeats, warm_up=not args.tiny)
    facts = summary(measured, against=TWO)
    print(table(facts, TWO))
    ratio = statistics.median(measured[ONE]) / statistics.median(measured[TWO])
    shown = spread(measured[ONE], measured[TWO])
    print(f"  {shown} one process: goal {GOAL}x {'met' if ratio >= GOAL else 'MISSED'}")
    goal = {"goal": GOAL, "measured": round(ratio, 2), "met": ratio >= GOAL}
    told = {"dataset": args.dataset, "train": args.train, "levels": args.levels}
    write(
        "jobs",
        {**told, "repeats": args.repeats, "seconds": facts, "goal": goal},
        packages=("kerastickets", "tensorflow", "keras"),
        folder=args.results,
    )


if __name__ == "__main__":
    main()
