"""Transfer protocols for controls of a ticket: its topology alone, no topology at all, or a dense net of its size."""

from collections.abc import Iterator
from dataclasses import dataclass

from kerastickets.plugin import Data, Head, Phase, Ticket, carried, control, main_duration


@dataclass(frozen=True)
class RandomReinit:
    """Train the ticket's mask with newly drawn weights.

    Args:
        head: the output layer: `same` keeps it; `new` replaces it by a new, dense one; `auto` replaces it
            only if the target has another number of outputs.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> [phase] = RandomReinit()(toy_ticket(), toy_data(), seed=0)
        >>> phase.ticket.kept == toy_ticket().kept
        True

    Reference:
        R. Van Soelen, J. W. Sheppard, Using Winning Lottery Tickets in Transfer Learning for Convolutional Neural
        Networks, section IV, table III.
    """

    head: Head = "auto"

    def __call__(self, ticket: Ticket, target: Data, seed: int) -> Iterator[Phase]:
        yield _phase("random-reinit", ticket, target, seed, self.head)


@dataclass(frozen=True)
class Dense:
    """Train a dense baseline from scratch: the source's initial weights without a mask.

    It starts from the same initial weights as the ticket, so the two differ only in the mask.

    Args:
        head: the output layer: `same` keeps it; `new` replaces it by a new one; `auto` replaces it only if
            the target has another number of outputs.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> [phase] = Dense()(toy_ticket(), toy_data(), seed=0)
        >>> phase.ticket.density
        1.0

    Reference:
        R. Van Soelen, J. W. Sheppard, Using Winning Lottery Tickets in Transfer Learning for Convolutional Neural
        Networks, section IV.
    """

    head: Head = "auto"

    def __call__(self, ticket: Ticket, target: Data, seed: int) -> Iterator[Phase]:
        yield _phase("dense", ticket, target, seed, self.head)


@dataclass(frozen=True)
class SmallDense:
    """Train a dense net with about as many weights as the ticket keeps: all hidden widths are scaled by one factor.

    Args:
        head: the output layer: `same` keeps it; `new` replaces it by a new one; `auto` replaces it only if
            the target has another number of outputs.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> [phase] = SmallDense()(toy_ticket(), toy_data(), seed=0)
        >>> toy_ticket().kept, phase.ticket.kept, phase.ticket.total
        (222, 222, 222)

    Reference:
        M. Zhu, S. Gupta, To prune, or not to prune: exploring the efficacy of pruning for model compression, section 4.
    """

    head: Head = "auto"

    def __call__(self, ticket: Ticket, target: Data, seed: int) -> Iterator[Phase]:
        yield _phase("small-dense", ticket, target, seed, self.head)


def _phase(kind: str, ticket: Ticket, target: Data, seed: int, head: Head) -> Phase:
    made = control(carried(ticket, target, seed, head), kind, seed)
    return Phase(made, (), main_duration(ticket), "init")
