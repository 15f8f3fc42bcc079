"""The thesis's figures 4.4 to 4.21 of the rows measured; those of data and pixels are in `pictures`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerastickets.plugin import Chart, Heatmap, Series
from kerastickets_plugins.studies.separation.budgets import Budget
from kerastickets_plugins.studies.separation.claims import at_separation
from kerastickets_plugins.studies.separation.jobs import RATE_WIDTH
from kerastickets_plugins.studies.separation.outcomes import KINDS, Outcome, by_level, outcomes
from kerastickets_plugins.studies.separation.pictures import pictures
from kerastickets_plugins.studies.separation.tables import DEPTHS, rate

Row = Mapping[str, Any]

#: The thesis's numbers, by hidden layers: shares of categories, and weights at separation.
_SHARES, _SEPARATION = {1: "4.6", 2: "4.4", 3: "4.7"}, {1: "4.9", 2: "4.8", 3: "4.10"}


def figures(budget: Budget, trials: Sequence[Row]) -> list[Chart | Heatmap]:
    """The figures whose parts were measured, in the thesis's order."""
    made: list[Chart | Heatmap] = [*pictures(trials), *_charts(trials)]
    return sorted(made, key=lambda figure: [int(part) for part in figure.name.split("-")[1:3]])


def _charts(trials: Sequence[Row]) -> Iterator[Chart]:
    for layers in DEPTHS:
        if runs := outcomes(trials, part="extension", layers=layers):
            yield _shares(layers, runs)
            yield _at_separation(layers, runs)
    if two := outcomes(trials, part="extension", layers=2):
        yield _active(two)
        yield _losses(two)
        yield from _waste(two)
    if sized := outcomes(trials, part="size"):
        yield _sizes(sized)
        if rated := [run for run in sized if run.width == RATE_WIDTH and run.level]:
            yield _rates(rated)
    if run := _example(trials):
        yield from _degrees(run)
    if images := outcomes(trials, part="mnist-fashion"):
        yield _accuracies(images)
        yield _by_task(images)


def _name(number: str) -> str:
    return f"figure-{number.replace('.', '-')}"


def _shares(layers: int, runs: Sequence[Outcome]) -> Chart:
    levels = by_level(runs)
    shares = {
        kind: [float(np.mean([r.kind == kind for r in own])) for own in levels.values()] for kind in KINDS
    }
    number = _SHARES[layers]
    return Chart(
        _name(number),
        f"{number}: what becomes of extended nets, {DEPTHS[layers]}",
        "level of extension",
        "share of runs",
        tuple(Series(kind.replace("-", ", then "), [*levels], y, style="area") for kind, y in shares.items()),
        f"Stacked shares of runs by level. At level {max(levels)}, {shares['separated'][-1]:.0%} separate and stay so.",
        y_format=".0%",
        y_range=(0.0, 1.0),
    )


def _at_separation(layers: int, runs: Sequence[Outcome]) -> Chart:
    series = []
    for name, label in (("active", "active"), ("kept", "available")):
        found = at_separation(runs, name)
        mean = [float(np.mean(values)) for values in found.values()]
        low, high = ([float(end(values)) for values in found.values()] for end in (min, max))
        series.append(Series(label, [*found], mean, low, high, "points"))
    number = _SEPARATION[layers]
    return Chart(
        _name(number),
        f"{number}: weights where nets separate, {DEPTHS[layers]}",
        "level of extension",
        "weights",
        tuple(series),
        f"Active and available weights of the first separated ticket: {len(series[0].x)} levels have one.",
        "Means over runs that separate; bars from the least to the greatest.",
        y_log=True,
    )


def _by_kind(
    runs: Sequence[Outcome], x: Callable[[Outcome], Any], y: Callable[[Outcome], Any]
) -> tuple[Series, ...]:
    """Runs as points, a series a kind."""
    own = {kind: [run for run in runs if run.kind == kind] for kind in KINDS}
    return tuple(
        Series(kind.replace("-", ", then "), [*map(x, own[kind])], [*map(y, own[kind])], style="points")
        for kind in KINDS
    )


def _active(runs: Sequence[Outcome]) -> Chart:
    return Chart(
        "figure-4-5",
        "4.5: active weights in the end, two hidden layers",
        "level of extension",
        "active of the unpruned",
        _by_kind(runs, lambda run: run.level, lambda run: run.active_share),
        "Share of active weights in the last ticket of each run, by level of extension.",
        "A run that degrades ends there, so that its last ticket may keep more weights than others'.",
        y_format=".0%",
    )


def _sizes(runs: Sequence[Outcome]) -> Chart:
    return Chart(
        "figure-4-11",
        "4.11: size and separation",
        "active weights in the end",
        "width of the hidden layers",
        _by_kind(runs, lambda run: run.last["active"], lambda run: run.width),
        "Active weights in the last ticket of each run, by width; nets of all numbers of prunings.",
        x_log=True,
    )


def _rates(runs: Sequence[Outcome]) -> Chart:
    return Chart(
        "figure-4-12",
        f"4.12: rate and separation, width {RATE_WIDTH}",
        "share that each pruning takes",
        "active weights in the end",
        _by_kind(runs, lambda run: rate(RATE_WIDTH, run.level), lambda run: run.last["active"]),
        "Active weights in the last ticket of each run, by rate: from few prunings at the left to many.",
        "Prunings and rates: "
        + ", ".join(f"{n}: {rate(RATE_WIDTH, n):.3f}" for n in sorted({run.level for run in runs}))
        + ".",
        x_reversed=True,
    )


