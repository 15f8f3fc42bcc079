"""The variant `all_alive`: choose the cut so that the requested number of alive weights is left.

A weight is alive if it lies on a path from input to output.
"""

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
        """The scope is `global`, since alive weights are counted over all layers. Rates by pattern leave it open."""
        return None if hasattr(rate, "keys") else "global"

    def check(self, method: MethodLike) -> None:
        """Refuse any scope but `global`, and any granularity but `weight`."""
        if (method.scope, method.granularity) != ("global", "weight"):
            raise RecipeError(
                "`all_alive` counts weights over all layers: it needs scope global and granularity weight. "
                f"Received: scope={method.scope}, granularity={method.granularity}"
            )

    def check_ticket(self, ticket: Ticket) -> None:
        """Refuse a model with a layer through which paths cannot be traced."""
        trace(ticket)

    def wrap(self, cut: Cutter) -> Cutter:
        """Search for the cut that leaves the requested number of alive weights."""

        def cut_alive(ticket: Ticket, count: Count) -> Cut:
            found = largest_alive(
                ticket, lambda number: cut(ticket, number).masks, cast(int, count), ticket.kept
            )
            return replace(found, facts={"all_alive": dict(found.facts)})

        return cut_alive


def largest_alive(ticket: Ticket, cut_to: Callable[[int], Tree], target: int, most: int) -> Cut:
    """Find the cut that leaves as many alive weights as possible, but not more than `target`.

    A cut keeps some weights that are not alive. To make up for them, it may keep more than `target` weights, of which
    again some are not alive. So a binary search finds the number of weights to keep.

    Args:
        ticket: the ticket to cut.
        cut_to: gives masks that keep a certain number of weights. The masks of a larger number must keep all weights
            that those of a smaller number keep.
        target: the largest number of alive weights.
        most: the largest number of weights that can be kept, at least `target`.

    Returns:
        The masks of the alive weights, all snapshots with constants folded, and facts: `target`, the number of weights
        kept before dead ones were removed (`cut_to`), the number of `alive` weights, and the `shortfall`, which is
        target minus alive.
    """
    # A cut to `target` cannot have more alive weights than that. Above `most` no more weights can be kept.
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
    """A snapshot under masks that keep fewer weights: `final` is zero where pruned, others are unchanged."""
    return masked(weights, masks) if name == "final" else weights
