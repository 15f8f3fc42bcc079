"""Operations that draw new initial weights for a ticket and keep its mask."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from kerastickets.plugin import Takes, Ticket, TicketError, Tree, check_tickets, derive, generator, sealed

Source = Literal["initializer", "trained"]


@dataclass(frozen=True)
class Reinit:
    """Draw new initial weights for a ticket; its mask stays the same.

    Some weights stay unchanged: weights with a constant initializer, such as zero biases, and, if `source` is
    `trained`, all weights without a mask.

    Args:
        seed: random seed of the draw; the values of a weight depend only on the seed and the weight's key.
        source: `initializer` draws from each layer's own initializer, like `kt train --start random-reinit`,
            and needs an architecture; `trained` draws with equal probability from the values that the layer's
            kept weights have in `final`.

    Raises:
        TicketError: the ticket has no architecture that can be built, or no snapshot `final`.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> made = Reinit(seed=1, source="trained")(toy_ticket())
        >>> bool(np.isin(made.weights()["dense/kernel"], toy_ticket().weights("final")["dense/kernel"]).all())
        True

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, section 2 (random reinitialisation).
    """

    seed: int = 0
    source: Source = "initializer"
    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket) -> Ticket:
        ticket = check_tickets(self, tickets)
        init = {**ticket.weights(), **drawn(ticket, self.source, self.seed)}
        return derive(self, tickets, snapshots={"init": init})


@dataclass(frozen=True)
class ReinitSign:
    """Draw new magnitudes for the prunable weights of a ticket; the signs of their initial values stay.

    A weight of exactly 0 has no sign and stays 0. Weights without a mask stay unchanged.

    Args:
        seed: random seed of the draw; the values of a weight depend only on the seed and the weight's key.
        source: where the magnitudes come from, as for `reinit`: `initializer` or `trained`.

    Raises:
        TicketError: the ticket has no architecture that can be built, or no snapshot `final`.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> made, old = (t.weights()["dense/kernel"] for t in (ReinitSign()(toy_ticket()), toy_ticket()))
        >>> bool((np.sign(made) == np.sign(old)).all()), bool((made == old).any())
        (True, False)

    Reference:
        H. Zhou, J. Lan, R. Liu, J. Yosinski, Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask,
        section 4.
    """

    seed: int = 0
    source: Source = "initializer"
    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket) -> Ticket:
        ticket = check_tickets(self, tickets)
        init = dict(ticket.weights())
        for key, value in drawn(ticket, self.source, self.seed).items():
            if key in ticket.masks:
                init[key] = sealed(np.abs(value) * np.sign(init[key]))
        return derive(self, tickets, snapshots={"init": init})


def drawn(ticket: Ticket, source: Source, seed: int) -> Tree:
    """New values by key, in the types of `init`.

    Keys without a random initializer or a kept weight are left out.
    """
    new = _from_initializers(ticket, seed) if source == "initializer" else _from_final(ticket, seed)
    init = ticket.weights()
    return {key: sealed(np.array(value, init[key].dtype)) for key, value in new.items()}


def _from_initializers(ticket: Ticket, seed: int) -> Tree:
    from kerastickets.plugin import draw_weights

    return draw_weights(ticket.build(), seed, "reinit")


def _from_final(ticket: Ticket, seed: int) -> Tree:
    if "final" not in ticket.snapshots:
        raise TicketError(
            "source=trained draws from the weights after training. Received: a ticket with the snapshots "
            f"{', '.join(ticket.snapshots)}. Train it first (`kt train`), or use source=initializer."
        )
    final = ticket.weights("final")
    return {
        key: generator("reinit", seed, key).choice(final[key][mask], mask.shape)
        for key, mask in ticket.masks.items()
        if mask.any()
    }
