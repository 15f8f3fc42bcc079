"""One row a ticket: what it is made of, whether it separated, how well its net does; and rows of pixels and points."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerastickets.plugin import Input, Results, Row, percent
from kerastickets_plugins.studies.separation.budgets import Budget
from kerastickets_plugins.studies.separation.jobs import TASKS, Run, runs
from kerastickets_plugins.studies.separation.samples import samples


def trials(budget: Budget, results: Results) -> list[Row]:
    """Every ticket (`kind` is `ticket`), the maps of those shown (`map`), and what the data look like
    (`sample`, `pixels`).

    Accuracies are in percent. They and the losses are those of a level's last weights, which are the ones pruned.
    """
    made = [*runs(budget)]
    rows = [row for run in made for row in _tickets(run, results)]
    rows += [row for run in made if run.dataset != "moons-circles" for row in _maps(run, results)]
    rows += [row for run in made if run.part == "maps" for row in _pixels(run, results)]
    datasets = dict.fromkeys(run.dataset for run in made)
    return rows + [row for dataset in datasets for row in samples(dataset)]


def _tickets(run: Run, results: Results) -> Iterator[Row]:
    analyses = _by_ticket(run.tickets(results), results[run.analyzed(results)])
    for seed, facts in run.runs(results):
        for level in facts["levels"]:
            found = analyses[run.ticket(seed, level["level"]).name]
            yield {
                "kind": "ticket",
                **_named(run, seed, level["level"]),
                "final": level is facts["levels"][-1],
                "kept": level["kept"],
                "total": level["total"],
                **_measures(run, level["metrics"]),
                **_structure(found["structure"]),
                **_separation(found),
            }


def _by_ticket(tickets: Sequence[Input], facts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {one.name: found for one, found in zip(tickets, facts["analyses"], strict=True)}


def _named(run: Run, seed: int, pruning: int) -> Row:
    return {
        "part": run.part,
        "dataset": run.dataset,
        "layers": run.layers,
        "level": run.level,
        "width": run.width,
        "seed": seed,
        "pruning": pruning,
    }


def _measures(run: Run, metrics: Mapping[str, Any]) -> Row:
    """Of the last weights, and the lowest validation loss; none of a level that was not trained."""

    def shown(name: str) -> float | None:
        value = metrics.get(f"last_{name}", metrics.get(name))
        return None if value is None else percent(value)

    tasks = TASKS[run.dataset]
    by_task = {name: shown(f"test_{name}_accuracy") for name in tasks} if len(tasks) > 1 else {}
    return {
        "val_loss": metrics.get("last_val_loss", metrics.get("val_loss")),
        "best_val_loss": metrics.get("val_loss"),
        "val_accuracy": shown("val_accuracy"),
        "test_accuracy": shown("test_accuracy"),
        "test_by_task": by_task,
        "early_stop": metrics.get("early_stop_iteration"),
        "stopped": metrics.get("stopped_iteration"),
    }


def _structure(facts: Mapping[str, Any]) -> Row:
    totals = facts["totals"]
    return {name: totals[name] for name in ("active", "inactive", "zombie")} | {
        "isolated": sum(layer["isolated"] for layer in facts["neurons"]),
        "dead_inputs": facts["dead_inputs"],
        "effective": facts["effective"],
    }


def _separation(found: Mapping[str, Any]) -> Row:
    if "separation" not in found:
        return {"category": None, "as_published": None}
    facts, degree = found["separation"], found["separation-degree"]
    names = ("category", "as_published", "subnetworks", "fragments", "separations_needed", "coverage")
    return {name: facts[name] for name in names} | {
        "from_outputs": [layer["from_outputs"] for layer in degree["layers"]],
        "from_inputs": [layer["from_inputs"] for layer in degree["layers"]],
        "degree_layers": [layer["layer"] for layer in degree["layers"]],
    }


def _maps(run: Run, results: Results) -> Iterator[Row]:
    job = run.mapped(results)
    analyses = _by_ticket(job.inputs, results[job])
    for seed, facts in run.runs(results):
        for level in facts["levels"]:
            name = run.ticket(seed, level["level"]).name
            if name in analyses:
                inputs = analyses[name]["connectivity"]["inputs"]
                yield {
                    "kind": "map",
                    **_named(run, seed, level["level"]),
                    "kept": level["kept"],
                    "degree": inputs["degree"],
                    "unconnected": inputs["unconnected"],
                    "correlation": inputs["correlation"],
                }


def _pixels(run: Run, results: Results) -> Iterator[Row]:
    """Mean and variance of each pixel in train, which every map tells alike."""
    for found in results[run.mapped(results)]["analyses"][:1]:
        for measure in ("mean", "variance"):
            values = [
                [round(value, 3) for value in line] for line in found["connectivity"]["inputs"][measure]
            ]
            yield {"kind": "pixels", "dataset": run.dataset, "measure": measure, "values": values}
