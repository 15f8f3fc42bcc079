"""What a ticket weighs and how fast it is when it is shipped: LeNet-300-100 on MNIST, Conv-4 on CIFAR-10.

One run of iterative magnitude pruning by global rank goes down to 1 % of LeNet-300-100; its tickets at 10, 5 and 1 %
are exported in every format that is smaller for zeros, beside the dense twin in the same format. Every export is read
back by another process and compared on the test images. Goals: sparse LiteRT at 5 % within 85 KiB; safetensors at 10
and 5 % within 1.3 times kept * 4 + n / 8 bytes; compacted at 1 % a SavedModel a third of the dense one, and faster at
64 images. Of Conv-4 70 % of the channels of every layer go, and compacted it must be 2.5 times as fast at 64 images.
Times are medians of interleaved rounds in TensorFlow; Conv-4 is trained too shortly for its accuracy to be worth
telling.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _harness import parser, settings, write

import kerastickets as kt
from kerastickets.compaction.compact_model import compact
from kerastickets.exporting.latency import latencies
from kerastickets.exporting.write import dense_twin, export
from kerastickets.models.trained_model import trained_model

LENET = {"levels": 20, "sparsity": 0.99, "scope": "global", "train": "5ep", "l1": 1e-4}
CONV = {"levels": 1, "sparsity": 0.7, "scope": "layer", "granularity": "channel", "train": "200it"}
#: The level of LENET by what it keeps; a run of fewer levels takes its last for those that it lacks.
LEVELS = {"10 %": 10, "5 %": 13, "1 %": 20}
TINY = {"levels": 1, "train": "2it", "jit": "off"}
FORMATS = ("litert:sparse=true", "safetensors", "saved-model")


def lenet(folder: Path, dataset: str, recipe: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Sizes and speed at three densities."""
    run = kt.prune("lenet-300-100", dataset, **recipe)
    levels = {density: min(level, len(run.tickets) - 1) for density, level in LEVELS.items()}
    rows = {level: sized(folder, run.tickets[level], level, seconds) for level in sorted({*levels.values()})}
    found: dict[str, Any] = {density: rows[level] for density, level in levels.items()}
    found["test_accuracy"] = {
        "dense": run.levels[0].test_accuracy,
        **{density: run.levels[level].test_accuracy for density, level in levels.items()},
    }
    return found


def sized(folder: Path, ticket: kt.Ticket, level: int, seconds: float) -> dict[str, Any]:
    """Size in every format, compacted and not, and the speed of one ticket."""
    row: dict[str, Any] = {"kept": ticket.kept, "weights": ticket.total}
    for spec in FORMATS:
        for smaller in (False, True):
            path = folder / f"{spec.partition(':')[0]}-{level}-{smaller}{suffix(spec)}"
            facts = export(ticket, spec, path, compact=smaller, latency=False).facts()
            row[f"{spec}, compacted" if smaller else spec] = {
                name: facts[name]
                for name in (
                    *("bytes", "bytes_dense", "bytes_gzip", "bytes_limit"),
                    *("max_abs_difference", "accuracy_before", "accuracy_after"),
                )
            }
    row["speed"] = speed(ticket, seconds)
    return row


def conv(dataset: str, recipe: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """The speed of Conv-4 without most of its channels."""
    ticket = kt.prune("conv-4", dataset, **recipe).tickets[-1]
    return {"kept": ticket.kept, "weights": ticket.total, "speed": speed(ticket, seconds)}


def suffix(spec: str) -> str:
    """How an export's name ends."""
    return str(kt.registry.create("exporters", spec).suffix)


def speed(ticket: kt.Ticket, seconds: float) -> dict[str, Any]:
    """Dense, masked and compacted, in one run."""
    masked = trained_model(ticket)
    smaller = compact(masked)
    nets = {"dense": trained_model(dense_twin(ticket)), "masked": masked, "compacted": smaller.model}
    measured = latencies(nets, masked.input_shape[1:], seconds=seconds)
    ratios = {
        batch: round(measured["dense"][batch]["p50"] / measured["compacted"][batch]["p50"], 2)
        for batch in measured["dense"]
    }
    return {
        "milliseconds": measured,
        "dense / compacted": ratios,
        "layers": smaller.facts["layers"],
        "multiply_adds": smaller.facts["multiply_adds"],
    }


def goals(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every goal beside what was measured."""
    lenet, conv = found["lenet"], found["conv-4"]

    def goal(value: float, most: float | None = None, least: float | None = None) -> dict[str, Any]:
        wanted = {"at most": most} if most is not None else {"at least": least}
        met = value <= most if most is not None else value >= (least or 0)
        return {"measured": round(value, 3), **wanted, "met": met}

    def stored(density: str) -> float:
        row = lenet[density]
        return float(row["safetensors"]["bytes"] / (row["kept"] * 4 + row["weights"] / 8))

    small = lenet["1 %"]["saved-model, compacted"]
    return {
        "KiB of sparse LiteRT at 5 %": goal(lenet["5 %"]["litert:sparse=true"]["bytes"] / 1024, most=85),
        "safetensors at 10 %, of kept * 4 + n / 8": goal(stored("10 %"), most=1.3),
        "safetensors at 5 %, of kept * 4 + n / 8": goal(stored("5 %"), most=1.3),
        "SavedModel at 1 %, dense / compacted bytes": goal(small["bytes_dense"] / small["bytes"], least=3),
        "LeNet at 1 %, dense / compacted time at 64": goal(
            lenet["1 %"]["speed"]["dense / compacted"]["64"], least=1
        ),
        "Conv-4 without 70 % of its channels, dense / compacted time at 64": goal(
            conv["speed"]["dense / compacted"]["64"], least=2.5
        ),
    }


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=10.0, help="how long to time a batch size")
    made.add_argument("--dataset", default="mnist", help="of LeNet-300-100")
    made.add_argument("--images", default="cifar10", help="the data set of Conv-4")
    args = settings(made, seconds=0.1, dataset="digits", images="digits")
    small = TINY if args.tiny else {}
    recipe: dict[str, Any] = {"lenet": LENET | small, "conv-4": CONV | small}
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {
            "lenet": lenet(Path(folder), args.dataset, recipe["lenet"], args.seconds),
            "conv-4": conv(args.images, recipe["conv-4"], args.seconds),
        }
    reached = goals(found)
    width = max(map(len, reached))
    for name, row in reached.items():
        measured, (kind, wanted), met = row["measured"], list(row.items())[1], row["met"]
        print(f"{name:{width}}  {measured:9.3f}  {kind} {wanted:<5}  {'met' if met else 'missed'}")
    recipe["seconds_of_all"] = round(time.perf_counter() - begin)
    packages = ("kerastickets", "tensorflow", "keras", "numpy", "ai-edge-litert")
    write("export", {"recipe": recipe, **found, "goals": reached}, packages, folder=args.results)


if __name__ == "__main__":
    main()
