"""Weights added around a base ticket."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from kerastickets.plugin import (
    RecipeError,
    Takes,
    Ticket,
    Tree,
    apportion,
    check_tickets,
    cut,
    derive,
    generator,
    sealed,
    untrained,
)


@dataclass(frozen=True)
class Grow:
    """The ticket and more: weights that it pruned come back, on the same initial weights, until so many are kept.

    Given neither `count` nor `density`, it keeps twice as many as before (or all).

    Args:
        density: share of all prunable weights to keep afterwards, in (0, 1]; rounded to whole weights, ties to even.
        count: instead, how many weights to keep afterwards.
        by: which come back first: of the largest initial `magnitude`, equal ones in the order of keys and then of
            flat indices; or at `random`.
        scope: `global` ranks the pruned weights of all layers together; `layer` lets every layer grow by the
            same factor, so that the ticket's proportions stay (a layer that is full leaves its share to the
            others, one that keeps nothing stays empty).
        seed: of the random order.
        keep_snapshots: keep the rewind points as well, and the start; `final` goes in any case.

    Raises:
        RecipeError: fewer weights than the ticket keeps, or more than there are, are asked for.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> Grow(density=0.75)(toy_ticket()).density
        0.75

    Reference:
        H. Coffey, C. Edwards, L. McDonald, Merging Lottery Tickets, section VI (growth from a base ticket, left open).
    """

    density: float | None = None
    count: int | None = None
    by: Literal["magnitude", "random"] = "magnitude"
    scope: Literal["global", "layer"] = "global"
    seed: int = 0
    keep_snapshots: bool = False
    takes: ClassVar[Takes] = Takes(1, 1)

    def __post_init__(self) -> None:
        if self.density is not None and self.count is not None:
            raise ValueError(f"give density or count. Received: density={self.density}, count={self.count}")
        if self.density is not None and not 0 < self.density <= 1:
            raise ValueError(f"density must be in (0, 1]. Received: density={self.density}")

    def __call__(self, *tickets: Ticket) -> Ticket:
        ticket = check_tickets(self, tickets)
        pruned = {key: ~mask for key, mask in ticket.masks.items()}
        back = cut(self._scores(ticket), self._more(ticket), pruned, allow_collapse=True)
        masks = {key: sealed(mask | back[key]) for key, mask in ticket.masks.items()}
        return derive(self, tickets, masks, untrained(ticket, self.keep_snapshots))

    def _scores(self, ticket: Ticket) -> Tree:
        if self.by == "magnitude":
            return {key: np.abs(ticket.weights()[key]) for key in ticket.masks}
        return {
            key: generator("grow", self.seed, key).random(mask.shape) for key, mask in ticket.masks.items()
        }

    def _more(self, ticket: Ticket) -> int | Mapping[str, int]:
        """How many weights come back: in all, or by key."""
        kept = {row["key"]: row["kept"] for row in ticket.layers}
        room = {row["key"]: row["total"] - row["kept"] for row in ticket.layers}
        open_room = sum(room[key] for key in room if kept[key] or self.scope == "global")
        most = ticket.kept + open_room
        wanted = self._wanted(ticket, most)
        if not ticket.kept <= wanted <= most:
            raise RecipeError(
                f"grow must end with {ticket.kept} weights, which the ticket keeps, to {most}, which scope="
                f"{self.scope} leaves room for. Received: {wanted}. Choose another count or density."
            )
        if self.scope == "global":
            return wanted - ticket.kept
        sizes = {key: kept[key] + room[key] for key in kept if kept[key]}
        counts = apportion(wanted, {key: kept[key] for key in sizes}, sizes)
        return {key: counts.get(key, 0) - kept[key] for key in kept}

    def _wanted(self, ticket: Ticket, most: int) -> int:
        if self.density is not None:
            return round(self.density * ticket.total)
        return min(2 * ticket.kept, most) if self.count is None else self.count
