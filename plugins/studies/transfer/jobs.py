"""What the study computes: nets trained on a source, their tickets, and how these and their rivals do on a target."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kerastickets.plugin import Duration, Input, Job, Results, class_splits
from kerastickets_plugins.studies.transfer.budgets import CLASSES, Budget


@dataclass(frozen=True)
class Pair:
    """A source and a target, with one seed: what paired tests compare methods on.

    Args:
        budget: the dials.
        width: filters of the convolutions; None in part `datasets`.
        split: its number, which is the seed of initial weights and data order, too.
        model: the net.
        source: the data set that tickets are found on.
        target: the data set that they go on to.
        dials: how every net is trained.
        step: seconds that a step takes; for the time left only.
    """

    budget: Budget
    width: int | None
    split: int
    model: str
    source: str
    target: str
    dials: Mapping[str, Any]
    step: float

    @property
    def _steps(self) -> int:
        return Duration.parse(self.dials["train"]).iterations(1000)

    def found(self, sparsity: float, criterion: str = "magnitude", include: tuple[str, ...] = ()) -> Job:
        """The dense net trained on the source, `level-00`, and its ticket, `level-01`: pruned once, not trained.

        Each layer loses round(n * sparsity) of its n weights; biases stay unless `include` names them.
        """
        cut = {"levels": 1, "rate": sparsity, "scope": "layer", "no_train": True}
        options = {
            "model": self.model,
            "dataset": self.source,
            "criterion": criterion,
            "seed": self.split,
            "dials": dict(self.dials)
            | cut
            | {"snapshot_at": [self.budget.late]}
            | ({"include": [*include]} if include else {}),
        }
        return Job("prune", options, cost=self._steps * self.step)

    def ticket(self, sparsity: float, **how: Any) -> Input:
        """The ticket at a sparsity."""
        return self.found(sparsity, **how).ticket("level-01")

    @property
    def dense(self) -> Input:
        """The dense net that was trained on the source: every sparsity has the same, this is the first one's."""
        own = self.budget.asked if self.width is None else self.budget.sparsities
        return self.found(own[0]).ticket("level-00")

    def moved(
        self, protocol: str, ticket: Input, target: str = "", size: int | None = None, **given: Any
    ) -> Job:
        """A ticket, or what the protocol makes of it, trained on the target.

        Args:
            protocol: the transfer protocol.
            ticket: what is carried.
            target: instead of the pair's own.
            size: training examples of the target; None uses all.
            **given: the protocol's options.
        """
        few = {"train_size": size, "batch_size": min(size, self.budget.small_batch)} if size else {}
        options = {
            "protocol": protocol,
            "options": given,
            "dataset": target or self.target,
            "seed": self.split,
            "dials": dict(self.dials) | few,
            "watch": ["test"],
        }
        share = few["batch_size"] / self.budget.batch if few else 1.0
        return Job("transfer", options, (ticket,), cost=self._steps * self.step * share)

    @property
    def few(self) -> str:
        """The target with the first of its classes only."""
        name, _, classes = self.target.rstrip("]").partition("[")
        return spec(name, classes.split(",")[: self.budget.few])


@dataclass(frozen=True)
class Net:
    """A net that was trained on a target.

    Args:
        part: of the study.
        pair: source and target.
        method: what it is, as tables call it.
        sparsity: of its ticket; None where there is one net for all sparsities.
        job: its training.
        size: training examples of the target; None for all.
    """

    part: str
    pair: Pair
    method: str
    sparsity: float | None
    job: Job
    size: int | None = None


def spec(dataset: str, classes: Iterable[str]) -> str:
    """Some classes of a data set.

    Example:
        >>> spec("cifar10", ("cat", "dog"))
        'cifar10[cat,dog]'
    """
    return f"{dataset}[{','.join(classes)}]"


def parted(budget: Budget, width: int, splits: int) -> list[Pair]:
    """Halves of the classes. The first of more partitions are those of fewer, whatever the net."""
    labels = CLASSES[budget.dataset]
    half = len(labels) // 2
    halves = [(labels[:half], labels[half:])] * splits
    if budget.partition == "random":
        halves = class_splits(labels, splits)
    dials = {
        "train": budget.train,
        "eval_every": budget.eval_every,
        "keep": "last",
        "batch_size": budget.batch,
        "optimizer": "sgd",
        "lr": budget.lr,
    }
    step = 0.0026 * width**1.15 * budget.batch / 256  # measured at widths 16 and 64
    return [
        Pair(
            budget,
            width,
            split,
            f"krizhevsky-lrn:width={width}",
            spec(budget.dataset, source),
            spec(budget.dataset, target),
            dials,
            step,
        )
        for split, (source, target) in enumerate(halves)
    ]


