"""What the study computes: iterative magnitude pruning, SNIP at its counts, and flipped tickets pruned on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kerastickets.plugin import Input, Job, Results


@dataclass(frozen=True)
class Net:
    """One of the paper's two nets and how it is trained and pruned.

    Args:
        name: what the tables call it.
        model: the architecture.
        rate: share of the kept weights that a pruning takes, by kind of layer.
    """

    name: str
    model: str
    rate: Mapping[str, float]


NETS: Mapping[str, Net] = MappingProxyType(
    {
        "fc1": Net("fc1", "lenet-300-100", {"dense": 0.2, "output": 0.1}),
        "conv-2": Net("conv-2", "conv-2:padding=valid", {"conv": 0.1, "dense": 0.2, "output": 0.1}),
    }
)


@dataclass(frozen=True)
class Budget:
    """The study's dials; those that name a tuple have an entry a net.

    Args:
        nets: `fc1`, `conv-2`.
        datasets: a data set a net.
        seeds: how many seeds a net.
        train: the longest training a net.
        cuts: prunings between two trainings, a net: 2 trains every second pruning only.
        prunings: how often the net is pruned.
        flips: the prunings whose masks are flipped.
        flipped: trainings of a flipped ticket, the flip itself included.
        iterative: from this pruning on there is a net by iterative SNIP.
        eval_every: iterations between evaluations on validation data.
        patience: evaluations without improvement before training stops.
    """

    nets: tuple[str, ...] = ("fc1", "conv-2")
    datasets: tuple[str, ...] = ("mnist", "cifar10")
    seeds: tuple[int, ...] = (2, 2)
    train: tuple[str, ...] = ("25ep", "25ep")
    cuts: tuple[int, ...] = (1, 1)
    prunings: int = 10
    flips: tuple[int, ...] = (7, 8)
    flipped: tuple[int, ...] = (10, 10)
    iterative: int = 7
    eval_every: int = 500
    patience: int = 4

    def __post_init__(self) -> None:
        for name in ("datasets", "seeds", "train", "cuts", "flipped"):
            if len(getattr(self, name)) != len(self.nets):
                raise ValueError(f"`{name}` must have one entry a net. Received: {getattr(self, name)}")
        unknown = {*self.nets} - {*NETS}
        if unknown:
            raise ValueError(
                f"`nets` must be among {', '.join(NETS)}. Received: {', '.join(sorted(unknown))}"
            )
        if any(self.prunings % cut for cut in self.cuts):
            raise ValueError(
                f"`prunings` must be a multiple of `cuts`. Received: {self.prunings}, {self.cuts}"
            )


BUDGETS: Mapping[str, Budget] = MappingProxyType(
    {
        "smoke": Budget(
            datasets=("digits", "digits"),
            seeds=(3, 1),
            train=("6ep", "2ep"),
            cuts=(1, 4),
            prunings=4,
            flips=(2, 4),
            flipped=(3, 1),
            iterative=3,
            eval_every=20,
        ),
        "cpu": Budget(seeds=(2, 1), train=("25ep", "3000it"), cuts=(1, 2), flipped=(10, 2)),
        "paper": Budget(),
    }
)


@dataclass(frozen=True)
class Run:
    """One net with one seed: everything of it shares initial weights and data order.

    Args:
        budget: the dials.
        net: the net.
        dataset: what it is trained on.
        seed: keys initial weights, data order and scoring batches.
        train: the longest training.
        cuts: prunings between two trainings.
        flipped: trainings of a flipped ticket.
    """

    budget: Budget
    net: Net
    dataset: str
    seed: int
    train: str
    cuts: int
    flipped: int

    @property
    def levels(self) -> range:
        """The prunings after which there is a trained net."""
        return range(self.cuts, self.budget.prunings + 1, self.cuts)

    @property
    def dials(self) -> dict[str, Any]:
        """How every net of the study is trained."""
        return {
            "train": self.train,
            "eval_every": f"{self.budget.eval_every}it",
            "patience": self.budget.patience,
            "keep": "best",
            "batch_size": 60,
            "optimizer": "adam",
            "lr": 1.2e-3 if self.net.name == "fc1" else 2e-4,
            "epsilon": 1e-8,
        }

    def _prune(
        self, criterion: str, dials: Mapping[str, Any], trainings: int, start: tuple[Input, ...] = ()
    ) -> Job:
        options = {
            "model": None if start else self.net.model,
            "dataset": self.dataset,
            "criterion": criterion,
            "seed": self.seed,
            "dials": self.dials | dials,
        }
        return Job("prune", options, start, cost=trainings * (1.0 if self.net.name == "fc1" else 60.0))

    @property
    def _by_layer(self) -> dict[str, Any]:
        return {"rate": dict(self.net.rate), "scope": "layer"}

    def lth(self) -> Job:
        """Iterative magnitude pruning."""
        count = len(self.levels)
        return self._prune("magnitude", self._by_layer | {"levels": count, "cuts": self.cuts}, count + 1)

    def lth_ticket(self, pruning: int) -> Input:
        """Its ticket after so many prunings."""
        return self.lth().ticket(f"level-{pruning // self.cuts:02d}")

    def snip(self, kept: int) -> Job:
        """SNIP over the whole net, at a count."""
        return self._prune("snip", {"target": kept, "levels": 1}, 1)

    def snip_by_layer(self, pruning: int) -> Job:
        """SNIP within each layer, at the counts of so many prunings."""
        return self._prune("snip", self._by_layer | {"levels": 1, "cuts": pruning}, 1)

    def iterative(self, pruning: int, kept: int) -> Job:
        """SNIP over the whole net in so many steps, scored anew after each."""
        return self._prune("iterative-snip", {"target": kept, "levels": pruning}, 1)

    def flip(self, pruning: int) -> Job:
        """The mask after so many prunings flipped, and pruned on."""
        flipped = Job("apply", {"operation": "flip", "options": {}}, (self.lth_ticket(pruning),), cost=0.01)
        levels = self.flipped - 1
        dials = self._by_layer | ({"levels": levels} if levels else {"levels": 1})
        return self._prune("magnitude", dials, self.flipped, (flipped.ticket(),))

    @property
    def flips(self) -> list[int]:
        """The prunings whose masks are flipped: those of the budget after which there is a ticket."""
        own = [pruning for pruning in self.budget.flips if pruning in self.levels]
        return own if self.cuts == 1 else own[:1] or [self.levels[-1]]

    @property
    def iteratives(self) -> list[int]:
        """The prunings that iterative SNIP is compared at."""
        return [pruning for pruning in self.levels if pruning >= self.budget.iterative]


def runs(budget: Budget) -> Iterator[Run]:
    """Every net with every seed."""
    dials = zip(
        budget.nets, budget.datasets, budget.seeds, budget.train, budget.cuts, budget.flipped, strict=True
    )
    for net, dataset, seeds, train, cuts, flipped in dials:
        for seed in range(seeds):
            yield Run(budget, NETS[net], dataset, seed, train, cuts, flipped)


def kept(run: Run, results: Results) -> dict[int, int]:
    """Weights that iterative magnitude pruning keeps after so many prunings."""
    levels = results[run.lth()]["levels"]
    return {pruning: levels[pruning // run.cuts]["kept"] for pruning in run.levels}


def evaluated(ticket: Input) -> Job:
    """Accuracy on training data, with the weights that the ticket ends with."""
    return Job("evaluate", {"split": "train"}, (ticket,), cost=0.2)


def jobs(budget: Budget, results: Results) -> Iterable[Job]:
    """Every job known so far: SNIP's counts are those that magnitude pruning came to."""
    for run in runs(budget):
        yield run.lth()
        yield from (run.flip(pruning) for pruning in run.flips)
        if run.lth() not in results:
            continue
        counts = kept(run, results)
        yield from (run.snip(counts[pruning]) for pruning in run.levels)
        yield from (run.snip_by_layer(pruning) for pruning in run.levels)
        yield from (run.iterative(pruning, counts[pruning]) for pruning in run.iteratives)
        for _, _, job, level in nets(run, counts):
            yield evaluated(job.ticket(f"level-{level:02d}"))


def nets(run: Run, counts: Mapping[int, int]) -> Iterator[tuple[str, int, Job, int]]:
    """Every trained net of a run: its method, the pruning it stands for, its job and the level in it."""
    yield "dense", 0, run.lth(), 0
    for pruning in run.levels:
        yield "lth", pruning, run.lth(), pruning // run.cuts
        yield "snip", pruning, run.snip(counts[pruning]), 1
        yield "snip-by-layer", pruning, run.snip_by_layer(pruning), 1
    for pruning in run.iteratives:
        yield "iterative-snip", pruning, run.iterative(pruning, counts[pruning]), pruning
    for flip in run.flips:
        for level in range(run.flipped):
            yield f"flip-{flip}", level + 1, run.flip(flip), level
