"""The winning ticket itself: what the transfer literature's other protocols are compared with."""

from collections.abc import Iterator
from dataclasses import dataclass

import kerastickets as kt
from kerastickets.plugin import Data, Phase, main_duration


@dataclass(frozen=True)
class Ticket:
    """The ticket as it is: its mask, its initial weights and its output layer.

    A target with other outputs is refused; `new-head` is for those.

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
