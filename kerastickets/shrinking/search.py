"""Search along one path of tickets, each cut from the last one, for the sparsest that keeps a goal.

The tickets of a path are tested one after another, and the first that fails ends the path. So the probability that any
ticket passes whose true drop is too large is at most alpha, however many are tested: a sequence of tests in a fixed
order needs no correction. Between the last that passed and the first that failed, a second such sequence with finer
steps follows. Each of the two has half of alpha.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.shrinking.goal import Goal
from kerastickets.shrinking.judge import Drop, Judge, Measured
from kerastickets.tickets.ticket import Ticket

#: How finely the last step is divided.
FINER = 4
# The number of tries after which a format that does not shrink is refused, and what counts as not shrunk. Some sparse
# formats gain only once half of the weights are pruned.
_SHOWS, _AS_LARGE = 6, 0.99


@dataclass(frozen=True)
class Try:
    """A ticket that the search looked at.

    Args:
        criterion: the criterion that scored the weights.
        name: the place on the path: `level 3`, or `level 3 + 1/4` for a finer step from there.
        ticket: the ticket.
        value: the monitored metric on the validation examples.
        drop: how much worse it is than the given model; None for the given model itself.
        size: bytes of the exported file; None if no size was asked for.
        latency: milliseconds for one example; None if no latency was asked for.
        kept: whether the bound of the drop is within the goal. True if no drop was asked for.
        fits: whether size and latency are within the goal.
    """

    criterion: str
    name: str
    ticket: Ticket
    value: float
    drop: Drop | None = None
    size: int | None = None
    latency: float | None = None
    kept: bool = True
    fits: bool = True

    def facts(self) -> dict[str, Any]:
        """The try as JSON."""
        ticket, drop = self.ticket, self.drop
        return {
            "criterion": self.criterion,
            "try": self.name,
            "weights": ticket.kept,
            "total": ticket.total,
            "density": ticket.density,
            "value": self.value,
            "drop": drop and drop.estimate,
            "drop_bound": drop and drop.bound,
            "judged_on": drop and drop.method,
            "bytes": self.size,
            "latency_ms": self.latency,
            "keeps_the_drop": self.kept,
            "fits": self.fits,
            "digest": ticket.digest,
        }


@dataclass(frozen=True)
class Path:
    """One path of tickets, and what is measured on the way.

    Args:
        criterion: the name of the criterion.
        goal: what must be kept.
        judge: compares tickets with the given model.
        alpha: the probability that a ticket passes although its true drop is too large.
        levels: gives the tickets of the path from level 0, the given model, each cut from the last. It ends where no
            further cut is possible.
        finer: gives tickets between a level and the next, from the densest on, given the number of the level.
        size: the bytes of a ticket's export; None if no size is asked for.
        latency: the milliseconds of a ticket for one example; None if no latency is asked for.
        on_try: called with each try.
    """

    criterion: str
    goal: Goal
    judge: Judge
    alpha: float
    levels: Callable[[], Iterator[Ticket]]
    finer: Callable[[int], Iterator[Ticket]]
    size: Callable[[Ticket], int] | None
    latency: Callable[[Ticket], float] | None
    on_try: Callable[[Try], None]

    def search(self) -> list[Try]:
        """Look at tickets from the densest on.

        With a largest drop, the path goes on as long as it is kept. Otherwise it ends at the first ticket that fits.

        Returns:
            Every ticket that was looked at. The first is the given model.
        """
        tried: list[Try] = []
        given: Measured | None = None
        halves = self.alpha / 2
        for level, ticket in enumerate(self.levels()):
            measured = self.judge.measure(ticket)
            given = given or measured
            tried.append(self._tried(f"level {level}", ticket, measured, given if level else None, halves))
            last = tried[-1]
            self._check_size(tried)
            if self.goal.max_drop is None and last.fits:
                return tried
            if not last.kept:
                break
        else:
            return tried
        assert given is not None
        for part, ticket in enumerate(self.finer(level - 1), 1):
            name = f"level {level - 1} + {part}/{FINER}"
            tried.append(self._tried(name, ticket, self.judge.measure(ticket), given, halves))
            if not tried[-1].kept:
                break
        return tried

    def _check_size(self, tried: list[Try]) -> None:
        """Refuse to look for a small file in a format that stores zeros like other numbers, once that shows."""
        first, last = tried[0].size, tried[-1].size
        if len(tried) == _SHOWS and first and last and not tried[-1].fits and last > first * _AS_LARGE:
            raise RecipeError(
                f"`max_size` needs a format whose files pruning makes smaller. Received: {first:,} bytes for the given "
                f"model, and {last:,} with {tried[-1].ticket.density:.0%} of its weights. Take a sparse format such as "
                "litert:sparse=true, or prune units (granularity=channel) and compact."
            )

    def _tried(
        self, name: str, ticket: Ticket, measured: Measured, given: Measured | None, alpha: float
    ) -> Try:
        drop = None if given is None else self.judge.drop(given, measured, alpha)
        found = Try(
            self.criterion,
            name,
            ticket,
            measured.value,
            drop,
            self.size(ticket) if self.size else None,
            self.latency(ticket) if self.latency else None,
        )
        goal = self.goal
        kept = drop is None or goal.max_drop is None or drop.bound <= goal.max_drop
        fits = (goal.max_size is None or (found.size or 0) <= goal.max_size) and (
            goal.max_latency is None or (found.latency or 0) <= goal.max_latency
        )
        found = replace(found, kept=kept, fits=fits)
        self.on_try(found)
        return found


def best(tried: list[Try]) -> Try:
    """The try to take: the sparsest that keeps the drop, among those that fit if there is one."""
    keeping = [one for one in tried if one.kept]
    fitting = [one for one in keeping if one.fits]
    return min(fitting or keeping, key=lambda one: (one.ticket.kept, one.size or 0))
