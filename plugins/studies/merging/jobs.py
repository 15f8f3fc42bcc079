"""What the merging study computes: tickets by iterative magnitude pruning, merges of them, and controls."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from types import MappingProxyType
from typing import Any, Literal

from kerastickets.plugin import Input, Job, Results

Method = Literal["dtm", "atm"]


@dataclass(frozen=True)
class Budget:
    """The study's dials.

    Args:
        datasets: data sets.
        tickets: how many tickets to find on each data set, in their order; seeds 0, 1, ...
        used: how many of them tables I to III use.
        levels: prunings; the tickets of the last level are merged.
        rate: share of each layer that a level prunes.
        train: length of every training.
        shown: the levels of table I.
        sweep: the levels whose tickets are merged from two to all, up to a nearly dense net.
        most: at most so many merges of each number of tickets; 0 for no limit.
        model: the architecture.
    """

    datasets: tuple[str, ...] = ("mnist", "fashion-mnist")
    tickets: tuple[int, ...] = (7, 5)
    used: int = 4
    levels: int = 21
    rate: float = 0.1
    train: str = "20ep"
    shown: tuple[int, ...] = (0, 6, 7, 11, 15, 21)
    sweep: tuple[int, ...] = (21, 11)
    most: int = 0
    model: str = "lenet-300-100"

    def __post_init__(self) -> None:
        if len(self.datasets) != len(self.tickets):
            raise ValueError(f"`tickets` must be one number a data set. Received: {self.tickets}")
        if self.used < 2 or self.used > min(self.tickets):
            raise ValueError(f"`used` must be in [2, {min(self.tickets)}]. Received: used={self.used}")
        levels = {*self.shown, *self.sweep}
        if not levels or min(levels) < 0 or max(levels) > self.levels:
            raise ValueError(f"`shown` and `sweep` must be levels. Received: {sorted(levels)}")

    @property
    def counts(self) -> Mapping[str, int]:
        """How many tickets each data set has."""
        return dict(zip(self.datasets, self.tickets, strict=True))


BUDGETS: Mapping[str, Budget] = MappingProxyType(
    {
        "smoke": Budget(("digits",), (3,), 3, 3, 0.4, "6ep", (0, 2, 3), (3, 2), 3),
        "cpu": Budget(tickets=(4, 4), train="6ep"),
        "paper": Budget(),
    }
)


def dials(budget: Budget) -> dict[str, Any]:
    """How every net of the study is trained. Adam's coupled weight decay 1e-4 is an L2 penalty of half of it."""
    return {
        "train": budget.train,
        "eval_every": "1ep",
        "keep": "last",
        "batch_size": 60,
        "optimizer": "adam",
        "lr": 1.2e-3,
        "epsilon": 1e-8,
        "l2": 5e-5,
    }


def found(budget: Budget, dataset: str, seed: int) -> Job:
    """Iterative magnitude pruning: gives a ticket per level."""
    options = {
        "model": budget.model,
        "dataset": dataset,
        "criterion": "magnitude",
        "seed": seed,
        "watch": ["test"],
        "dials": dials(budget) | {"levels": budget.levels, "rate": budget.rate, "scope": "layer"},
    }
    return Job("prune", options, cost=budget.levels + 1.0)


def level(budget: Budget, dataset: str, seed: int, number: int) -> Input:
    """The ticket of a level."""
    return found(budget, dataset, seed).ticket(f"level-{number:02d}")


