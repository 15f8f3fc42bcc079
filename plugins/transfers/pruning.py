"""Transfer protocol that prunes while it fine-tunes: the trained net loses weights that the target does not need."""

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
    """Fine-tune, prune a little, and repeat.

    Each step prunes the weights whose removal changes the loss on the target least.

    The criterion is `taylor` on training batches of the target, per weight or per output channel, normalised
    within each layer. All phases have the same duration. With `unit=channel`, the output layer's weights are
    not pruned.

    Args:
        steps: number of times to prune, at least 1.
        rate: fraction of the kept weights that each step prunes, in (0, 1).
        unit: `weight` prunes single weights; `channel` prunes whole output channels.
        batches: number of training batches over which to average the criterion's gradient, at least 1.
        head: the output layer: `same` keeps it; `new` replaces it by a new, dense one; `auto` replaces it
            only if the target has another number of outputs.

    Raises:
        TicketError: the ticket is not trained.
        RecipeError: the training is too short for this number of steps.

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
        """Prune the trained ticket once, without training; the seed decides the batches for scoring."""
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
        # The run returns no mask for layers that it does not prune and that were never pruned.
        return now.replace(masks={**now.masks, **run.tickets[-1].masks})
