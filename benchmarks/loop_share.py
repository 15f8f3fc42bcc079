"""The pruning loop's own share of an IMP run (scoring, cutting, rewinding, saving): under 2 % of it.

LeNet-300-100 on MNIST, 5 levels of 5 epochs with evaluation each epoch, as `kt prune` runs it; TFDS's prepared MNIST is
read from `TFDS_DATA_DIR`. What is neither training nor evaluation, start and compilation apart, is the loop's.
"""

import argparse
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _harness import write

from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.loop import Loop
from kerastickets.pruning.several_runs import Errand, run_abreast


def main() -> None:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="mnist", help="what to train on")
    dataset = parser.parse_args().dataset
    job = PruneJob.of("lenet-300-100", dataset, dials={"levels": 5, "train": "5ep"})
    loop = Loop(job)
    ends: list[float] = []
    trained: list[float] = []
    inner = loop.trainer.try_many

    def measured(*args: object, **kwargs: object) -> object:
        started = time.perf_counter()
        outcome = inner(*args, **kwargs)
        trained.append(time.perf_counter() - started)
        return outcome

    loop.trainer.try_many = measured
    with tempfile.TemporaryDirectory() as folder:
        run_abreast([Errand(loop, folder, on_level_end=lambda level: ends.append(time.perf_counter()))])
    # Level 0 compiles; the loop's work is between the end of one level and the end of the next.
    whole = ends[-1] - ends[0]
    share = 1 - sum(trained[1:]) / whole
    print(
        f"{whole:.2f} s for 5 levels, of which the loop's own {whole - sum(trained[1:]):.3f} s: {share:.2%}"
    )
    facts = {
        "seconds": whole,
        "training_seconds": sum(trained[1:]),
        "share": share,
        "goal": 0.02,
        "met": share < 0.02,
    }
    path = write(
        "loop_share", {"dataset": dataset, **facts}, packages=("kerastickets", "tensorflow", "keras")
    )
    print(f"written: benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
