"""What the study computes: pruning runs that stop when the net degrades, and what is inside of their tickets."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kerastickets.plugin import Input, Job, Results, extend_network
from kerastickets_plugins.studies.separation.budgets import BASES, Budget

RATE = 0.32
#: The count that the parts `size` and `rate` prune to: that of the base net with two hidden layers.
TARGET = 112
#: The width whose rates the thesis varies; Table 4.1's own is 47.
RATE_WIDTH = 48
#: The weights that nets on images are pruned to.
IMAGE_TARGET = 600
#: The levels of the thesis's pixel maps: of nets with one task, and with two.
SHOWN: Mapping[str, tuple[int, ...]] = {"maps": (1, 4, 7, 11, 15), "joined": (4, 7, 11, 15, 17)}

_IMAGES_STOP = [f"separation:counts=outputs.category={word}" for word in ("degraded", "separated")]


@dataclass(frozen=True)
class Run:
    """One net that is pruned, with all its seeds.

    Args:
        part: `extension`, `size`, `mnist-fashion`, `maps` or `joined`.
        layers: hidden layers.
        level: of extension, or in the part `size` how many prunings; else None.
        width: of the hidden layers, where they are alike.
        dataset: what it is trained on.
        job: its pruning.
        seeds: the seeds, None where the job has but one run of its own.
        seed: that run's seed.
    """

    part: str
    layers: int
    level: int | None
    width: int | None
    dataset: str
    job: Job
    seeds: tuple[int, ...] | None = None
    seed: int = 0

    def runs(self, results: Results) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Seed, and facts of its run."""
        facts = results[self.job]
        if self.seeds is None:
            yield self.seed, facts
        else:
            yield from ((seed, facts["runs"][str(seed)]) for seed in self.seeds)

    def ticket(self, seed: int, level: int) -> Input:
        """The ticket of a seed and a level."""
        folder = "" if self.seeds is None else f"seed-{seed}/"
        return self.job.ticket(f"{folder}level-{level:02d}")

    def tickets(self, results: Results) -> tuple[Input, ...]:
        """All tickets of a run that is done, seed by seed: it may have stopped at any level."""
        return tuple(
            self.ticket(seed, level["level"]) for seed, run in self.runs(results) for level in run["levels"]
        )

    def analyzed(self, results: Results) -> Job:
        """What is inside of all its tickets; the run is done."""
        analyzers: dict[str, Any] = {"structure": {}}
        if len(TASKS[self.dataset]) > 1:
            counts = "both" if self.dataset == "moons-circles" else "outputs"
            analyzers |= {"separation": {"counts": counts}, "separation-degree": {}}
        tickets = self.tickets(results)
        return Job("analyze", {"analyzers": analyzers, "dataset": self.dataset}, tickets, len(tickets) / 50)

    def mapped(self, results: Results) -> Job:
        """How its inputs are connected, at the levels shown that it came to; the run is done."""
        shown = SHOWN["maps" if self.part == "maps" else "joined"]
        tickets = tuple(
            self.ticket(seed, level["level"])
            for seed, run in self.runs(results)
            for level in run["levels"]
            if level["level"] in shown
        )
        options = {"analyzers": {"connectivity": {}}, "dataset": self.dataset}
        return Job("analyze", options, tickets, cost=len(tickets) / 10)


#: The tasks of each data set.
TASKS: Mapping[str, tuple[str, ...]] = {
    "moons-circles": ("circles", "moons"),
    "mnist-fashion": ("mnist", "fashion"),
    "mnist": ("mnist",),
    "fashion-mnist": ("fashion-mnist",),
}


def shape(layers: int) -> tuple[int, ...]:
    """The base net of so many hidden layers, from inputs to outputs."""
    return (4, *BASES[layers][0], 2)


def extended(layers: int, level: int) -> list[tuple[int, int]]:
    """Hidden width and weights of the net of every level of extension up to `level`, as Table 4.1 counts levels."""
    left_out = BASES[layers][1]
    made = extend_network(shape(layers), RATE, level + left_out)
    return [(widths[1], weights) for widths, weights in made[left_out:]]


def _dials(budget: Budget) -> dict[str, Any]:
    """How every net is trained and pruned."""
    return {
        "eval_every": "1ep",
        "monitor": "val_loss",
        "keep": "last",
        "optimizer": "adam",
        "lr": 1e-3,
        "epsilon": 1e-8,
        "l1": budget.l1,
        "scope": "global",
        "after_cut": "rewind",
        "rewind_to": budget.rewind_to,
        "allow_collapse": True,
    }


def _prune(
    budget: Budget, widths: Iterable[int], dataset: str, dials: Mapping[str, Any], seeds: Any, cost: float
) -> Job:
    options = {
        "model": f"mlp:widths={'-'.join(map(str, widths))},initializer=kaiming",
        "dataset": dataset,
        "criterion": budget.criterion,
        "dials": _dials(budget) | dials,
    }
    key = "seeds" if isinstance(seeds, tuple) else "seed"
    return Job("prune", options | {key: [*seeds] if isinstance(seeds, tuple) else seeds}, cost=cost)


