"""Transfer protocol that gives a ticket a new output layer, for targets with other classes."""

from collections.abc import Iterator
from dataclasses import dataclass

from kerastickets.plugin import Data, HeadDensity, Phase, Ticket, main_duration, new_head


@dataclass(frozen=True)
class NewHead:
    """Train the ticket's mask and initial weights with a new output layer. No other layer changes.

    The output layer is replaced even if the target has the same number of outputs. It must be Dense, in a
    Sequential or Functional model, with only activations after it.

    Args:
        density: density of the new layer: `dense` keeps all its weights; `ticket` keeps the same fraction as
            the whole ticket; `layer` keeps the same fraction as the old output layer. Their positions are
            random.

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
