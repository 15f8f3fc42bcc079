"""Table 4.1, what became of the nets by depth, size and rate, and the thesis's claims beside what was measured."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerastickets.plugin import Column, Table, summary
from kerastickets_plugins.studies.separation.budgets import Budget
from kerastickets_plugins.studies.separation.claims import claims
from kerastickets_plugins.studies.separation.jobs import RATE_WIDTH, TARGET, extended, weights
from kerastickets_plugins.studies.separation.outcomes import (
    KINDS,
    Outcome,
    by_level,
    has_separated,
    outcomes,
)
from kerastickets_plugins.studies.separation.published import EXTENDED, RATES

Row = Mapping[str, Any]

DEPTHS: Mapping[int, str] = {1: "one hidden layer", 2: "two hidden layers", 3: "three hidden layers"}
_KINDS = tuple(Column(kind, kind.replace("-", ", then ").capitalize()) for kind in KINDS)


def tables(budget: Budget, trials: Sequence[Row]) -> list[Table]:
    """Everything the thesis tabulates or says, as far as the budget's parts measured it."""
    made = [_claims(trials), _table_41()]
    made += [_depth(trials, layers) for layers in sorted(DEPTHS) if _extensions(trials, layers)]
    if outcomes(trials, part="size"):
        made += [_sizes(trials), _rates(trials)]
    if _extensions(trials, 2):
        made.append(_losses(trials))
    if outcomes(trials, part="mnist-fashion"):
        made.append(_images(trials))
    if any(row["kind"] == "map" for row in trials):
        made.append(_maps(trials))
    return made


def _extensions(trials: Sequence[Row], layers: int) -> list[Outcome]:
    return outcomes(trials, part="extension", layers=layers)


def _claims(trials: Sequence[Row]) -> Table:
    columns = (
        Column("section", "Section"),
        Column("claim", "Claim"),
        Column("published", "Published"),
        Column("measured", "Measured"),
        Column("reproduced", "Reproduced"),
        Column("rule", "Counts as reproduced"),
    )
    note = "Not measured: what these dials do not reach. Categories are by the definitions of this study."
    return Table("claims", "What the thesis says, and what happens here", columns, claims(trials), note)


def _table_41() -> Table:
    rows = []
    for level in range(max(map(len, EXTENDED.values()))):
        row: dict[str, Any] = {"level": level, "as_published": True}
        for layers, published in EXTENDED.items():
            if level < len(published):
                width, count = extended(layers, level)[-1]
                row |= {f"width_{layers}": width, f"weights_{layers}": count}
                row["as_published"] = row["as_published"] and (width, count) == published[level]
        rows.append(row)
    columns = [Column("level", "Level")]
    for layers in EXTENDED:
        columns += [
            Column(f"width_{layers}", f"Width, {DEPTHS[layers]}"),
            Column(f"weights_{layers}", "Weights", ","),
        ]
    columns.append(Column("as_published", "As published"))
    note = (
        "The column of three layers begins at the third net of its extension, as in the thesis's code: the base net "
        "of width 4 has 56 weights, and runs end at 108."
    )
    title = "Table 4.1: nets by level of extension"
    return Table("table-4-1", title, tuple(columns), tuple(rows), note)


def _depth(trials: Sequence[Row], layers: int) -> Table:
    rows = [
        {
            "level": level,
            "width": runs[0].width,
            "weights": runs[0].rows[0]["kept"],
            **_kinds(runs),
            "published_rule": sum("separated" in run.as_published for run in runs),
            **_moments(runs),
        }
        for level, runs in by_level(_extensions(trials, layers)).items()
    ]
    columns = (
        Column("level", "Level"),
        Column("width", "Width"),
        Column("weights", "Weights", ","),
        Column("runs", "Runs"),
        *_KINDS,
        Column("published_rule", "Separated by the thesis's rule"),
        Column("separated_at", "Separated at pruning", ".1f"),
        Column("separated_from", "Earliest"),
        Column("separated_to", "Latest"),
        Column("degraded_at", "Degraded at pruning", ".1f"),
        Column("active", "Active at separation", ".0f"),
        Column("active_range", "Range"),
        Column("available", "Available", ".0f"),
        Column("available_range", "Range"),
        Column("accuracy", "Test accuracy at separation (%)", ".1f"),
        Column("share", "Active in the end", ".0%"),
    )
    note = (
        "Means over runs. At separation: at the first separated ticket, runs that never separate left out. Active in "
        "the end: of the weights that the last ticket keeps; a run that degrades ends there."
    )
    title = f"Extended nets with {DEPTHS[layers]}"
    return Table(f"extension-{layers}", title, columns, tuple(rows), note)


