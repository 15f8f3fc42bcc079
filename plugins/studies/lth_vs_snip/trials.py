"""One row a trained net: how it was found, how fast it learned, how well, and how far its mask is from LTH's."""

from collections.abc import Iterator, Mapping
from typing import Any

from kerastickets.plugin import Results, Row, compare, is_winning, percent, random_overlap
from kerastickets_plugins.studies.lth_vs_snip.jobs import Budget, Run, evaluated, kept, nets, runs


def trials(budget: Budget, results: Results) -> list[Row]:
    """Every trained net. Accuracies are in percent; kept counts are whole nets'."""
    return [row for run in runs(budget) for row in _of(run, results)]


def _of(run: Run, results: Results) -> Iterator[Row]:
    dense = results[run.lth()]["levels"][0]["metrics"]
    for method, pruning, job, level in nets(run, kept(run, results)):
        facts = results[job]["levels"][level]
        metrics = facts["metrics"]
        ticket = job.ticket(f"level-{level:02d}")
        train = results[evaluated(ticket)]["evaluation"]["accuracy"]
        rows = [row for row in results[job]["rows"] if row["level"] == level]
        yield {
            "net": run.net.name,
            "dataset": run.dataset,
            "seed": run.seed,
            "method": method,
            "pruning": pruning,
            "kept": facts["kept"],
            "total": facts["total"],
            "early_stop": metrics["early_stop_iteration"],
            "stopped": metrics["stopped_iteration"],
            "val_accuracy": percent(metrics["val_accuracy"]),
            "test_accuracy": percent(metrics["test_accuracy"]),
            "train_accuracy": percent(train),
            "winning": is_winning(metrics, dense) if pruning else None,
            "layers": {layer["key"]: layer["kept"] for layer in facts["layers"]},
            "curve": [[row["iteration"], percent(row["val_accuracy"])] for row in rows],
            **(_overlap(run, results, pruning, job, level) if "snip" in method else {}),
        }


def _overlap(run: Run, results: Results, pruning: int, job: Any, level: int) -> Row:
    """SNIP's mask beside that of magnitude pruning after as many prunings, and beside chance."""
    lth = results.ticket(run.lth_ticket(pruning)).masks
    other = results.ticket(job.ticket(f"level-{level:02d}")).masks
    compared = compare(lth, other)
    total = compared["total"]
    sizes = [mask.size for mask in lth.values()]
    # Within layers: a mask that is random in each, as dense in each as the two are.
    chance = random_overlap(sizes, *_counts(compared["layers"]), overlap=total["overlap"])
    return {
        "overlap": total["overlap"],
        "difference": total["only_a"],
        "iou": total["iou"],
        "iou_by_chance": chance.iou,
        "z": chance.z,
        "overlap_by_layer": {row["key"]: row["overlap"] for row in compared["layers"]},
    }


def _counts(layers: list[Mapping[str, Any]]) -> tuple[list[int], list[int]]:
    return [row["kept_a"] for row in layers], [row["kept_b"] for row in layers]
