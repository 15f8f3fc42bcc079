"""One row a training: a single ticket at a level, a merged one, or a control."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerastickets.plugin import Job, Results, Row, fit_learning_curve, learning_curve, percent
from kerastickets_plugins.studies.merging.jobs import Budget, Merge, found, measured, small, swept, tabled


def trials(budget: Budget, results: Results) -> list[Row]:
    """Every training of the study. Accuracies and confidence are in percent."""
    return [row for dataset in budget.datasets for row in _of(budget, dataset, results)]


def _of(budget: Budget, dataset: str, results: Results) -> Iterator[Row]:
    singles = list(_singles(budget, dataset, results))
    yield from singles
    for merge in dict.fromkeys([*tabled(budget, dataset), *swept(budget, dataset)]):
        row = _row(merge, merge.method, merge.trained(budget), results)
        near = [_nearest(singles, seed, row["density"]) for seed in _compared(merge)]
        row["single_accuracy"] = _mean(one["test_accuracy"] for one in near)
        row["single_density"] = _mean(one["density"] for one in near)
        if merge in tabled(budget, dataset):
            control = _row(merge, "random", merge.random(budget), results)
            row["random_accuracy"] = control["test_accuracy"]
            yield control
        yield row
    for merge in small(budget, dataset):
        row = _row(merge, "small-dense", merge.small_dense(budget), results)
        # Its own density is 1: what counts is its size beside the whole net's.
        yield row | {"density": row["kept"] / singles[0]["kept"]}


def _compared(merge: Merge) -> Sequence[int]:
    """Whose single tickets a merge is compared with: it has the dominant one's mask, or the union of all."""
    return merge.tickets[:1] if merge.method == "dtm" else merge.tickets


def _nearest(singles: Sequence[Row], seed: int, density: float) -> Row:
    """The level of a ticket's own run that is nearest in density."""
    own = [row for row in singles if row["tickets"] == str(seed)]
    return min(own, key=lambda row: abs(row["density"] - density))


def _singles(budget: Budget, dataset: str, results: Results) -> Iterator[Row]:
    evaluations = {(seed, level): job for seed, level, job in measured(budget, dataset)}
    for seed in range(budget.counts[dataset]):
        facts = results[found(budget, dataset, seed)]
        for level in facts["levels"]:
            number = level["level"]
            rows = [row for row in facts["rows"] if row["level"] == number]
            job = evaluations.get((seed, number))
            yield {
                "dataset": dataset,
                "kind": "single",
                "name": f"ticket {seed} of level {number}",
                "tickets": str(seed),
                "count": 1,
                "level": number,
                "kept": level["kept"],
                "density": level["density"],
                **_measures(rows, level["metrics"]),
                **(_calibration(results[job]["evaluation"]) if job else _calibration({})),
            }


def _row(merge: Merge, kind: str, job: Job, results: Results) -> Row:
    facts = results[job]
    return {
        "dataset": merge.dataset,
        "kind": kind,
        "name": merge.name,
        "tickets": "-".join(map(str, merge.tickets)),
        "count": len(merge.tickets),
        "level": merge.level,
        "kept": facts["kept"],
        "density": facts["density"],
        **_measures(facts["rows"], facts["metrics"]),
        **_calibration(facts["evaluation"]),
    }


def _measures(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> Row:
    epochs, accuracy = learning_curve(rows, "test_accuracy", level=rows[0]["level"])
    fit = fit_learning_curve(epochs, accuracy)
    return {
        "val_accuracy": percent(metrics["val_accuracy"]),
        "test_accuracy": percent(metrics["test_accuracy"]),
        "best_test_accuracy": percent(max(row["test_accuracy"] for row in rows[1:])),
        "early_stop_iteration": metrics["early_stop_iteration"],
        "c": fit.c if fit.ok else None,
        "c_error": fit.c_error if fit.ok else None,
        "c_problem": fit.problem,
        "c_restarted": fit.restarted,
        "curve": [round(value, 4) for value in accuracy],
    }


def _calibration(evaluation: Mapping[str, Any]) -> Row:
    calibration = evaluation.get("calibration")
    return {
        "ece": percent(calibration["ece"]) if calibration else None,
        "confidence": percent(evaluation["confidence"]) if calibration else None,
        "last_test_accuracy": percent(evaluation["accuracy"]) if calibration else None,
    }


def _mean(values: Iterator[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