@dataclass(frozen=True)
class Merge:
    """One merge, and the nets that it is compared with.

    Args:
        method: `dtm` or `atm`.
        dataset: where the tickets were found, and the net is trained.
        tickets: seeds of the tickets, the dominant first.
        level: of the tickets.
    """

    method: Method
    dataset: str
    tickets: tuple[int, ...]
    level: int

    @property
    def name(self) -> str:
        """What rows call it."""
        return f"{self.method} {'-'.join(map(str, self.tickets))} of level {self.level}"

    def parents(self, budget: Budget) -> tuple[Input, ...]:
        """The tickets."""
        return tuple(level(budget, self.dataset, seed, self.level) for seed in self.tickets)

    def merged(self, budget: Budget) -> Job:
        """The merged ticket."""
        return Job("apply", {"operation": self.method, "options": {}}, self.parents(budget), cost=0.01)

    def trained(self, budget: Budget) -> Job:
        """The merged ticket, trained."""
        return self._train(budget, self.merged(budget).ticket())

    def random(self, budget: Budget) -> Job:
        """The control: a random mask with as many weights in each layer, on the first ticket's initial weights."""
        parents = self.parents(budget)
        alike = parents[0]
        if self.method == "atm":
            alike = Job("apply", {"operation": "union", "options": {}}, parents, cost=0.01).ticket()
        # Another permutation for every merge, whatever other merges there are.
        options = {"seed": int("".join(f"{seed:02d}" for seed in (len(self.tickets), *self.tickets)))}
        shuffled = Job("apply", {"operation": "shuffle", "options": options}, (alike,), cost=0.01)
        return self._train(budget, shuffled.ticket())

    def small_dense(self, budget: Budget) -> Job:
        """The control: a narrower dense net with about as many weights as the merged ticket keeps."""
        return self._train(budget, self.merged(budget).ticket(), start="small-dense")

    def _train(self, budget: Budget, ticket: Input, **more: Any) -> Job:
        # The first ticket's data order, which its own trainings and every control of the merge have as well.
        options = {"dataset": self.dataset, "seed": self.tickets[0], "watch": ["test"], "evaluate": "test"}
        return Job("train", options | {"dials": dials(budget)} | more, (ticket,))


def tabled(budget: Budget, dataset: str) -> list[Merge]:
    """The merges of tables II to IV."""
    used, last = range(budget.used), budget.levels
    merges = []
    for count in range(2, budget.used + 1):
        orders = list(permutations(used, count))
        if count == budget.used:  # as published: of all orders of all tickets, two
            orders = [orders[0], orders[-1]]
        sets = list(combinations(used, count))
        merges += [Merge("dtm", dataset, order, last) for order in _some(budget, orders)]
        merges += [Merge("atm", dataset, chosen, last) for chosen in _some(budget, sets)]
    every = tuple(range(budget.counts[dataset]))
    merges += [Merge("dtm", dataset, every, last), Merge("atm", dataset, every, last)]
    return list(dict.fromkeys(merges))


def _some(budget: Budget, many: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return many[: budget.most] if budget.most else many


def swept(budget: Budget, dataset: str) -> list[Merge]:
    """Merges of the first two, three, ... tickets."""
    counts = range(2, budget.counts[dataset] + 1)
    merges = [
        Merge("atm", dataset, tuple(range(count)), number) for number in budget.sweep for count in counts
    ]
    return merges + [Merge("dtm", dataset, tuple(range(count)), budget.levels) for count in counts]


def small(budget: Budget, dataset: str) -> list[Merge]:
    """The merges that a small dense net of equal size is trained beside."""
    return [Merge("atm", dataset, tuple(range(n)), budget.levels) for n in range(2, budget.used + 1)]


def measured(budget: Budget, dataset: str) -> Iterator[tuple[int, int, Job]]:
    """Seed, level and job: the single tickets of table I, whose calibration is measured."""
    for seed in range(budget.used):
        for number in budget.shown:
            ticket = level(budget, dataset, seed, number)
            yield seed, number, Job("evaluate", {"split": "test"}, (ticket,), cost=0.05)


def jobs(budget: Budget, results: Results) -> Iterable[Job]:
    """Every job of the study; none depends on what came out."""
    for dataset in budget.datasets:
        yield from (found(budget, dataset, seed) for seed in range(budget.counts[dataset]))
        merges = tabled(budget, dataset)
        yield from (merge.trained(budget) for merge in merges)
        yield from (merge.random(budget) for merge in merges)
        yield from (merge.trained(budget) for merge in swept(budget, dataset))
        yield from (merge.small_dense(budget) for merge in small(budget, dataset))
        yield from (job for _, _, job in measured(budget, dataset))
