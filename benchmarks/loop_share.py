"""The pruning loop's own share of an IMP run (scoring, cutting, rewinding, saving): under 2 % of it.

LeNet-300-100 on MNIST, 5 levels of 5 epochs with evaluation each epoch, as `kt prune` runs it; TFDS's prepared MNIST is
read from `TFDS_DATA_DIR`. What is neither training nor evaluation, start and compilation apart, is the loop's.
"""

import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from _harness import add_jit, parser, settings, write
from _training import around_training

import kerastickets as kt


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__)
    made.add_argument("--dataset", default="mnist", help="what to train on")
    made.add_argument("--levels", type=int, default=5, help="how often to prune")
    made.add_argument("--train", default="5ep", help="training of each level")
    add_jit(made)
    args = settings(made, dataset="digits", levels=1, train="1ep", jit="off")
    ends: list[float] = []
    trained: list[float] = []

    def timed(trainer: Any, starts: Any, train: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        outcome = train()
        trained.append(time.perf_counter() - started)
        return outcome

    with tempfile.TemporaryDirectory() as folder, around_training(timed):
        kt.prune(
            "lenet-300-100",
            args.dataset,
            levels=args.levels,
            train=args.train,
            jit=args.jit,
            out=folder,
            on_level_end=lambda level: ends.append(time.perf_counter()),
        )
    if not len(trained) == len(ends) == args.levels + 1:
        raise SystemExit(
            f"Each of {args.levels + 1} levels must train once. Received: {len(ends)} levels, "
            f"{len(trained)} trainings through `Trainer.try_many`."
        )
    # Level 0 compiles; the loop's work is between the end of one level and the end of the next.
    whole, training = ends[-1] - ends[0], sum(trained[1:])
    share = 1 - training / whole
    spans = [end - start for start, end in pairwise(ends)]
    by_level = [1 - part / span for part, span in zip(trained[1:], spans, strict=True)]
    print(
        f"{whole:.2f} s for {args.levels} levels, of which the loop's own {whole - training:.3f} s: {share:.2%} "
        f"({min(by_level):.2%} to {max(by_level):.2%} by level)"
    )
    facts = {
        "seconds": whole,
        "training_seconds": training,
        "share": share,
        "goal": 0.02,
        "met": share < 0.02,
    }
    write(
        "loop_share",
        {"dataset": args.dataset, **facts},
        packages=("kerastickets", "tensorflow", "keras"),
        folder=args.results,
    )


if __name__ == "__main__":
    main()