def _moons(budget: Budget) -> dict[str, Any]:
    return {
        "train": budget.train,
        "patience": budget.patience,
        "batch_size": 64,
        "stop_when": ["separation.category=degraded"],
    }


def _cost(trainings: int, weights: int) -> float:
    """Seconds: an epoch is 15 steps, and some five hundred are a training."""
    return trainings * (0.8 + 1e-4 * weights)


def extension(budget: Budget, layers: int, level: int, seeds: int) -> Run:
    """A net that is extended `level` times, and pruned as often at the shared counts.

    Of three hidden layers the thesis leaves out the smallest nets: runs end where the first of its column begins.
    """
    base, left_out = BASES[layers]
    width, count = extended(layers, level)[-1]
    amount = {"rate": RATE, "extend": level + left_out}
    if left_out and level:
        amount["levels"] = level
    elif left_out:  # no level at all: the first net that is not left out, as it is
        base, amount["extend"] = (width,) * layers, 0
    dials = _moons(budget) | amount
    every = tuple(range(seeds))
    cost = _cost(seeds * (level + 1), count)
    job = _prune(budget, base, "moons-circles", dials, every, cost)
    return Run("extension", layers, level, width, "moons-circles", job, every)


def sized(budget: Budget, width: int, prunings: int) -> Run:
    """A net of two hidden layers of this width that is pruned to the base net's count in so many prunings."""
    # Without a pruning there is no target either: a net that is extended 0 times is the dense one.
    amount = {"levels": prunings, "target": TARGET} if prunings else {"rate": RATE, "extend": 0}
    every = tuple(range(budget.repeats))
    cost = _cost(budget.repeats * (prunings + 1), weights(width))
    dials = _moons(budget) | amount
    job = _prune(budget, (width, width), "moons-circles", dials, every, cost)
    return Run("size", 2, prunings, width, "moons-circles", job, every)


def weights(width: int) -> int:
    """Weights of a net on moons-circles with two hidden layers of this width.

    Example:
        >>> weights(8), weights(48)
        (112, 2592)
    """
    return 4 * width + width * width + 2 * width


def _images(patience: int, batch: int, levels: int, budget: Budget) -> dict[str, Any]:
    return {
        "train": budget.images_train,
        "patience": patience,
        "batch_size": batch,
        "levels": levels,
        "target": IMAGE_TARGET,
    }


def images(budget: Budget, seed: int) -> Run:
    """The net on MNIST-Fashion, pruned until it separates or degrades."""
    dials = _images(budget.images_patience, 512, 20, budget) | {"stop_when": _IMAGES_STOP}
    job = _prune(budget, (784, 392), "mnist-fashion", dials, seed, cost=2000.0)
    return Run("mnist-fashion", 2, None, None, "mnist-fashion", job, seed=seed)


def maps(budget: Budget) -> Iterator[Run]:
    """The nets whose inputs are looked at: one task each, and where the budget has it both joined."""
    dials = _images(budget.maps_patience, budget.maps_batch, 18, budget)
    for dataset in ("mnist", "fashion-mnist"):
        job = _prune(budget, (300, 100), dataset, dials, 0, cost=300.0)
        yield Run("maps", 2, None, None, dataset, job)
    if budget.joined:
        both = dials | {"stop_when": _IMAGES_STOP}
        job = _prune(budget, (784, 784), "mnist-fashion", both, 0, cost=6000.0)
        yield Run("joined", 2, None, None, "mnist-fashion", job)


def runs(budget: Budget) -> Iterator[Run]:
    """Every net of the parts that the budget names."""
    if "extension" in budget.parts:
        for layers, highest, seeds in zip(budget.layers, budget.extensions, budget.seeds, strict=True):
            for level in range(0, highest + 1, budget.every):
                yield extension(budget, layers, level, seeds)
    widths = budget.widths if "size" in budget.parts else ()
    if "rate" in budget.parts and RATE_WIDTH not in widths:
        widths = (*widths, RATE_WIDTH)
    for width in widths:
        yield from (sized(budget, width, prunings) for prunings in range(budget.prunings + 1))
    if "mnist-fashion" in budget.parts:
        yield from (images(budget, seed) for seed in range(budget.images))
    if "maps" in budget.parts:
        yield from maps(budget)


def jobs(budget: Budget, results: Results) -> Iterable[Job]:
    """Every job known so far: what is inside of tickets is asked when it is known which there are."""
    for run in runs(budget):
        yield run.job
        if run.job in results:
            yield run.analyzed(results)
            if run.dataset != "moons-circles":
                yield run.mapped(results)
