"""Pruning while fine-tuning: the trained net loses what the target does not need."""

from collections.abc import Generator
from dataclasses import dataclass

from kerastickets.plugin import (
    Data,
    Granularity,
    Head,
    Phase,
    Ticket,
    carried,
    create,
    needed_snapshot,
    phase_durations,
    prune,
)


@dataclass(frozen=True)
class PruneWhileFineTuning:
    """Fine-tune, prune a little, and repeat: `steps` times, by what the loss on the target would change.

    The criterion is `taylor` on training batches of the target, per weight or per output channel, normalised within
    each layer. Every phase lasts equally long. With `unit=channel` the output layer's weights are not pruned.

    Args:
        steps: how many times to prune, at least 1.
        rate: share of the kept weights that each step prunes, in (0, 1).
        unit: `weight`, or `channel`: whole output channels go.
        batches: training batches to average the criterion's gradient over.
        head: the output layer: `same`, `new`, or `auto`, which makes a new, dense one where the target has other
            outputs.

    Raises:
        TicketError: the ticket is not trained.
        RecipeError: the training is too short for so many steps.

    Reference:
        P. Molchanov, S. Tyree, T. Karras, T. Aila, J. Kautz, Pruning Convolutional Neural Networks for Resource
        Efficient Inference, section 2.
    """

    steps: int = 5
    rate: float = 0.1
    unit: Granularity = "weight"
    batches: int = 1
    head: Head = "auto"

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.rate < 1 or self.batches < 1:
            raise ValueError(
                "`steps` and `batches` must be at least 1 and `rate` in (0, 1). "
                f"Received: steps={self.steps}, rate={self.rate}, batches={self.batches}"
            )

    def __call__(self, ticket: Ticket, target: Data, seed: int) -> Generator[Phase, Ticket, None]:
        start = needed_snapshot(ticket, "final", self)
        first, *rest = phase_durations(ticket, target, *[1] * (self.steps + 1))
        trained = yield Phase(carried(ticket, target, seed, self.head), (), first, start)
        for step, duration in enumerate(rest):
            trained = yield Phase(self._pruned(trained, target, seed + step), (), duration, "init")

    def _pruned(self, trained: Ticket, target: Data, seed: int) -> Ticket:
        """One pruning of what is trained, without training; another seed scores on other batches."""
        now = trained.replace(
            snapshots={"init": trained.weights("final")},
            provenance=dict(trained.provenance) | {"start": "init"},
        )
        taylor = create("criteria", "taylor", {"unit": self.unit, "normalise": True, "batches": self.batches})
        run = prune(
            None,
            target,
            taylor,
            start=now,
            seed=seed,
            levels=1,
            rate=self.rate,
            scope="global",
            between="none",
            no_train=True,
            granularity=self.unit,
        )
        # A run gives no mask to layers that it leaves alone and that are whole.
        return now.replace(masks={**now.masks, **run.tickets[-1].masks})