def _kinds(runs: Sequence[Outcome]) -> dict[str, int]:
    found = Counter(run.kind for run in runs)
    return {"runs": len(runs)} | {kind: found[kind] for kind in KINDS}


def _moments(runs: Sequence[Outcome]) -> dict[str, Any]:
    separated = [run.separated for run in runs if run.separated]
    degraded = [run.degraded for run in runs if run.degraded]
    when = summary([row["pruning"] for row in separated])
    active, available = (summary([row[name] for row in separated]) for name in ("active", "kept"))
    measured = [row["test_accuracy"] for row in separated if row["test_accuracy"] is not None]
    return {
        "separated_at": when.mean,
        "separated_from": _whole(when.min),
        "separated_to": _whole(when.max),
        "degraded_at": summary([row["pruning"] for row in degraded]).mean,
        "active": active.mean,
        "active_range": _range(active),
        "available": available.mean,
        "available_range": _range(available),
        "accuracy": summary(measured).mean,
        "share": summary([run.active_share for run in runs]).mean,
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _range(found: Any) -> str | None:
    return f"{found.min:.0f} to {found.max:.0f}" if found.n else None


def _sized(trials: Sequence[Row]) -> Iterator[tuple[int, int, list[Outcome]]]:
    """Width, number of prunings, and runs."""
    runs = outcomes(trials, part="size")
    for width in sorted({run.width for run in runs}):
        for prunings, own in by_level(run for run in runs if run.width == width).items():
            yield width, prunings, own


def _size_row(width: int, prunings: int, runs: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "width": width,
        "weights": weights(width),
        "prunings": prunings,
        "rate": rate(width, prunings),
        **_kinds(runs),
        "active": summary([run.last["active"] for run in runs]).mean,
    }


def rate(width: int, prunings: int) -> float | None:
    """The share that each of so many prunings takes of a net of this width, down to the base net's count.

    Example:
        >>> round(rate(48, 3), 3)
        0.649
    """
    return 1 - (TARGET / weights(width)) ** (1 / prunings) if prunings else None


_SIZE_COLUMNS = (
    Column("prunings", "Prunings"),
    Column("rate", "Rate", ".3f"),
    Column("runs", "Runs"),
    *_KINDS,
    Column("active", "Active in the end", ".0f"),
)


def _sizes(trials: Sequence[Row]) -> Table:
    rows = tuple(_size_row(*one) for one in _sized(trials))
    columns = (Column("width", "Width"), Column("weights", "Weights", ","), *_SIZE_COLUMNS)
    note = f"Two hidden layers, all pruned to {TARGET} weights; a run that degrades ends there."
    return Table("size", "Size, and number of prunings (figure 4.11)", columns, rows, note)


def _rates(trials: Sequence[Row]) -> Table:
    rows = tuple(
        _size_row(*one) | {"published_rate": RATES.get(one[1])}
        for one in _sized(trials)
        if one[0] == RATE_WIDTH and one[1]
    )
    prunings, shown, *rest = _SIZE_COLUMNS
    columns = (prunings, shown, Column("published_rate", "Published", ".3f"), *rest)
    note = f"Width {RATE_WIDTH}, the thesis's own choice: the net of Table 4.1 has width 47."
    return Table("rate", "Rate at one size (figure 4.12)", columns, rows, note)


def _losses(trials: Sequence[Row]) -> Table:
    tickets = [row for run in _extensions(trials, 2) for row in run.rows]
    rows = []
    for category in ("interconnected", "separated", "degraded"):
        own = [row for row in tickets if row["category"] == category and row["val_loss"] is not None]
        low = sum(row["val_loss"] < 0.08 for row in own)
        found = summary([row["val_loss"] for row in own])
        rows.append(
            {
                "category": category,
                "tickets": len(own),
                "median": sorted(row["val_loss"] for row in own)[len(own) // 2] if own else None,
                "min": found.min,
                "max": found.max,
                "low": low / len(own) if own else None,
                "accuracy": summary([row["test_accuracy"] for row in own]).mean,
                "inactive": _share(own, "inactive"),
                "zombie": _share(own, "zombie"),
            }
        )
    columns = (
        Column("category", "Category"),
        Column("tickets", "Tickets"),
        Column("median", "Median validation loss", ".3f"),
        Column("min", "Least", ".3f"),
        Column("max", "Greatest", ".3f"),
        Column("low", "Below .08", ".0%"),
        Column("accuracy", "Test accuracy (%)", ".1f"),
        Column("inactive", "Inactive of the unpruned", ".1%"),
        Column("zombie", "Zombies", ".1%"),
    )
    note = "All tickets of extended nets with two hidden layers, the dense ones too. Losses are of the last weights."
    return Table("categories", "Tickets by category (figures 4.15 to 4.19)", columns, tuple(rows), note)


def _share(rows: Sequence[Row], name: str) -> float | None:
    """Mean share of the unpruned weights."""
    return summary([row[name] / row["kept"] for row in rows]).mean


def _images(trials: Sequence[Row]) -> Table:
    rows = tuple(
        {name: row[name] for name in ("seed", "pruning", "kept", "active", "test_accuracy", "category")}
        | {"subnetworks": row["subnetworks"], "published_rule": row["as_published"]}
        | row["test_by_task"]
        for run in outcomes(trials, part="mnist-fashion")
        for row in run.rows
    )
    columns = (
        Column("seed", "Seed"),
        Column("pruning", "Pruning"),
        Column("kept", "Available", ","),
        Column("active", "Active", ","),
        Column("test_accuracy", "Test accuracy (%)", ".2f"),
        Column("mnist", "MNIST (%)", ".2f"),
        Column("fashion", "Fashion-MNIST (%)", ".2f"),
        Column("category", "Category"),
        Column("published_rule", "By the thesis's rule"),
        Column("subnetworks", "Subnetworks"),
    )
    separated = sum(map(has_separated, outcomes(trials, part="mnist-fashion")))
    note = f"Only outputs count. Runs end where they separate or degrade; {separated} separated."
    return Table("mnist-fashion", "MNIST-Fashion (figures 4.20 and 4.21)", columns, rows, note)


def _maps(trials: Sequence[Row]) -> Table:
    rows = tuple(
        {name: row[name] for name in ("part", "dataset", "seed", "pruning", "kept", "unconnected")}
        | {f"with_{name}": row["correlation"][name] for name in ("mean", "variance")}
        for row in trials
        if row["kind"] == "map"
    )
    columns = (
        Column("part", "Part"),
        Column("dataset", "Data set"),
        Column("seed", "Seed"),
        Column("pruning", "Pruning"),
        Column("kept", "Available", ","),
        Column("unconnected", "Pixels without a weight"),
        Column("with_mean", "Correlation with the mean", ".2f"),
        Column("with_variance", "With the variance", ".2f"),
    )
    note = (
        "Of the kept weights that leave a pixel with that pixel's mean and variance in train; pixels of MNIST-Fashion "
        "are each standardised, so that their variance is 1 wherever they vary."
    )
    return Table("maps", "Connections of pixels (figures 4.22 to 4.26)", columns, rows, note)
