"""`kt prune --seeds 0-1` of LeNet-300-100 in two one-thread processes against one process of all threads.

Whole commands, start of Python and compilation included: what somebody waits for.
"""

import argparse
import statistics
import sysconfig
import tempfile
from pathlib import Path

from _harness import interleaved, seconds, summary, table, write

GOAL = 1.25
ONE, TWO = "one process", "--jobs 2"


def main() -> None:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--train", default="5ep", help="training of each level")
    parser.add_argument("--levels", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="rounds that count")
    args = parser.parse_args()
    command = [str(Path(sysconfig.get_path("scripts")) / "kt"), "prune", "--model", "lenet-300-100"]
    command += ["--dataset", args.dataset, "--train", args.train, "--rate", "0.2"]
    command += ["--levels", str(args.levels), "--seeds", "0-1", "--quiet"]

    def run(*extra: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return seconds([*command, "--out", str(Path(folder) / "run"), *extra], TF_CPP_MIN_LOG_LEVEL="3")

    measured = interleaved({ONE: lambda: run(), TWO: lambda: run("--jobs", "2")}, args.repeats)
    facts = summary(measured, against=TWO)
    print(table(facts, TWO))
    ratio = statistics.median(measured[ONE]) / statistics.median(measured[TWO])
    print(f"  {ratio:.2f}x one process: goal {GOAL}x {'met' if ratio >= GOAL else 'MISSED'}")
    goal = {"goal": GOAL, "measured": round(ratio, 2), "met": ratio >= GOAL}
    settings = {"dataset": args.dataset, "train": args.train, "levels": args.levels}
    path = write(
        "jobs",
        {**settings, "repeats": args.repeats, "seconds": facts, "goal": goal},
        packages=("kerastickets", "tensorflow", "keras"),
    )
    print(f"written: benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
