"""What `kt prune` was asked for: checked before TensorFlow is imported, and carried to worker processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import click

from kerastickets.data.spec import find_data
from kerastickets.distribution.strategy import check_strategy
from kerastickets.errors import RecipeError
from kerastickets_cli.options import find_model

if TYPE_CHECKING:
    from kerastickets.pruning.prune_model import PruneDials, PruneJob

_MODEL, _DATASET = "lenet-300-100", "digits"


@dataclass(frozen=True)
class Request:
    """One command's question, for any seed.

    Args:
        model: a model's spec, or None for the model of `start`.
        dataset: a data set's spec.
        criterion: a criterion's spec.
        start: a ticket's file, or None.
        dials: the dials that were given.
        accept_versions: continue what other library versions began.
        strategy: where to train.
    """

    model: str | None
    dataset: str
    criterion: str
    start: str | None
    dials: Mapping[str, Any]
    accept_versions: bool
    strategy: str = "default"

    @classmethod
    def of(
        cls,
        model: str | None,
        dataset: str | None,
        criterion: str,
        start: str | None,
        dials: Mapping[str, Any],
        accept_versions: bool = False,
        strategy: str = "default",
    ) -> "Request":
        """With what was left out filled in: from the ticket, else LeNet-300-100 on digits."""
        if start is not None:
            from kerastickets.tickets.ticket import Ticket

            dataset = dataset or Ticket.load(start).provenance.get("dataset")
        else:
            model = model or _MODEL
        return cls(model, str(dataset or _DATASET), criterion, start, dials, accept_versions, strategy)

    def job(self, seed: int) -> "PruneJob":
        """The checked job of one seed.

        Raises:
            click.UsageError: a dial that is out of range or contradicts another.
            KerasTicketsError: a name, file or option of a plugin that is not there.
        """
        from kerastickets.pruning.prune_model import PruneJob

        find_model(self.model)
        find_data(self.dataset)
        # The environment is wrong then, not the command: no usage error.
        check_strategy(self.strategy)
        dials = cast("PruneDials", dict(self.dials))
        try:
            return PruneJob.of(
                self.model,
                self.dataset,
                self.criterion,
                start=self.start,
                seed=seed,
                strategy=self.strategy,
                dials=dials,
            )
        except RecipeError as error:
            raise click.UsageError(str(error), click.get_current_context(silent=True)) from error
