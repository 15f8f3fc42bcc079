"""Operation that shuffles a mask within each layer: a control that keeps only the density of each layer."""

from dataclasses import dataclass
from typing import ClassVar

from kerastickets.plugin import Takes, Ticket, check_tickets, derive, generator, sealed, untrained


@dataclass(frozen=True)
class Shuffle:
    """Permute the mask of a ticket at random within each layer, with the same initial weights.

    Args:
        seed: random seed; the permutation of a layer depends only on the seed and the weight's key.
        keep_snapshots: whether to also keep the rewind points and the start; `final` is always dropped.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> [row["kept"] for row in Shuffle(seed=1)(toy_ticket()).layers] == [
        ...     row["kept"] for row in toy_ticket().layers
        ... ]
        True

    Reference:
        J. Frankle, G. K. Dziugaite, D. M. Roy, M. Carbin, Pruning Neural Networks at Initialization: Why Are We
        Missing the Mark?, section 4.
    """

    seed: int = 0
    keep_snapshots: bool = False
    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket) -> Ticket:
        ticket = check_tickets(self, tickets)
        masks = {}
        for key, mask in ticket.masks.items():
            shuffled = mask.copy()
            generator("shuffle", self.seed, key).shuffle(shuffled.reshape(-1))  # in place, on the flat view
            masks[key] = sealed(shuffled)
        return derive(self, tickets, masks, untrained(ticket, self.keep_snapshots))
