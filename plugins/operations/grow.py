"""Operation that adds pruned weights back to a base ticket."""

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
    """Add pruned weights back to a ticket, with the same initial weights, until it keeps a given number.

    With neither `count` nor `density`, the ticket then keeps twice as many weights as before, or all of them.

    Args:
        density: fraction of all prunable weights to keep afterwards, in (0, 1]; rounded to whole weights,
            ties to even.
        count: number of weights to keep afterwards; give this or `density`, not both.
        by: which weights come back first: `magnitude` takes the largest initial magnitudes (ties in the order
            of keys, then of flat indices), `random` takes a random order.
        scope: `global` ranks the pruned weights of all layers together; `layer` grows every layer by the same
            factor, which preserves the ticket's proportions (a full layer leaves its part to the others, and
            an empty layer stays empty).
        seed: random seed of the random order.
        keep_snapshots: whether to also keep the rewind points and the start; `final` is always dropped.

    Raises:
        RecipeError: the requested number is smaller than the number of kept weights, or larger than there is
            room for.

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
            raise ValueError(
                f"give density or count, not both. Received: density={self.density}, count={self.count}"
            )
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
        """The number of weights that come back: in total, or by key."""
        kept = {row["key"]: row["kept"] for row in ticket.layers}
        room = {row["key"]: row["total"] - row["kept"] for row in ticket.layers}
        open_room = sum(room[key] for key in room if kept[key] or self.scope == "global")
        most = ticket.kept + open_room
        wanted = self._wanted(ticket, most)
        if not ticket.kept <= wanted <= most:
            raise RecipeError(
                f"grow must end with at least {ticket.kept} weights, which the ticket keeps, and at most {most}, for "
                f"which scope={self.scope} has room. Received: {wanted}. Choose another count or density."
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
