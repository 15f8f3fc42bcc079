"""Learning curves, as in the paper's figures 2 to 11 but means over splits; and accuracy by number of examples."""

from collections.abc import Sequence

from kerastickets.plugin import Chart, Row, Series, summary
from kerastickets_plugins.studies.transfer.budgets import Budget
from kerastickets_plugins.studies.transfer.reading import chosen, sparsities


def figures(budget: Budget, trials: Sequence[Row]) -> list[Chart]:
    """One figure of learning curves for each width and sparsity; then those of the open parts that are curves."""
    made = []
    if "main" in budget.parts:
        for width in budget.widths:
            rows = chosen(trials, part="main", width=width)
            made += [_curves(width, sparsity, rows) for sparsity in sparsities(rows)]
    if "small" in budget.parts:
        rows = chosen(trials, part="small")
        made += [_sizes(sparsity, rows) for sparsity in sparsities(rows)]
    return made


def _curves(width: int, sparsity: float | None, rows: Sequence[Row]) -> Chart:
    series = []
    for method in ("ticket", "random-reinit", "dense"):
        curves = [
            {iteration: test for iteration, _, test in row["curve"]}
            for row in rows
            if row["method"] == method and row["sparsity"] in (sparsity, None)
        ]
        iterations = sorted(set.intersection(*map(set, curves)))
        means = [summary([curve[n] for curve in curves]) for n in iterations]
        series.append(
            Series(
                method,
                iterations,
                [one.mean for one in means],
                low=[one.mean - (one.sd or 0.0) for one in means],  # type: ignore[operator]
                high=[one.mean + (one.sd or 0.0) for one in means],  # type: ignore[operator]
                dashed=method == "dense",
            )
        )
    splits = len({row["split"] for row in rows})
    percent = f"{sparsity:.0%}"
    return Chart(
        f"curves-width-{width}-pruned-{round(100 * (sparsity or 0))}",
        f"Learning curves on the target, {percent} pruned, conv width {width}",
        "iteration",
        "test accuracy (%)",
        tuple(series),
        f"Test accuracy over iterations of tickets that lack {percent} of their weights, of their topology with "
        f"weights drawn anew and of the dense net, conv width {width}.",
        f"Means over {splits} split{'s' if splits > 1 else ''}, plus and minus a standard deviation.",
    )


def _sizes(sparsity: float | None, rows: Sequence[Row]) -> Chart:
    sizes = sorted({row["size"] for row in rows})
    series = []
    for method in ("ticket", "random-reinit", "dense", "fine-tune", "frozen"):
        own = [row for row in rows if row["method"] == method and row["sparsity"] in (sparsity, None)]
        means = [summary([row["test_accuracy"] for row in own if row["size"] == size]).mean for size in sizes]
        series.append(Series(method, sizes, means, style="line+points", dashed=method == "dense"))
    percent = f"{sparsity:.0%}"
    return Chart(
        f"sizes-pruned-{round(100 * (sparsity or 0))}",
        f"Few training examples of the target, {percent} pruned, conv width {rows[0]['width']}",
        "training examples",
        "test accuracy (%)",
        tuple(series),
        f"Test accuracy over the number of training examples: tickets that lack {percent} of their weights, their "
        "topology with weights drawn anew, the dense net, fine-tuning, and frozen layers.",
        "Means over splits, at the end of training.",
        x_log=True,
    )
