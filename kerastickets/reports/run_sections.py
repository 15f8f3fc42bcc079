"""Build the sections of a pruning run's report: levels, learning curves, layers, masks, lineage and recipe.

For several seeds of one recipe, the charts show means with one standard deviation around them.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from kerastickets.figures.chart import Chart, Heatmap, Series
from kerastickets.figures.table import Column, Table
from kerastickets.reports.html import Section
from kerastickets.reports.origin_section import lineage, recipe_list, versions_list
from kerastickets.reports.structure_section import structure_section
from kerastickets.runs.facts import LevelFacts, RunFacts, overlap
from kerastickets.tickets.winning import TOLERANCE

_MOST_POINTS = 300
_LABELS = {
    "val_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
    "val_loss": "validation loss",
    "test_loss": "test loss",
}


def run_sections(runs: Sequence[RunFacts]) -> list[Section]:
    """Build the sections of a report.

    Args:
        runs: one run, or one run per seed of the same recipe.
    """
    return [
        Section("Levels", _levels_intro(runs), (*_accuracy(runs), levels_table(runs))),
        Section("Learning curves", _curves_intro(runs), tuple(learning_curves(runs))),
        Section("Layers", "", (layer_densities(runs), layers_table(runs))),
        structure_section(runs),
        Section("Overlap of masks", _OVERLAP, tuple(overlaps(runs))),
        Section("Lineage", "", (lineage(runs),)),
        Section("Recipe", "Every setting that can change the tickets.", (recipe_list(runs),)),
        Section("Seeds and versions", "", (versions_list(runs),)),
    ]


_OVERLAP = (
    "Intersection over union: the number of weights that both masks keep, divided by the number that at least "
    "one of them keeps. 1 means equal masks, 0 means no weight in common."
)


def levels_table(runs: Sequence[RunFacts]) -> Table:
    """One row per level and seed."""
    columns = (
        *([Column("seed")] if len(runs) > 1 else []),
        Column("level"),
        Column("kept", format=","),
        Column("density", format=".2%"),
        Column("val_accuracy", "validation accuracy", ".2%"),
        Column("test_accuracy", "test accuracy", ".2%"),
        Column("early_stop_iteration", "early stop (iteration)", ","),
        Column("winning"),
        Column("stopped_iteration", "stopped (iteration)", ","),
        Column("seconds", format=".1f"),
        Column("ticket"),
        Column("digest"),
    )
    rows = [
        {"seed": run.name, **level.row.beside(run.levels[0].row).facts(), "digest": level.row.digest[:12]}
        for run in runs
        for level in run.levels
    ]
    note = (
        "Accuracies are from the early stop, the evaluation with the best monitored value. Test data never select "
        f"anything. Winning: the test accuracy is at most {100 * TOLERANCE:g} points below the dense level 0, and "
        "the early stop comes no later."
    )
    return Table("levels", "Every level", columns, tuple(rows), note)


def _accuracy(runs: Sequence[RunFacts]) -> list[Chart]:
    """A chart of accuracy over density, with a line for validation and one for test.

    The list is empty if nothing was trained.
    """
    lines = []
    for metric in ("val_accuracy", "test_accuracy"):
        found = _by_level(runs, attrgetter(f"row.{metric}"))
        if found:
            density = _by_level(runs, lambda level: level.row.density)
            x = [statistics.fmean(density[level]) for level in found]
            lines.append(_line(_LABELS[metric], x, list(found.values()), "line+points"))
    if not lines:
        return []
    last = max(level.row.level for run in runs for level in run.levels)
    return [
        Chart(
            "accuracy-over-density",
            "Accuracy over density",
            "weights kept",
            "accuracy",
            tuple(lines),
            f"{_spoken(lines[-1])}, over {last + 1} levels of falling density.",
            _spread_note(runs),
            x_log=True,
            x_reversed=True,
            x_format=".2%",
            y_format=".2%",
        )
    ]


def learning_curves(runs: Sequence[RunFacts]) -> Iterable[Chart]:
    """The monitored metric over iterations, one line per trained level; means if there are several seeds."""
    metric = _monitored(runs)
    if metric is None:
        return
    share = "accuracy" in metric
    curves: dict[int, dict[int, list[float]]] = {}
    for run in runs:
        for row in run.rows:
            if row.get(metric) is not None and "iteration" in row:
                curves.setdefault(row["level"], {}).setdefault(row["iteration"], []).append(row[metric])
    lines = [_curve(f"level {level}", curves[level]) for level in sorted(curves)]
    view = _view([value for line in lines for value in line.y]) if share else None
    note = f"The axis begins at {view[0]:.0%}; some early evaluations lie below it." if view else ""
    yield Chart(
        "learning-curves",
        f"{_LABELS.get(metric, metric).capitalize()} over iterations",
        "iteration",
        _LABELS.get(metric, metric),
        tuple(lines),
        f"{_LABELS.get(metric, metric).capitalize()} over iterations, for {len(lines)} trained levels"
        f"{f', each the mean of {len(runs)} seeds' if len(runs) > 1 else ''}.",
        note,
        y_format=".2%" if share else "",
        y_range=view,
    )


def layer_densities(runs: Sequence[RunFacts]) -> Chart:
    """The density of each layer over levels; means if there are several seeds."""
    lines = []
    for index, layer in enumerate(runs[0].levels[0].layers):
        found = _by_level(runs, partial(_layer_density, index))
        y = [statistics.fmean(values) for values in found.values()]
        lines.append(Series(layer["key"], list(found), y, style="line+points"))
    ends = ", ".join(f"{line.name} at {line.y[-1]:.1%}" for line in lines[:6])
    return Chart(
        "density-by-layer",
        "Density of each layer",
        "level",
        "weights kept",
        tuple(lines),
        f"Density of {len(lines)} layers over levels; at the last level {ends}.",
        "Layers with the same pruning rate share one line.",
        y_log=True,
        y_format=".2%",
    )


def layers_table(runs: Sequence[RunFacts]) -> Table:
    """One row per layer of the last ticket, for each seed."""
    columns = (
        *([Column("seed")] if len(runs) > 1 else []),
        Column("layer"),
        Column("shape"),
        Column("kept", format=","),
        Column("total", format=","),
        Column("density", format=".2%"),
    )
    rows = [
        {"seed": run.name, **row, "layer": row["key"], "shape": " x ".join(map(str, row["shape"]))}
        for run in runs
        for row in run.levels[-1].layers
    ]
    return Table("layers", "Layers of the last ticket", columns, tuple(rows))


def overlaps(runs: Sequence[RunFacts]) -> Iterable[Heatmap]:
    """Overlap of the masks of the first run's levels.

    For several seeds, there is also a heat map of the overlap between seeds at the last level that all of them have.
    """
    first = runs[0]
    labels = [str(level.row.level) for level in first.levels]
    values = [[overlap(a, b) for b in first.levels] for a in first.levels]
    of = f" of {first.name}" if len(runs) > 1 else ""
    yield Heatmap(
        "overlap-of-levels",
        f"Overlap of levels{of}",
        labels,
        labels,
        values,
        f"Overlap of the masks of {len(labels)} levels{of}. Between first and last it is {_share(values[0][-1])}.",
        x_label="level",
        y_label="level",
    )
    if len(runs) > 1:
        last = min(len(run.levels) for run in runs) - 1
        names = [run.name for run in runs]
        values = [[overlap(a.levels[last], b.levels[last]) for b in runs] for a in runs]
        density = statistics.fmean(run.levels[last].row.density for run in runs)
        yield Heatmap(
            "overlap-of-seeds",
            f"Overlap of seeds at level {last}",
            names,
            names,
            values,
            f"Overlap of the masks of {len(names)} seeds at level {last}.",
            f"Independent random masks of this density would overlap by about {density / (2 - density):.2f}.",
            x_label="seed",
            y_label="seed",
        )


def _levels_intro(runs: Sequence[RunFacts]) -> str:
    last = runs[0].levels[-1].row
    recipe = runs[0].recipe
    planned = recipe.get("levels")
    seeds = f"{len(runs)} seeds. " if len(runs) > 1 else ""
    short = [run for run in runs if isinstance(planned, int) and len(run.levels) <= planned]
    stopped = [
        f"{run.name} at level {run.levels[-1].row.level} by `{rule}`"
        for run in short
        if (rule := run.levels[-1].stopped_by)
    ]
    unfinished = [run.name for run in short if not run.levels[-1].stopped_by]
    rest = f" Stopped: {', '.join(stopped)}." if stopped else ""
    rest += f" Not finished yet: {', '.join(unfinished)}." if unfinished else ""
    return f"{seeds}The last ticket keeps **{last.kept:,}** of {last.total:,} weights ({last.density:.2%}).{rest}"


def _curves_intro(runs: Sequence[RunFacts]) -> str:
    return "" if _monitored(runs) else "No level was trained."


def _monitored(runs: Sequence[RunFacts]) -> str | None:
    """The metric that chose the early stop, or else the first known metric in `_LABELS`."""
    known = {name for run in runs for row in run.rows for name, value in row.items() if value is not None}
    train = runs[0].recipe.get("train")
    monitor = train.get("monitor") if isinstance(train, Mapping) else None
    return next((name for name in (monitor, *_LABELS) if isinstance(name, str) and name in known), None)


def _by_level(runs: Sequence[RunFacts], value: Callable[[LevelFacts], Any]) -> dict[int, list[float]]:
    """Map each level to the values of all runs that have a value there."""
    found: dict[int, list[float]] = {}
    for run in runs:
        for level in run.levels:
            if (one := value(level)) is not None:
                found.setdefault(level.row.level, []).append(one)
    return dict(sorted(found.items()))


def _layer_density(index: int, level: LevelFacts) -> float:
    return level.layers[index]["density"]


def _line(name: str, x: Sequence[float], values: Sequence[list[float]], style: Any) -> Series:
    """A line of the means of `values`, with one standard deviation around them if there are several seeds."""
    means = [statistics.fmean(several) for several in values]
    if max(map(len, values)) == 1:
        return Series(name, x, means, style=style)
    spreads = [statistics.stdev(several) if len(several) > 1 else 0.0 for several in values]
    low, high = ([mean + sign * s for mean, s in zip(means, spreads, strict=True)] for sign in (-1, 1))
    return Series(name, x, means, low, high, style=style)


def _curve(name: str, points: Mapping[int, list[float]]) -> Series:
    iterations = sorted(points)
    step = -(-len(iterations) // _MOST_POINTS)
    kept = [*iterations[:-1:step], *iterations[-1:]]
    return Series(name, kept, [statistics.fmean(points[iteration]) for iteration in kept])


def _view(values: Sequence[Any]) -> tuple[float, float] | None:
    """The axis range that the upper nine tenths of the accuracies fill; None to show all of them."""
    known = sorted(value for value in values if value is not None)
    low = int(known[len(known) // 10] * 100 - 1) / 100 if known else 0.0
    high = min(1.0, known[-1] + (known[-1] - low) * 0.05) if known else 1.0
    return (low, high) if low > 0.5 and known[0] < low else None


def _spread_note(runs: Sequence[RunFacts]) -> str:
    return (
        f"Means of {len(runs)} seeds; the band reaches one standard deviation to either side."
        if len(runs) > 1
        else ""
    )


def _spoken(line: Series) -> str:
    best = max(range(len(line.y)), key=lambda n: line.y[n])
    return (
        f"{line.name.capitalize()} goes from {line.y[0]:.2%} with {line.x[0]:.1%} of the weights to "
        f"{line.y[-1]:.2%} with {line.x[-1]:.1%}; the best is {line.y[best]:.2%} with {line.x[best]:.1%}"
    )


def _share(value: Any) -> str:
    return "unknown" if value is None else f"{value:.2f}"
