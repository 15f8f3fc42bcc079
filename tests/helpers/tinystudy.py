"""A study of seconds: one ticket at two levels, its halves merged with itself, and one training of what came out."""

from dataclasses import dataclass

from kerastickets.figures.chart import Chart, Series
from kerastickets.figures.table import Column, Table
from kerastickets.studies.study import Job

TITLE = "A tiny study"
PAPER = "Nobody, Nothing"


@dataclass(frozen=True)
class Budget:
    """Dials.

    Args:
        seeds: how many runs.
        train: how long.
    """

    seeds: int = 2
    train: str = "2ep"

    def __post_init__(self):
        if self.seeds < 1:
            raise ValueError(f"`seeds` must be at least 1. Received: seeds={self.seeds}")


BUDGETS = {"smoke": Budget()}


def found(budget, seed):
    dials = {"levels": 2, "rate": 0.5, "train": budget.train, "jit": "off"}
    options = {"model": "mlp:8", "dataset": "digits", "seed": seed, "watch": ["test"], "dials": dials}
    return Job("prune", options, cost=3.0)


def merged(budget, seed):
    parents = (found(budget, seed).ticket("level-01"), found(budget, seed).ticket("level-02"))
    return Job("apply", {"operation": "union", "options": {}}, parents, cost=0.1)


def trained(budget, seed):
    options = {"seed": seed, "evaluate": "test", "dials": {"train": budget.train, "jit": "off"}}
    return Job("train", options, (merged(budget, seed).ticket(),))


def jobs(budget, results):
    first = [found(budget, seed) for seed in range(budget.seeds)]
    yield from first
    # What follows depends on what came out: only where the runs have their tickets.
    if all(job in results and len(results[job]["levels"]) == 3 for job in first):
        yield from (trained(budget, seed) for seed in range(budget.seeds))


def trials(budget, results):
    return [
        {
            "seed": seed,
            "kept": results[trained(budget, seed)]["kept"],
            **results[trained(budget, seed)]["metrics"],
        }
        for seed in range(budget.seeds)
    ]


def tables(budget, trials):
    columns = (Column("seed"), Column("kept"), Column("test_accuracy", format=".2%"))
    return [Table("accuracy", "Accuracy", columns, tuple(trials))]


def figures(budget, trials):
    series = Series("seeds", [row["seed"] for row in trials], [row["test_accuracy"] for row in trials])
    return [Chart("accuracy", "Accuracy", "seed", "accuracy", (series,), "Accuracy by seed.")]


def notes(budget, trials):
    return ["Nothing is claimed."]
