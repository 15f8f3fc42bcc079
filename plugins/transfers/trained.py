"""Classical transfer: what was learned on the source goes along, fixed or not."""

from collections.abc import Iterator
from dataclasses import dataclass

from kerastickets.plugin import (
    Data,
    Head,
    Phase,
    RecipeError,
    Ticket,
    carried,
    head_keys,
    main_duration,
    needed_snapshot,
    phase_durations,
)


@dataclass(frozen=True)
class FineTune:
    """The weights after training on the source, all of which go on training; what was pruned stays pruned.

    Args:
        head: the output layer: `same`, `new`, or `auto`, which makes a new, dense one where the target has other
            outputs.

    Raises:
        TicketError: the ticket is not trained.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> [(phase.start, phase.frozen) for phase in FineTune()(toy_ticket(), toy_data(), seed=0)]
        [('final', ())]

    Reference:
        J. Yosinski, J. Clune, Y. Bengio, H. Lipson, How transferable are features in deep neural networks?, section 2.
    """

    head: Head = "auto"

    def __call__(self, ticket: Ticket, target: Data, seed: int) -> Iterator[Phase]:
        start = needed_snapshot(ticket, "final", self)
        yield Phase(carried(ticket, target, seed, self.head), (), main_duration(ticket), start)


@dataclass(frozen=True)
class Frozen:
    """The trained lower layers fixed, and an output layer that trains.

    Frozen BatchNormalization layers run in inference mode: their statistics stay, too.

    Args:
        head: the output layer: `new` draws it, `same` goes on from what the source taught it, `auto` does so where
            the target has as many outputs.
        train: glob patterns of weights that train besides the output layer's.

    Raises:
        TicketError: the ticket is not trained.
        RecipeError: the output layer is not Dense.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> [phase.frozen for phase in Frozen()(toy_ticket(), toy_data(), seed=0)]
        [('dense/bias', 'dense/kernel')]

    Reference:
        J. Yosinski, J. Clune, Y. Bengio, H. Lipson, How transferable are features in deep neural networks?, section 2.
    """

    head: Head = "new"
    train: tuple[str, ...] = ()

    def __call__(self, ticket: Ticket, target: Data, seed: int) -> Iterator[Phase]:
        yield _frozen(self, ticket, target, seed)


@dataclass(frozen=True)
class FrozenThenAll(Frozen):
    """First as `frozen`; then all layers train.

    Args:
        share: of the whole duration, how much the frozen phase lasts, in (0, 1).

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> ticket = toy_ticket().replace(provenance={"recipe": {"train": "40it"}})
        >>> plan = FrozenThenAll()(ticket, toy_data(), seed=0)
        >>> first = next(plan)
        >>> second = plan.send(first.ticket)
        >>> len(first.frozen), len(second.frozen), str(second.duration)
        (2, 0, '20it')
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"`share` must be in (0, 1). Received: share={self.share}")

    def __call__(self, ticket: Ticket, target: Data, seed: int) -> Iterator[Phase]:
        first = _frozen(self, ticket, target, seed)
        before, after = phase_durations(ticket, target, self.share, 1 - self.share)
        trained = yield Phase(first.ticket, first.frozen, before, first.start)
        yield Phase(trained, (), after, "final")


def _frozen(protocol: Frozen, ticket: Ticket, target: Data, seed: int) -> Phase:
    from kerastickets.plugin import matches

    start = needed_snapshot(ticket, "final", protocol)
    made = carried(ticket, target, seed, protocol.head)
    keys, head = made.weights(), head_keys(made)
    for pattern in protocol.train:
        if not any(matches(key, pattern) for key in keys):
            raise RecipeError(
                f"`train` must name a weight. Received: {pattern!r}. Weights: {', '.join(keys)}"
            )
    trains = {key for key in keys if key in head or any(matches(key, one) for one in protocol.train)}
    return Phase(made, tuple(key for key in keys if key not in trains), main_duration(ticket), start)
