"""Which weights and neurons of a ticket can matter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from kerastickets.combining import Takes, check_tickets
from kerastickets.data import Data
from kerastickets.structure import Structure as Reached
from kerastickets.ticket import Ticket


@dataclass(frozen=True)
class Structure:
    """How many weights and neurons are active, inactive, zombie, pruned or isolated, by layer and in total.

    A kept weight is inactive where no path leads from it to an output, a zombie where a path does but none
    comes from an input, else active. A neuron is isolated where nothing kept leads to it or from it.
    Channels of convolutions are neurons; from channel to channel a path leads over any weight of the kernel.
    `shares` are of the unpruned weights, `dead_inputs` the inputs on no path to an output, and `effective`
    the weights that are left when all that cannot matter is taken away.

    Raises:
        TicketError: the model has a layer that cannot be followed; names it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> Structure()(toy_ticket())["totals"]["pruned"] == toy_ticket().total - toy_ticket().kept
        True

    Reference:
        Structure of winning tickets (thesis, seeds/004), section 3.3.
    """

    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> Mapping[str, Any]:
        return Reached.of(check_tickets(self, tickets)).facts()
