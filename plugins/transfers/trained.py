"""Protocols of classical transfer: start from the weights trained on the source, frozen or not."""

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
    """Continue to train all weights from their values after training on the source.

    Pruned weights stay pruned.

    Args:
        head: the output layer: `same` keeps it; `new` replaces it by a new, dense one; `auto` replaces it
            only if the target has another number of outputs.

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
    """Train only the output layer; the lower layers keep their trained weights.

    Frozen BatchNormalization layers run in inference mode, so their statistics do not change either.

    Args:
        head: the output layer: `new` replaces it by a newly drawn one; `same` continues from its trained
            weights; `auto` does the latter only if the target has the same number of outputs.
        train: glob patterns of keys of further weights to train, in addition to the output layer's.

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
    """Train first as in `frozen`, then all layers.

    Args:
        share: fraction of the total duration that the frozen phase takes, in (0, 1).

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
