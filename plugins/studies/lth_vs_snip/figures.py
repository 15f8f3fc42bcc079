"""Figures 1 to 8: accuracy by pruning, over time with flipped tickets, and differences between methods."""

from collections.abc import Iterator, Sequence

import numpy as np

from kerastickets.plugin import Chart, Row, Series
from kerastickets_plugins.studies.lth_vs_snip.jobs import Budget

_SPLITS = (("train", "training"), ("val", "validation"), ("test", "test"))


def figures(budget: Budget, trials: Sequence[Row]) -> list[Chart]:
    """Four figures a net."""
    return [chart for n, net in enumerate(budget.nets) for chart in _of(net, n, trials)]


def _of(net: str, number: int, trials: Sequence[Row]) -> Iterator[Chart]:
    own = [row for row in trials if row["net"] == net]
    yield _levels(f"figure-{1 + number}-accuracy-{net}", net, own)
    yield _time(f"figure-{3 + number}-flips-{net}", net, own)
    yield _differences(f"figure-{5 + number}-lth-snip-{net}", net, own, "lth", "snip")
    yield _differences(f"figure-{7 + number}-snip-iterative-{net}", net, own, "snip", "iterative-snip")


def _by_pruning(rows: Sequence[Row], method: str, key: str) -> dict[int, float]:
    prunings = sorted({row["pruning"] for row in rows if row["method"] == method})
    return {
        n: float(np.mean([row[key] for row in rows if (row["method"], row["pruning"]) == (method, n)]))
        for n in prunings
    }


def _levels(name: str, net: str, rows: Sequence[Row]) -> Chart:
    series = []
    for method in ("lth", "snip", "snip-by-layer", "iterative-snip"):
        points = _by_pruning(rows, method, "test_accuracy")
        series.append(Series(method, list(points), list(points.values()), style="line+points"))
    dense = _by_pruning(rows, "dense", "test_accuracy")[0]
    last = max(row["pruning"] for row in rows if row["method"] == "lth")
    series.append(Series("dense net", [1, last], [dense, dense], dashed=True))
    return Chart(
        name,
        f"Accuracy by pruning, {net}",
        "prunings",
        "test accuracy (%)",
        tuple(series),
        f"Test accuracy after each pruning on {net}, by method; the dense net's is {dense:.2f} %.",
    )


def _time(name: str, net: str, rows: Sequence[Row]) -> Chart:
    methods = ["lth", *sorted({row["method"] for row in rows if row["method"].startswith("flip")})]
    series = []
    for method in methods:
        curves = [dict(map(tuple, row["curve"])) for row in rows if row["method"] == method]
        iterations = sorted({n for curve in curves for n in curve if n})
        # A net that stopped early keeps the accuracy that it stopped with.
        held = [[_at(curve, n) for n in iterations] for curve in curves]
        series.append(Series(f"{method}, mean", iterations, np.mean(held, axis=0).tolist()))
    return Chart(
        name,
        f"Accuracy over time, {net}",
        "iteration",
        "validation accuracy (%)",
        tuple(series),
        f"Validation accuracy over iterations on {net}, mean over prunings and seeds, of LTH and flipped tickets.",
        "A net that stopped early counts with its best accuracy from then on.",
    )


def _at(curve: dict[int, float], iteration: int) -> float:
    known = [n for n in curve if n <= iteration]
    return curve[iteration] if iteration in curve else max(curve[n] for n in known)


def _differences(name: str, net: str, rows: Sequence[Row], first: str, second: str) -> Chart:
    series = []
    for split, label in _SPLITS:
        a, b = (_by_pruning(rows, method, f"{split}_accuracy") for method in (first, second))
        both = sorted(a.keys() & b.keys())
        series.append(Series(label, both, [a[n] - b[n] for n in both], style="line+points"))
    return Chart(
        name,
        f"{first} less {second}, {net}",
        "prunings",
        "difference in accuracy (points)",
        tuple(series),
        f"Accuracy of {first} less that of {second} on {net} by pruning, on training, validation and test data.",
        "Above 0 the first is better.",
    )
