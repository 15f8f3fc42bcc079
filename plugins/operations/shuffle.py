"""A mask of the same density per layer and no other information: a control."""

from dataclasses import dataclass
from typing import ClassVar

from kerastickets.plugin import Takes, Ticket, check_tickets, derive, generator, sealed, untrained


@dataclass(frozen=True)
class Shuffle:
    """The ticket with its mask permuted at random within each layer, on the same initial weights.

    Args:
        seed: another seed is another permutation; each layer's depends on `(seed, key)` alone.
        keep_snapshots: keep the rewind points as well, and the start; `final` goes in any case.

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
            generator("shuffle", self.seed, key).shuffle(shuffled.reshape(-1))  # in place, as one row
            masks[key] = sealed(shuffled)
        return derive(self, tickets, masks, untrained(ticket, self.keep_snapshots))
