"""A ticket whose output layer is drawn anew, for targets of other classes."""

from collections.abc import Iterator
from dataclasses import dataclass

from kerastickets.plugin import Data, HeadDensity, Phase, Ticket, main_duration, new_head


@dataclass(frozen=True)
class NewHead:
    """The ticket's mask and initial weights, with an output layer drawn anew. No other layer changes.

    It is drawn anew where the target has as many outputs, too. The output layer must be Dense, in a Sequential or
    Functional model, with nothing but activations behind it.

    Args:
        density: how much of the new layer lives: `dense` all of it, `ticket` as large a share as the whole ticket
            keeps, `layer` as the old output layer kept, at random places.

    Raises:
        RecipeError: the ticket's model ends in another kind of layer.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> [phase] = NewHead("ticket")(toy_ticket(), toy_data(), seed=0)
        >>> phase.ticket.layers[1]["density"]
        0.5

    Reference:
        R. Van Soelen, J. W. Sheppard, Using Winning Lottery Tickets in Transfer Learning for Convolutional Neural
        Networks, section VI (future work: data sets with different numbers of classes).
    """

    density: HeadDensity = "dense"

    def __call__(self, ticket: Ticket, target: Data, seed: int) -> Iterator[Phase]:
        made = new_head(ticket, target.outputs, seed, density=self.density)
        yield Phase(made, (), main_duration(ticket), "init")
