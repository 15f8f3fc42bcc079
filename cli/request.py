"""What `kt prune` was asked for: checked before TensorFlow is imported, and carried to worker processes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import click

from kerastickets.errors import RecipeError
from kerastickets_cli.options import search_here

if TYPE_CHECKING:
    from kerastickets.pruning.job import PruneJob, PruneSettings

_MODEL, _DATASET = "lenet-300-100", "digits"


@dataclass(frozen=True)
class Request:
    """What one command asks for, for any seed.

    Args:
        model: a model's spec, or None for the model of `start`.
        dataset: a data set's spec.
        criterion: a criterion's spec.
        start: a ticket's file, or None.
        settings: the settings that were given.
        accept_versions: continue what other library versions began.
        strategy: where to train.
    """

    model: str | None
    dataset: str
    criterion: str
    start: str | None
    settings: Mapping[str, Any]
    accept_versions: bool
    strategy: str = "default"

    @classmethod
    def of(
        cls,
        model: str | None,
        dataset: str | None,
        criterion: str,
        start: str | None,
        settings: Mapping[str, Any],
        accept_versions: bool = False,
        strategy: str = "default",
    ) -> "Request":
        """With what was left out filled in: from the ticket, else LeNet-300-100 on digits."""
        if start is not None:
            from kerastickets.tickets.ticket import Ticket

            dataset = dataset or Ticket.load(start).provenance.get("dataset")
        else:
            model = model or _MODEL
        return cls(model, str(dataset or _DATASET), criterion, start, settings, accept_versions, strategy)

    @cached_property
    def _job(self) -> "PruneJob":
        from kerastickets.distribution.strategy import check_strategy
        from kerastickets.pruning.job import PruneJob

        search_here(self.model)
        # A wrong environment is no usage error, so it is looked at before the settings.
        check_strategy(self.strategy)
        try:
            return PruneJob.of(
                self.model,
                self.dataset,
                self.criterion,
                start=self.start,
                strategy=self.strategy,
                dials=cast("PruneSettings", dict(self.settings)),
            )
        except RecipeError as error:
            raise click.UsageError(str(error), click.get_current_context(silent=True)) from error

    def __getstate__(self) -> dict[str, Any]:
        # A job may hold what cannot be sent to another process: there it is looked up anew.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def job(self, seed: int) -> "PruneJob":
        """The checked job of one seed. Model and data are looked up once, however many seeds ask.

        Raises:
            click.UsageError: a setting is out of range or contradicts another.
            KerasTicketsError: a name, file or option of a plugin that is not there.
        """
        return self._job.with_seed(seed)
