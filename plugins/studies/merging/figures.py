"""Accuracy over epochs with the fit whose C is the learning speed, and accuracy over density."""

from collections.abc import Iterator, Sequence

import numpy as np

from kerastickets.plugin import Chart, Row, Series, fit_learning_curve
from kerastickets_plugins.studies.merging.jobs import Budget, Merge, tabled


def figures(budget: Budget, trials: Sequence[Row]) -> list[Chart]:
    """For each data set: learning curves of single and merged tickets, and accuracy and C over density."""
    return [chart for dataset in budget.datasets for chart in _of(budget, dataset, trials)]


def _of(budget: Budget, dataset: str, trials: Sequence[Row]) -> Iterator[Chart]:
    own = [row for row in trials if row["dataset"] == dataset]
    singles = [row for row in own if row["kind"] == "single"]
    by_level = {f"{_density(singles, level):.1%}": _level(budget, singles, level) for level in budget.shown}
    yield _curves(f"{dataset}-single", f"Single tickets by density, {dataset}", by_level)
    for method, name in (("dtm", "Dominant"), ("atm", "Average")):
        merges = [merge for merge in tabled(budget, dataset) if merge.method == method]
        counts = sorted({len(merge.tickets) for merge in merges})
        rows = {f"{n} tickets": _rows(own, [m for m in merges if len(m.tickets) == n]) for n in counts}
        yield _curves(f"{dataset}-{method}", f"{name} ticket merging, {dataset}", rows)
    yield _over_density(budget, dataset, own)


def _density(singles: Sequence[Row], level: int) -> float:
    return next(row["density"] for row in singles if row["level"] == level)


def _level(budget: Budget, singles: Sequence[Row], level: int) -> list[Row]:
    return [row for row in singles if row["level"] == level][: budget.used]


def _rows(own: Sequence[Row], merges: Sequence[Merge]) -> list[Row]:
    names = {(merge.method, merge.name) for merge in merges}
    return [row for row in own if (row["kind"], row["name"]) in names]


def _curves(name: str, title: str, groups: dict[str, list[Row]]) -> Chart:
    series = []
    for label, rows in groups.items():
        mean = np.mean([row["curve"] for row in rows], axis=0)
        x = np.arange(len(mean))
        fit = fit_learning_curve(x, mean)
        speed = f", C {fit.c:.2f}" if fit.ok and fit.c is not None else ""
        points = Series(f"{label}{speed}", x.tolist(), mean.tolist(), style="points")
        series.append(points)
        if fit.ok:
            fine = np.linspace(0, x[-1], 10 * len(x) - 9)
            curve = fit.curve(fine).tolist()
            series.append(Series(f"{label}, fit", fine.tolist(), curve, dashed=True, like=points.name))
    top = max(max(row["curve"]) for rows in groups.values() for row in rows)
    return Chart(
        f"curves-{name}",
        title,
        "epoch",
        "test accuracy before the epoch (%)",
        tuple(series),
        f"Test accuracy over epochs of {', '.join(groups)}. The highest reaches {top:.1f} %.",
        "Points are means over trials, dashed lines the fitted a exp(-c (x - b)) + d.",
        y_range=(_second(groups) - 1.0, top + 0.5),
    )


def _second(groups: dict[str, list[Row]]) -> float:
    """The lowest accuracy after one epoch: what the vertical axis starts at, else all lines are one."""
    return float(min(np.mean([row["curve"] for row in rows], axis=0)[:2][-1] for rows in groups.values()))


def _over_density(budget: Budget, dataset: str, own: Sequence[Row]) -> Chart:
    levels = sorted({row["level"] for row in own if row["kind"] == "single"})
    singles = [[r["test_accuracy"] for r in own if r["kind"] == "single" and r["level"] == n] for n in levels]
    density = [_density([r for r in own if r["kind"] == "single"], n) for n in levels]
    mean, sd = [float(np.mean(a)) for a in singles], [float(np.std(a, ddof=1)) for a in singles]
    series = [
        Series(
            "single tickets, mean and sd",
            density,
            mean,
            [m - s for m, s in zip(mean, sd, strict=True)],
            [m + s for m, s in zip(mean, sd, strict=True)],
        )
    ]
    for kind, label in (
        ("dtm", "DTM"),
        ("atm", "ATM"),
        ("random", "random mask"),
        ("small-dense", "small dense"),
    ):
        rows = sorted((r for r in own if r["kind"] == kind), key=lambda row: row["density"])
        if rows:
            density, accuracy = ([row[key] for row in rows] for key in ("density", "test_accuracy"))
            series.append(Series(label, density, accuracy, style="points"))
    return Chart(
        f"density-{dataset}",
        f"Accuracy over density, {dataset}",
        "density",
        "test accuracy at best validation (%)",
        tuple(series),
        f"Test accuracy over density on {dataset}: single tickets of every level as a line with a band, merged tickets "
        "and their controls as points.",
        x_format=".0%",
        x_reversed=True,
    )
