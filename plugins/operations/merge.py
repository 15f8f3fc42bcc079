"""Operations that merge several tickets of one architecture: by dominance (DTM) or by averaging (ATM)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np

from kerastickets.plugin import Takes, Ticket, check_tickets, derive, sealed

Arrays = Sequence[np.ndarray]

# The start of a sum. -0.0 + x equals x for every x, but 0.0 + -0.0 would lose the sign.
_NOTHING = -0.0
# Number of weights per block, small enough that the float64 sums stay in the processor's cache.
_BLOCK = 1 << 15


@dataclass(frozen=True)
class Dtm:
    """Dominant ticket merging: the tickets are ranked in the given order, and the first one dominates.

    The merge starts at the lowest rank with a running sum. The sum is added to the next higher ticket at
    every weight that this ticket keeps, and dropped at every weight that it prunes. The result keeps exactly
    the weights that the dominant ticket keeps. The order of the tickets matters.

    Merging uses the snapshot `init` and computes in float64. The masks decide which weights a ticket keeps,
    so a kept weight of exactly 0 counts. The dominant ticket's own values remain at its pruned weights and
    for weights without a mask, such as biases. Later snapshots are dropped.

    Raises:
        TicketError: there are fewer than two tickets.
        AlignError: the tickets belong to different models.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> merged = Dtm()(toy_ticket(), toy_ticket(1))
        >>> merged.kept == toy_ticket().kept, merged == Dtm()(toy_ticket(1), toy_ticket())
        (True, False)

    Reference:
        H. Coffey, C. Edwards, L. McDonald, Merging Lottery Tickets, section III and figure 1.
    """

    takes: ClassVar[Takes] = Takes(2)

    def __call__(self, *tickets: Ticket) -> Ticket:
        first = check_tickets(self, tickets)
        init = dict(first.weights())
        for key in first.masks:
            init[key] = _merged(dominated, *_layers(tickets, key))
        return derive(self, tickets, snapshots={"init": init})


@dataclass(frozen=True)
class Atm:
    """Average ticket merging: each weight becomes its mean over the tickets that keep it.

    The result keeps every weight that any ticket keeps. The order of the tickets does not change a single bit
    of the file, because they are sorted by digest. `parents` lists them in this order, and everything except
    masks and weights comes from the first ticket in this order.

    Merging uses the snapshot `init` and computes in float64. The masks decide which weights a ticket keeps,
    so a kept weight of exactly 0 counts. Weights that no ticket keeps, and weights without a mask, such as
    biases, get the mean over all tickets. Variables that are not floating-point numbers come from the first
    ticket. Later snapshots are dropped.

    Raises:
        TicketError: there are fewer than two tickets.
        AlignError: the tickets belong to different models.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> merged = Atm()(toy_ticket(), toy_ticket(1))
        >>> merged.kept > toy_ticket().kept, merged == Atm()(toy_ticket(1), toy_ticket())
        (True, True)

    Reference:
        H. Coffey, C. Edwards, L. McDonald, Merging Lottery Tickets, section III and figure 2.
    """

    takes: ClassVar[Takes] = Takes(2)

    def __call__(self, *tickets: Ticket) -> Ticket:
        check_tickets(self, tickets)
        tickets = tuple(sorted(tickets, key=lambda ticket: ticket.digest))
        init, masks = {}, {}
        for key in tickets[0].weights():
            weights, kept = _layers(tickets, key)
            init[key] = _merged(averaged, weights, kept)
            if kept:
                masks[key] = sealed(reduce(np.logical_or, kept))
        return derive(self, tickets, masks, {"init": init})


def dominated(weights: Arrays, masks: Arrays) -> np.ndarray:
    """Merge the weights of tickets by dominance, in float64; the dominant ticket comes first.

    Example:
        >>> a, b, c = np.array([0.25, 0.0, 0.75]), np.array([0.5, 0.75, 0.0]), np.array([0.0, 0.25, 0.5])
        >>> dominated([a, b, c], [a != 0, b != 0, c != 0])
        array([0.75, 0.  , 0.75])
    """
    total = np.full(weights[0].shape, _NOTHING)
    for weight, mask in zip(weights[::-1], masks[::-1], strict=True):
        total = _kept(weight + total, mask)
    return np.where(masks[0], total, weights[0])


def averaged(weights: Arrays, masks: Arrays) -> np.ndarray:
    """The mean of each weight over the tickets that keep it, or over all tickets if none keeps it; float64.

    Args:
        weights: one array per ticket, all of the same shape.
        masks: one boolean array of that shape per ticket; an empty sequence if the weights have no mask.

    Example:
        >>> a, b = np.array([0.25, 0.0, 0.0]), np.array([0.5, 0.75, 3.0])
        >>> averaged([a, b], [a != 0, np.array([True, True, False])])
        array([0.375, 0.75 , 1.5  ])
    """
    if not masks:
        return _mean(weights)
    total, count = np.full(weights[0].shape, _NOTHING), np.zeros(weights[0].shape, "uint16")
    for weight, mask in zip(weights, masks, strict=True):
        total += _kept(weight, mask)
        count += mask
    mean = total / np.maximum(count, 1)
    return mean if count.all() else np.where(count, mean, _mean(weights))


def _kept(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return `values` where `mask` keeps them, and -0.0 elsewhere.

    This works on the bits: `np.where` branches at every weight, which takes three times as long for random
    masks.
    """
    bits = np.dtype(f"u{values.dtype.itemsize}")
    pruned = mask.astype(bits) - bits.type(1)  # 0 where kept, all ones elsewhere
    kept = values.view(bits) & ~pruned
    pruned <<= bits.type(8 * bits.itemsize - 1)  # the bit of the sign
    kept |= pruned
    return kept.view(values.dtype)


def _mean(weights: Arrays) -> np.ndarray:
    total = np.full(weights[0].shape, _NOTHING)
    for weight in weights:
        total += weight
    return total / len(weights)


def _layers(tickets: Sequence[Ticket], key: str) -> tuple[Arrays, Arrays]:
    weights = [ticket.weights()[key] for ticket in tickets]
    return weights, [ticket.masks[key] for ticket in tickets if key in ticket.masks]


def _merged(merge: Callable[[Arrays, Arrays], np.ndarray], weights: Arrays, masks: Arrays) -> np.ndarray:
    """Apply `merge` to a layer, block by block; the result has the type of the first weights."""
    if weights[0].dtype.kind != "f":
        return weights[0]
    result = np.empty_like(weights[0])
    flat, rows = result.reshape(-1), [array.reshape(-1) for array in (*weights, *masks)]
    for begin in range(0, result.size, _BLOCK):
        part = slice(begin, begin + _BLOCK)
        blocks = [row[part] for row in rows]
        flat[part] = merge(blocks[: len(weights)], blocks[len(weights) :])
    return sealed(result)
