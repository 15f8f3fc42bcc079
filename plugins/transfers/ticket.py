"""Transfer protocol that trains the winning ticket itself, with which the literature compares its other protocols."""

from collections.abc import Iterator
from dataclasses import dataclass

import kerastickets as kt
from kerastickets.plugin import Data, Phase, main_duration


@dataclass(frozen=True)
class Ticket:
    """Train the ticket unchanged: its mask, its initial weights and its output layer.

    Targets with another number of outputs are refused; use `new-head` for them.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> [phase.start for phase in Ticket()(toy_ticket(), toy_data(), seed=0)]
        ['init']

    Reference:
        R. Van Soelen, J. W. Sheppard, Using Winning Lottery Tickets in Transfer Learning for Convolutional Neural
        Networks, section III.
    """

    def __call__(self, ticket: kt.Ticket, target: Data, seed: int) -> Iterator[Phase]:
        yield Phase(ticket, (), main_duration(ticket), "init")