def _example(trials: Sequence[Row]) -> Outcome | None:
    """The net that figures 4.13 and 4.14 show: of three layers the most extended that separates, else of two."""
    for layers in (3, 2):
        runs = [run for run in outcomes(trials, part="extension", layers=layers) if run.separated]
        if runs:
            return max(runs, key=lambda run: (run.level, -run.seed))
    return None


def _degrees(run: Outcome) -> Iterator[Chart]:
    assert run.separated is not None
    rows = [row for row in run.rows if row["pruning"] <= run.separated["pruning"]]
    names = rows[0]["degree_layers"]
    which = f"{DEPTHS[run.rows[0]['layers']]}, level {run.level}, seed {run.seed}"
    for number, key, side in (("4.13", "from_outputs", "outputs"), ("4.14", "from_inputs", "inputs")):
        shown = [n for n in range(len(names)) if n != (len(names) - 1 if side == "outputs" else 0)]
        series = tuple(
            Series(
                names[n], [row["pruning"] for row in rows], [row[key][n] for row in rows], style="line+points"
            )
            for n in shown
        )
        yield Chart(
            _name(number),
            f"{number}: separation seen from the {side}",
            "pruning",
            "neurons that belong to one task",
            series,
            f"Degree of separation of each layer until the net separates, at pruning {rows[-1]['pruning']}.",
            f"One net: {which}.",
            y_format=".0%",
        )


def _losses(runs: Sequence[Outcome]) -> Chart:
    rows = [row for run in runs for row in run.rows if row["val_loss"] is not None and row["active"]]
    series = []
    for category in ("interconnected", "separated", "degraded"):
        own = [row for row in rows if row["category"] == category]
        points = [[row[name] for row in own] for name in ("active", "val_loss")]
        series.append(Series(category, *points, style="points"))
    return Chart(
        "figure-4-15",
        "4.15: loss of tickets, two hidden layers",
        "active weights",
        "validation loss",
        tuple(series),
        f"Validation loss over active weights of {len(rows)} tickets.",
        x_log=True,
        y_log=True,
    )


def _waste(runs: Sequence[Outcome]) -> Iterator[Chart]:
    """Inactive weights and zombies over those available, a line a level of extension."""
    for number, name, relative in (
        ("4.16", "inactive", False),
        ("4.17", "inactive", True),
        ("4.18", "zombie", False),
        ("4.19", "zombie", True),
    ):
        series = tuple(
            Series(f"level {level}", *_means(own, name, relative)) for level, own in by_level(runs).items()
        )
        word = "inactive" if name == "inactive" else "zombie"
        yield Chart(
            _name(number),
            f"{number}: {word} weights{', relative' if relative else ''}, two hidden layers",
            "available weights",
            f"{word} of the unpruned" if relative else f"{word} weights",
            series,
            f"{word.capitalize()} weights over available ones, from the dense net at the left on.",
            "Means over seeds; where a run has degraded, over the others.",
            x_log=True,
            x_reversed=True,
            y_format=".0%" if relative else "",
        )


def _means(runs: Sequence[Outcome], name: str, relative: bool) -> tuple[list[int], list[float]]:
    found: dict[int, list[float]] = {}
    for row in (row for run in runs for row in run.rows):
        found.setdefault(row["kept"], []).append(row[name] / (row["kept"] if relative else 1))
    kept = sorted(found, reverse=True)
    return kept, [float(np.mean(found[count])) for count in kept]


def _accuracies(runs: Sequence[Outcome]) -> Chart:
    series = [
        Series(
            f"seed {run.seed}",
            *_over_kept(run.trained, lambda row: row["test_accuracy"]),
            style="line+points",
        )
        for run in runs
    ]
    ends = [run.separated for run in runs if run.separated in run.trained]
    if ends:
        points = [[row[name] for row in ends] for name in ("kept", "test_accuracy")]
        series.append(Series("separates", *points, style="points"))
    return Chart(
        "figure-4-20",
        "4.20: accuracy until separation, MNIST-Fashion",
        "available weights",
        "test accuracy (%)",
        tuple(series),
        f"Mean accuracy of both tasks over available weights; {len(ends)} of {len(runs)} runs separate.",
        x_log=True,
        x_reversed=True,
    )


def _over_kept(rows: Sequence[Row], y: Callable[[Row], float]) -> tuple[list[int], list[float]]:
    return [row["kept"] for row in rows], [y(row) for row in rows]


def _by_task(runs: Sequence[Outcome]) -> Chart:
    series = []
    for task, label in (("mnist", "MNIST"), ("fashion", "Fashion-MNIST"), (None, "mean of both")):
        found: dict[int, list[float]] = {}
        for row in (row for run in runs for row in run.trained):
            value = row["test_by_task"][task] if task else row["test_accuracy"]
            found.setdefault(row["kept"], []).append(value)
        kept = sorted(found, reverse=True)
        mean = [float(np.mean(found[n])) for n in kept]
        series.append(Series(label, kept, mean, [min(found[n]) for n in kept], [max(found[n]) for n in kept]))
    return Chart(
        "figure-4-21",
        "4.21: accuracy by task, MNIST-Fashion",
        "available weights",
        "test accuracy (%)",
        tuple(series),
        "Test accuracy of each task and of both over available weights.",
        "Means over seeds; bands from the least to the greatest.",
        x_log=True,
        x_reversed=True,
    )