def there_and_back(budget: Budget) -> list[Pair]:
    """From one data set to the other and back, a few seeds each."""
    dials = {"train": budget.images_train, "eval_every": "1ep", "keep": "last"}
    one, other = budget.images
    return [
        Pair(budget, None, seed, budget.images_model, source, target, dials, 0.001)
        for source, target in ((one, other), (other, one))
        for seed in range(budget.repeats)
    ]


def nets(budget: Budget) -> Iterator[Net]:
    """Every net on a target, part by part; parts share those that are the same."""
    for width, splits in zip(budget.widths, budget.splits, strict=True):
        for pair in parted(budget, width, splits):
            if "main" in budget.parts:
                yield from _main(pair)
            if width == budget.widths[0]:
                for part, make in _OPEN.items():
                    if part in budget.parts:
                        yield from make(pair)
    if "datasets" in budget.parts:
        for pair in there_and_back(budget):
            yield from _datasets(pair)


def _main(pair: Pair, part: str = "main") -> Iterator[Net]:
    yield Net(part, pair, "dense", None, pair.moved("dense", pair.dense))
    for s in pair.budget.sparsities if part == "main" else pair.budget.asked:
        for protocol in ("ticket", "random-reinit"):
            yield Net(part, pair, protocol, s, pair.moved(protocol, pair.ticket(s)))


def _datasets(pair: Pair) -> Iterator[Net]:
    yield from _main(pair, "datasets")
    for protocol in ("fine-tune", "frozen"):
        yield Net("datasets", pair, protocol, None, pair.moved(protocol, pair.dense))


def _classes(pair: Pair) -> Iterator[Net]:
    yield Net("classes", pair, "dense", None, pair.moved("dense", pair.dense, pair.few))
    for s in pair.budget.asked:
        ticket = pair.ticket(s)
        for method, protocol, given in (
            ("new-head", "new-head", {}),
            ("new-head, as sparse", "new-head", {"density": "layer"}),
            ("random-reinit", "random-reinit", {}),
        ):
            yield Net("classes", pair, method, s, pair.moved(protocol, ticket, pair.few, **given))


def _late(pair: Pair) -> Iterator[Net]:
    yield from _main(pair, "late")
    for s in pair.budget.asked:
        yield Net("late", pair, "late-reset", s, pair.moved("late-reset", pair.ticket(s)))


def _taylor(pair: Pair) -> Iterator[Net]:
    yield from _main(pair, "taylor")
    for s in pair.budget.asked:
        ticket = pair.ticket(s, criterion="taylor")
        yield Net("taylor", pair, "ticket by taylor", s, pair.moved("ticket", ticket))


def _small(pair: Pair) -> Iterator[Net]:
    for size in pair.budget.sizes:
        for protocol in ("dense", "fine-tune", "frozen"):
            yield Net("small", pair, protocol, None, pair.moved(protocol, pair.dense, size=size), size)
        for s in pair.budget.asked:
            for protocol in ("ticket", "random-reinit"):
                yield Net("small", pair, protocol, s, pair.moved(protocol, pair.ticket(s), size=size), size)


def _classical(pair: Pair) -> Iterator[Net]:
    yield from _main(pair, "classical")
    for protocol in ("fine-tune", "frozen", "frozen-then-all"):
        yield Net("classical", pair, protocol, None, pair.moved(protocol, pair.dense))
    steps = 5
    for s in pair.budget.asked:
        yield Net("classical", pair, "small-dense", s, pair.moved("small-dense", pair.ticket(s)))
        # So many prunings at one rate leave as much as the ticket's single one.
        rate = 1 - (1 - s) ** (1 / steps)
        job = pair.moved("prune-while-fine-tuning", pair.dense, steps=steps, rate=rate)
        yield Net("classical", pair, "prune-while-fine-tuning", s, job)


def _biases(pair: Pair) -> Iterator[Net]:
    yield from _main(pair, "biases")
    for s in pair.budget.asked:
        ticket = pair.ticket(s, include=("*/bias",))
        yield Net("biases", pair, "ticket without biases", s, pair.moved("ticket", ticket))


_OPEN = {
    "classes": _classes,
    "late": _late,
    "taylor": _taylor,
    "small": _small,
    "classical": _classical,
    "biases": _biases,
}


def jobs(budget: Budget, results: Results) -> Iterable[Job]:
    """All jobs: none depends on what came out."""
    for net in nets(budget):
        yield net.job


def sources(budget: Budget) -> Iterator[tuple[Pair, Job]]:
    """Every pair, and the training of its dense net on the source."""
    seen = {net.pair.dense.job: net.pair for net in nets(budget)}
    for job, pair in seen.items():
        yield pair, job
