"""Criteria beside each other: accuracy by density and by what finding the mask took, on any model and data.

Every net of a seed starts from the same initial weights, sees the same batches and keeps as many weights as the others
of its sparsity. A criterion that trains between its prunings gets as many levels as prune 20 % each, or what it asks
for itself.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kerastickets import registry
from kerastickets.plugin import (
    TOLERANCE,
    Chart,
    Column,
    Job,
    Results,
    Series,
    Table,
    is_winning,
    percent,
    summary,
)

Row = Mapping[str, Any]

TITLE = "Criteria compared"
PAPER = ""


@dataclass(frozen=True)
class Budget:
    """The study's dials.

    Args:
        criteria: criteria, as `NAME` or `NAME:option=value`.
        sparsities: shares of all prunable weights that are pruned, each in (0, 1).
        seeds: how many seeds; 0, 1, ...
        model: the architecture.
        dataset: what it is trained on.
        train: length of every training.
        train_size: how many training examples tickets are found on and trained with, or which share; none is all.
        patience: evaluations without improvement before training stops; none never stops early.
    """

    criteria: tuple[str, ...] = ("magnitude", "snip", "iterative-snip", "random")
    sparsities: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95)
    seeds: int = 3
    model: str = "lenet-300-100"
    dataset: str = "digits"
    train: str = "20ep"
    train_size: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if not self.criteria or len({*self.criteria}) < len(self.criteria):
            raise ValueError(f"`criteria` must be different criteria. Received: {self.criteria}")
        if not self.sparsities or not all(0 < sparsity < 1 for sparsity in self.sparsities):
            raise ValueError(f"`sparsities` must be in (0, 1). Received: {self.sparsities}")
        if self.seeds < 1:
            raise ValueError(f"`seeds` must be at least 1. Received: seeds={self.seeds}")


BUDGETS: Mapping[str, Budget] = MappingProxyType(
    {
        "default": Budget(),
        "smoke": Budget(sparsities=(0.5, 0.9), seeds=2, train="6ep"),
        "cpu": Budget(dataset="mnist"),
    }
)


def found(budget: Budget, criterion: str, sparsity: float, seed: int) -> Job:
    """A ticket of this sparsity, found by this criterion."""
    defaults = getattr(registry.create("criteria", criterion), "defaults", {})
    trains = defaults.get("between", "train") == "train"
    levels = (
        max(1, math.ceil(math.log(1 - sparsity) / math.log(0.8))) if trains else defaults.get("levels", 1)
    )
    # Counts are the same whatever the scope; which weights they are is the criterion's own way.
    dials = _dials(budget) | {"sparsity": sparsity, "levels": levels}
    return _prune(budget, criterion, seed, dials, cost=levels + 1.0 if trains else 1.0)


def dense(budget: Budget, seed: int) -> Job:
    """The dense net, in level 0."""
    return _prune(budget, "magnitude", seed, _dials(budget) | {"levels": 1, "sparsity": 0.5}, cost=2.0)


def _prune(budget: Budget, criterion: str, seed: int, dials: Mapping[str, Any], cost: float) -> Job:
    options = {
        "model": budget.model,
        "dataset": budget.dataset,
        "criterion": criterion,
        "seed": seed,
        "dials": dict(dials),
    }
    return Job("prune", options, cost=cost)


def _dials(budget: Budget) -> dict[str, Any]:
    dials = {"train": budget.train, "train_size": budget.train_size, "patience": budget.patience}
    return {name: value for name, value in dials.items() if value is not None}


def jobs(budget: Budget, results: Results) -> Iterable[Job]:
    """Every job; none depends on what came out."""
    for seed in range(budget.seeds):
        yield dense(budget, seed)
        for criterion in budget.criteria:
            yield from (found(budget, criterion, sparsity, seed) for sparsity in budget.sparsities)


def trials(budget: Budget, results: Results) -> list[Row]:
    """One row a trained ticket, and one a dense net. Accuracies are in percent."""
    return [row for seed in range(budget.seeds) for row in _of(budget, seed, results)]


def _of(budget: Budget, seed: int, results: Results) -> Iterator[Row]:
    whole = results[dense(budget, seed)]["levels"][0]
    yield _row("dense", 0.0, seed, [whole], whole, 0)
    for criterion in budget.criteria:
        batches = getattr(registry.create("criteria", criterion), "batches", 0)
        for sparsity in budget.sparsities:
            levels = results[found(budget, criterion, sparsity, seed)]["levels"]
            yield _row(criterion, sparsity, seed, levels, whole, batches)


def _row(criterion: str, sparsity: float, seed: int, levels: Sequence[Row], whole: Row, batches: int) -> Row:
    last = levels[-1]
    before = [level["stopped_iteration"] or 0 for level in levels[:-1]]
    return {
        "criterion": criterion,
        "sparsity": sparsity,
        "seed": seed,
        "kept": last["kept"],
        "density": last["density"],
        # A batch scored is a pass like a training step: forward and backward.
        "passes": sum(before) + batches * (len(levels) - 1),
        "early_stop": last["early_stop_iteration"],
        "val_accuracy": percent(last["val_accuracy"]),
        "test_accuracy": percent(last["test_accuracy"]),
        "winning": is_winning(last["metrics"], whole["metrics"]) if criterion != "dense" else None,
    }


def tables(budget: Budget, trials: Sequence[Row]) -> list[Table]:
    """One row a criterion and sparsity, means over seeds."""
    groups = dict.fromkeys((row["criterion"], row["sparsity"]) for row in trials)
    columns = (
        Column("criterion", "Criterion"),
        Column("density", "Density", ".2%"),
        Column("kept", "Kept", ",.0f"),
        Column("seeds", "Seeds"),
        Column("test", "Test (%)", ".2f"),
        Column("test_sd", "sd", ".2f"),
        Column("validation", "Validation (%)", ".2f"),
        Column("early_stop", "Early stop", ",.0f"),
        Column("passes", "Passes to find the mask", ",.0f"),
        Column("winning", "Winning"),
    )
    note = (
        "A pass is a batch through the net, forward and backward: training steps before the last cut, and batches "
        "scored. Winning: so many seeds have a test accuracy of at least the dense net's less "
        f"{100 * TOLERANCE:g} points, at an early-stop iteration no later than the dense net's."
    )
    rows = tuple(
        _mean(criterion, [r for r in trials if _key(r) == (criterion, s)]) for criterion, s in groups
    )
    where = f"{budget.model} on {budget.dataset}"
    return [Table("criteria", f"Accuracy by criterion and density, {where}", columns, rows, note)]


def _key(row: Row) -> tuple[str, float]:
    return row["criterion"], row["sparsity"]


def _mean(criterion: str, rows: Sequence[Row]) -> Row:
    test = summary([row["test_accuracy"] for row in rows])
    means = {
        label: summary([row[key] for row in rows]).mean
        for label, key in {"validation": "val_accuracy", "density": "density", "kept": "kept"}.items()
    }
    times = {key: summary([row[key] for row in rows]).mean for key in ("early_stop", "passes")}
    won = None if criterion == "dense" else sum(bool(row["winning"]) for row in rows)
    own = {"criterion": criterion, "seeds": test.n, "test": test.mean, "test_sd": test.sd, "winning": won}
    return own | means | times


def figures(budget: Budget, trials: Sequence[Row]) -> list[Chart]:
    """Accuracy over density, and over the passes that finding the mask took."""
    (table,) = tables(budget, trials)
    rows = [row for row in table.rows if row["criterion"] != "dense"]
    (whole,) = [row["test"] for row in table.rows if row["criterion"] == "dense"]
    series = []
    for criterion in budget.criteria:
        own = [row for row in rows if row["criterion"] == criterion]
        ends = [[row["test"] + sign * (row["test_sd"] or 0.0) for row in own] for sign in (-1, 1)]
        x, y = ([row[key] for row in own] for key in ("density", "test"))
        series.append(Series(criterion, x, y, *ends, style="line+points"))
    span = [max(row["density"] for row in rows), min(row["density"] for row in rows)]
    over_density = Chart(
        "accuracy-over-density",
        f"Accuracy over density, {budget.model} on {budget.dataset}",
        "density",
        "test accuracy (%)",
        (*series, Series("dense net", span, [whole, whole], dashed=True)),
        f"Test accuracy over density by criterion, mean and standard deviation over {budget.seeds} seeds; the dense "
        f"net's is {whole:.2f} %.",
        x_format=".0%",
        x_log=True,
        x_reversed=True,
    )
    return [over_density, _cost(budget, rows)]


def _cost(budget: Budget, rows: Sequence[Row]) -> Chart:
    series = tuple(
        Series(
            criterion,
            [row["passes"] + 1 for row in rows if row["criterion"] == criterion],
            [row["test"] for row in rows if row["criterion"] == criterion],
            style="points",
        )
        for criterion in budget.criteria
    )
    return Chart(
        "accuracy-over-passes",
        f"What finding the mask took, {budget.model} on {budget.dataset}",
        "passes to find the mask, and one",
        "test accuracy (%)",
        series,
        "Test accuracy over the number of batches that finding the mask took, one point a density.",
        x_log=True,
    )


def notes(budget: Budget, trials: Sequence[Row]) -> list[str]:
    """What a reader of the tables must know."""
    if budget.train_size is None:
        return []
    return [f"Tickets were found and trained on {budget.train_size:g} of the training examples."]
