"""New initial weights under a ticket's mask."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from kerastickets.plugin import Takes, Ticket, TicketError, Tree, check_tickets, derive, generator, sealed

Source = Literal["initializer", "trained"]


@dataclass(frozen=True)
class Reinit:
    """The ticket with new initial weights.

    Weights that are not drawn stay as they are: zero biases and, where `source` is `trained`, all that have no mask.

    Args:
        seed: another seed is another draw; each weight's depends on `(seed, key)` alone.
        source: `initializer` draws from each layer's own initializer, as `kt train --start random-reinit`
            does, and needs an architecture; `trained` draws from the values that the layer's kept weights
            have in `final`, each as likely as another.

    Raises:
        TicketError: there is no architecture that can be built, or no `final`.

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
    """The ticket whose prunable weights have new magnitudes and keep the signs of their initial values.

    A weight of exactly 0 has no sign and stays 0. Weights that have no mask stay as they are.

    Args:
        seed: another seed is another draw; each weight's depends on `(seed, key)` alone.
        source: where magnitudes come from, as for `reinit`: `initializer` or `trained`.

    Raises:
        TicketError: there is no architecture that can be built, or no `final`.

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
    """New values by key, in the types of `init`; what has no random initializer, or no kept weight, is left out."""
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
