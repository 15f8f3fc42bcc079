"""Whether a ticket has come apart, and how far on the way it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from kerastickets.combining import Takes, check_tickets
from kerastickets.data import Data
from kerastickets.separation import Counts, separation, separation_degree
from kerastickets.structure import Structure
from kerastickets.ticket import Ticket


@dataclass(frozen=True)
class Separation:
    """Whether the tasks of a data set have subnetworks of their own: interconnected, separated or degraded.

    Subnetworks are the connected parts of what is active. Degraded: a feature that counts lies in none of
    them. Separated: not degraded, and none holds features of two tasks. Interconnected: otherwise.
    `as_published` is the verdict of the thesis's own rule, which goes by the number of subnetworks.

    Args:
        counts: the features that count: `both` inputs and outputs, `inputs`, or `outputs` alone, as for images
            whose border no task needs.

    Raises:
        DataError: the data set names no tasks.
        TicketError: the network has other inputs or outputs, or a layer that cannot be followed.

    Example:
        >>> from kerastickets import prune
        >>> from kerastickets.dataspec import data_of
        >>> run = prune("mlp:4-4", "moons-circles", levels=1, rate=0.1, train="1ep", jit="off")
        >>> Separation()(run.tickets[0], data=data_of("moons-circles"))["category"]
        'interconnected'

    Reference:
        Structure of winning tickets (thesis, seeds/004), section 3.5.
    """

    counts: Counts = "both"
    takes: ClassVar[Takes] = Takes(1, 1)
    needs_data: ClassVar[bool] = True

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> Mapping[str, Any]:
        return separation(Structure.of(check_tickets(self, tickets)), data, self.counts)


@dataclass(frozen=True)
class SeparationDegree:
    """The share of each layer's neurons that belong to one task, seen from the outputs and from the inputs.

    Raises:
        DataError: the data set names no tasks.
        TicketError: the network has other inputs or outputs, or a layer that cannot be followed.

    Reference:
        Structure of winning tickets (thesis, seeds/004), section 4.2.4.
    """

    takes: ClassVar[Takes] = Takes(1, 1)
    needs_data: ClassVar[bool] = True

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> Mapping[str, Any]:
        return separation_degree(Structure.of(check_tickets(self, tickets)), data)
