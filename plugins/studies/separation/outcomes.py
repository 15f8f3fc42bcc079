"""What became of each run, from the rows of its tickets: the thesis's four kinds, and when it came to that."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Row = Mapping[str, Any]

#: The thesis's four kinds of run.
KINDS = ("separated", "separated-degraded", "degraded", "interconnected")


@dataclass(frozen=True)
class Outcome:
    """A run that was pruned.

    Args:
        rows: those of its tickets, from the dense one on.
    """

    rows: tuple[Row, ...]

    @property
    def level(self) -> Any:
        """Its level of extension, or in the part `size` how many prunings it was given."""
        return self.rows[0]["level"]

    @property
    def width(self) -> Any:
        """Of its hidden layers."""
        return self.rows[0]["width"]

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.rows[0]["seed"])

    @property
    def last(self) -> Row:
        """Its last ticket."""
        return self.rows[-1]

    @cached_property
    def kind(self) -> str:
        """Which of the four kinds it is."""
        return kind_of([row["category"] for row in self.rows])

    @cached_property
    def as_published(self) -> str:
        """Which it is by the thesis's own rule."""
        return kind_of([row["as_published"] for row in self.rows])

    @property
    def trained(self) -> tuple[Row, ...]:
        """The tickets whose nets were trained: of criteria that need no training, the last alone."""
        return tuple(row for row in self.rows if row["test_accuracy"] is not None)

    @property
    def separated(self) -> Row | None:
        """The first ticket that is separated."""
        return next((row for row in self.rows if row["category"] == "separated"), None)

    @property
    def degraded(self) -> Row | None:
        """The first ticket that is degraded."""
        return next((row for row in self.rows if row["category"] == "degraded"), None)

    @property
    def active_share(self) -> float:
        """Active of the unpruned weights of its last ticket."""
        return float(self.last["active"] / self.last["kept"])


def kind_of(categories: Sequence[str]) -> str:
    """The kind of a run from its tickets' categories, the dense net's first.

    Example:
        >>> kind_of(["interconnected", "separated", "degraded"]), kind_of(["interconnected"])
        ('separated-degraded', 'interconnected')
    """
    words = [word for word in ("separated", "degraded") if word in categories]
    return "-".join(words) or "interconnected"


def outcomes(trials: Iterable[Row], **wanted: Any) -> list[Outcome]:
    """The runs whose rows have these values, such as `part="extension", layers=2`; by level, width and seed."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in trials:
        if row["kind"] == "ticket" and all(row[key] == value for key, value in wanted.items()):
            names = ("part", "dataset", "layers", "level", "width", "seed")
            found.setdefault(tuple(row[name] for name in names), []).append(row)
    ordered = [Outcome(tuple(sorted(rows, key=lambda row: row["pruning"]))) for rows in found.values()]
    return sorted(ordered, key=lambda one: (one.level or 0, one.width or 0, one.seed))


def by_level(runs: Iterable[Outcome]) -> dict[int, list[Outcome]]:
    """Runs by level of extension."""
    found: dict[int, list[Outcome]] = {}
    for run in runs:
        found.setdefault(run.level, []).append(run)
    return found


def has_separated(run: Outcome) -> bool:
    """Whether a run separated, whatever became of it later."""
    return run.separated is not None
