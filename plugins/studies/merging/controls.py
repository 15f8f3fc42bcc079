"""What the paper asks for and did not run: controls of equal density, merging up to dense nets, and calibration."""

from collections.abc import Iterator, Sequence
from typing import Any

from kerastickets.plugin import Column, Table, contrast, contrast_columns, corrected, summary
from kerastickets_plugins.studies.merging.jobs import Budget, swept, tabled
from kerastickets_plugins.studies.merging.rows import Row, of, pick

_DATASET = Column("dataset", "Data set")
_COUNT = Column("count", "Tickets")
_DENSITY = Column("density", "Density", ".2%")
_METHOD = Column("method", "Method")


def controls(budget: Budget, trials: Sequence[Row]) -> Table:
    """Merged tickets against single tickets and random masks of equal density, by paired tests."""
    rows = []
    for dataset in budget.datasets:
        for method in ("dtm", "atm"):
            own = of(trials, [m for m in tabled(budget, dataset) if m.method == method])
            for control in ("single", "random"):
                rows.append({"dataset": dataset, "method": method.upper(), **_tested(own, control)})
    columns = (
        _DATASET,
        _METHOD,
        Column("control", "Against"),
        Column("trials", "Pairs"),
        Column("merged", "Merged (%)", ".2f"),
        Column("other", "Control (%)", ".2f"),
        *contrast_columns("+.2f"),
        Column("units", "First tickets"),
        Column("p_units", "p over first tickets", ".2g"),
    )
    note = (
        "Test accuracy at the best validation. A merge is paired with single tickets of equal density from its own "
        "parents' runs (averaging: of the nearest level, mean over the parents), and with a random mask of as many "
        "weights in each layer on the first parent's initial weights; all in one data order. Merges share tickets, so "
        "their pairs are not independent and p is too small: p over first tickets tests the means of the merges that "
        "have the same first ticket, which are fewer. Holm corrects p over the rows of this table."
    )
    return Table(
        "controls", "Merged tickets against controls of equal density", columns, corrected(rows), note
    )


def _tested(own: Sequence[Row], control: str) -> dict[str, Any]:
    merged = [row["test_accuracy"] for row in own]
    other = [row[f"{control}_accuracy"] for row in own]
    first = [row["tickets"].split("-")[0] for row in own]
    units = [[_mean(values, first, one) for one in sorted({*first})] for values in (merged, other)]
    return {
        "control": {"single": "single tickets", "random": "random masks"}[control],
        "trials": len(own),
        "merged": summary(merged).mean,
        "other": summary(other).mean,
        "units": len(units[0]),
        "p_units": contrast(*units).get("p"),
        **contrast(merged, other),
    }


def _mean(values: Sequence[float], first: Sequence[str], one: str) -> float:
    own = [value for value, name in zip(values, first, strict=True) if name == one]
    return sum(own) / len(own)


def sweep(budget: Budget, trials: Sequence[Row]) -> Table:
    """From two tickets to all, up to a nearly dense net."""
    rows = []
    for dataset in budget.datasets:
        for merge in swept(budget, dataset):
            (row,) = of(trials, [merge])
            rows.append({**row, "method": merge.method.upper()})
    columns = (
        _DATASET,
        _METHOD,
        Column("level", "Tickets of level"),
        _COUNT,
        _DENSITY,
        Column("test_accuracy", "Merged (%)", ".2f"),
        Column("single_density", "Single: density", ".2%"),
        Column("single_accuracy", "Single (%)", ".2f"),
        Column("c", "C", ".3f"),
        Column("ece", "ECE (%)", ".2f"),
    )
    note = (
        "The first two, three, ... tickets; beside them single ones of the nearest density. One trial each."
    )
    return Table("sweep", "From two tickets to all", columns, tuple(rows), note)


def calibration(budget: Budget, trials: Sequence[Row]) -> Table:
    """How far confidence is from accuracy."""
    rows = [row for dataset in budget.datasets for row in _calibrated(budget, trials, dataset)]
    columns = (
        _DATASET,
        Column("net", "Net"),
        _DENSITY,
        Column("trials", "Trials"),
        Column("accuracy", "Test accuracy (%)", ".2f"),
        Column("confidence", "Mean confidence (%)", ".2f"),
        Column("ece_mean", "ECE (%)", ".2f"),
        Column("ece_sd", "sd", ".2f"),
    )
    note = (
        "On test data, with the last weights. ECE is the expected calibration error over 15 bins of confidence (C. Guo "
        "et al., On Calibration of Modern Neural Networks)."
    )
    return Table("calibration", "Calibration of single and merged tickets", columns, tuple(rows), note)


def _calibrated(budget: Budget, trials: Sequence[Row], dataset: str) -> Iterator[dict[str, Any]]:
    def groups() -> Iterator[tuple[str, list[Row]]]:
        for level in budget.shown:
            own = [
                r for r in pick(trials, dataset=dataset, kind="single", level=level) if r["ece"] is not None
            ]
            yield f"single, level {level}", own
        for method in ("dtm", "atm"):
            merges = [m for m in tabled(budget, dataset) if m.method == method]
            for count in sorted({len(m.tickets) for m in merges}):
                own = of(trials, [m for m in merges if len(m.tickets) == count])
                yield f"{method.upper()} of {count}", own
                names = {row["name"] for row in own}
                yield (
                    f"random mask as {method.upper()} of {count}",
                    [r for r in pick(trials, dataset=dataset, kind="random") if r["name"] in names],
                )

    for net, own in groups():
        ece = summary([row["ece"] for row in own])
        columns = ("density", "last_test_accuracy", "confidence")
        density, accuracy, confidence = (summary([row[key] for row in own]).mean for key in columns)
        yield {
            "dataset": dataset,
            "net": net,
            "trials": len(own),
            "density": density,
            "accuracy": accuracy,
            "confidence": confidence,
            "ece_mean": ece.mean,
            "ece_sd": ece.sd,
        }


def small_dense(budget: Budget, trials: Sequence[Row]) -> Table:
    """Merged tickets against narrower dense nets of equal size."""
    rows = []
    for dataset in budget.datasets:
        for row in pick(trials, dataset=dataset, kind="small-dense"):
            (merged,) = pick(trials, dataset=dataset, kind="atm", name=row["name"])
            rows.append(
                {
                    "dataset": dataset,
                    "count": row["count"],
                    "kept": merged["kept"],
                    "dense": row["kept"],
                    "merged": merged["test_accuracy"],
                    "random": merged["random_accuracy"],
                    "small": row["test_accuracy"],
                }
            )
    columns = (
        _DATASET,
        _COUNT,
        Column("kept", "Weights of the merged ticket", ","),
        Column("dense", "Weights of the dense net", ","),
        Column("merged", "Merged (%)", ".2f"),
        Column("random", "Random mask (%)", ".2f"),
        Column("small", "Small dense net (%)", ".2f"),
    )
    title = "Merged tickets against narrower dense nets of equal size"
    return Table("small-dense", title, columns, tuple(rows), "Merged by averaging. One trial each.")
