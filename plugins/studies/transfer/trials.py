"""One row a net on a target, and one a net on a source."""

from collections.abc import Iterator

from kerastickets.plugin import Results, Row, percent
from kerastickets_plugins.studies.transfer.budgets import Budget
from kerastickets_plugins.studies.transfer.jobs import Net, Pair, nets, sources


def trials(budget: Budget, results: Results) -> list[Row]:
    """Every net: `kind` is `target`, or `source` for the dense nets that tickets were found in.

    Accuracies are in percent, and those of the end of training, as in the paper; `best_test_accuracy` is that of
    the weights with the best validation accuracy. A net that several parts need has a row in each.
    """
    rows = [_source(pair, results[job]) for pair, job in sources(budget)]
    return rows + [_target(net, results[net.job]) for net in nets(budget)]


def _named(pair: Pair) -> Row:
    return {"width": pair.width, "split": pair.split, "source": pair.source, "target": pair.target}


def _measures(metrics: Row) -> Row:
    """Of the last weights, which are those that a training without `keep=last` keeps, too."""

    def shown(name: str) -> float | None:
        value = metrics.get(f"last_{name}", metrics.get(name))
        return None if value is None else percent(value)

    best = metrics.get("test_accuracy")
    return {
        "test_accuracy": shown("test_accuracy"),
        "val_accuracy": shown("val_accuracy"),
        "best_test_accuracy": None if best is None else percent(best),
        "early_stop": metrics.get("early_stop_iteration"),
    }


def _source(pair: Pair, facts: Row) -> Row:
    dense, ticket = facts["levels"]
    layers = zip(dense["layers"], ticket["layers"], strict=True)
    return {
        "kind": "source",
        **_named(pair),
        **_measures(dense["metrics"]),
        "pruned": {whole["key"]: [whole["total"], whole["total"] - less["kept"]] for whole, less in layers},
    }


def _target(net: Net, facts: Row) -> Row:
    return {
        "kind": "target",
        "part": net.part,
        **_named(net.pair),
        "target": facts["target"],
        "method": net.method,
        "sparsity": net.sparsity,
        "size": net.size,
        "train_size": facts["train_size"],
        "kept": facts["kept"],
        "total": facts["total"],
        **_measures(facts["metrics"]),
        "phases": len(facts["phases"]),
        "curve": [*_curve(facts["rows"])],
    }


def _curve(rows: list[Row]) -> Iterator[list[float | None]]:
    """Iteration, validation and test accuracy; the last that is known of each iteration."""
    last = {row["iteration"]: row for row in rows}
    for iteration, row in last.items():
        values = [row.get(f"{split}_accuracy") for split in ("val", "test")]
        yield [iteration, *(None if value is None else percent(value) for value in values)]
