"""The variant `all_alive`: cut until as many alive weights are left as were asked for."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree, kept, masked
from kerastickets.pruning.variants import Count, Cut, Cutter, MethodLike, Variant
from kerastickets.structure.all_alive import alive, alive_masks, bare
from kerastickets.structure.tracing import trace
from kerastickets.tickets.ticket import Ticket


class OnlyAlive(Variant):
    """Drop weights on no path from input to output, and keep others in their place.

    Reference:
        D. Kim, H. Shim, J. Lee, Waste Not, Want Not: All-Alive Pruning for Extremely Sparse Networks (2021).
    """

    def scope(self, rate: Any) -> str | None:
        """Alive weights are counted over all layers together, unless rates by pattern ask for layers."""
        return None if hasattr(rate, "keys") else "global"

    def check(self, method: MethodLike) -> None:
        """Refuse another scope or granularity."""
        if (method.scope, method.granularity) != ("global", "weight"):
            raise RecipeError(
                "`all_alive` counts weights over all layers: it needs scope global and granularity weight. "
                f"Received: scope={method.scope}, granularity={method.granularity}"
            )

    def check_ticket(self, ticket: Ticket) -> None:
        """Refuse a model with a layer that cannot be followed."""
        trace(ticket)

    def wrap(self, cut: Cutter) -> Cutter:
        """Search for the cut that leaves as many alive weights as were asked for."""

        def cut_alive(ticket: Ticket, count: Count) -> Cut:
            found = largest_alive(
                ticket, lambda number: cut(ticket, number).masks, cast(int, count), ticket.kept
            )
            return replace(found, facts={"all_alive": dict(found.facts)})

        return cut_alive


def largest_alive(ticket: Ticket, cut_to: Callable[[int], Tree], target: int, most: int) -> Cut:
    """The cut that leaves the most alive weights not above a target.

    What a cut keeps in vain is given back: more is kept, of which again some is in vain.

    Args:
        ticket: what to cut.
        cut_to: masks that keep so many weights; of two counts the larger keeps all that the smaller does.
        target: alive weights to have at most.
        most: the largest count that can be kept, at least the target.

    Returns:
        The masks of the alive weights, all snapshots with constants folded, and facts: `target`, the weights
        that were `cut_to`, those `alive`, and the `shortfall`, target less alive.
    """
    # At the target nothing above it can be alive; above `most` there is nothing to keep.
    low, high = min(target, most), most + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = kept(alive_masks(bare(ticket, cut_to(middle)))) <= target
        low, high = (middle, high) if fits else (low, middle)
    masks = cut_to(low)
    trees = {name: _trained(name, weights, masks) for name, weights in ticket.snapshots.items()}
    left, snapshots = alive(ticket.replace(masks=masks, snapshots=trees))
    count = kept(left)
    return Cut(
        left, snapshots, {"target": target, "cut_to": low, "alive": count, "shortfall": target - count}
    )


def _trained(name: str, weights: Tree, masks: Tree) -> Tree:
    """A snapshot as it is under masks that keep less."""
    return masked(weights, masks) if name == "final" else weights
