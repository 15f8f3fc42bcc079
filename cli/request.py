"""A request of `kt prune`: checked before TensorFlow is imported, and sent to worker processes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import click

from kerastickets.errors import RecipeError
from kerastickets_cli.options import own_objects, search_here

if TYPE_CHECKING:
    from kerastickets.pruning.job import PruneJob, PruneSettings

_MODEL, _DATASET = "lenet-300-100", "digits"


@dataclass(frozen=True)
class Request:
    """The runs that one command asks for, for any seed.

    Args:
        model: the model's spec, or None for the model of `start`.
        dataset: the data set's spec.
        criterion: the criterion's spec.
        start: the file of a ticket to continue from, or None.
        settings: the settings that were given on the command line.
        accept_versions: whether to continue a run that was begun with other library versions.
        strategy: where to train.
        checkpoint_every: how often to keep the state of a level's training, in minutes; 0 never.
        custom: the own classes and functions that models are made of, as `MODULE:NAME` or `MODULE`.
    """

    model: str | None
    dataset: str
    criterion: str
    start: str | None
    settings: Mapping[str, Any]
    accept_versions: bool
    strategy: str = "default"
    checkpoint_every: float = 10.0
    custom: tuple[str, ...] = ()

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
        checkpoint_every: float = 10.0,
        custom: tuple[str, ...] = (),
    ) -> "Request":
        """Fill in what was left out: from the ticket to continue from, or else LeNet-300-100 and digits."""
        if start is not None:
            from kerastickets.tickets.ticket import Ticket

            dataset = dataset or Ticket.load(start).provenance.get("dataset")
        else:
            model = model or _MODEL
        given = str(dataset or _DATASET), criterion, start, settings, accept_versions, strategy
        return cls(model, *given, checkpoint_every, custom)

    @cached_property
    def _job(self) -> "PruneJob":
        from kerastickets.distribution.strategy import check_strategy
        from kerastickets.pruning.job import PruneJob
        from kerastickets.training.model_source import find_model

        # A missing model and a wrong environment are no usage errors, so they are looked at before the settings.
        search_here(self.model)
        found = None if self.model is None else find_model(self.model)
        check_strategy(self.strategy)
        try:
            return PruneJob.of(
                found,
                self.dataset,
                self.criterion,
                start=self.start,
                strategy=self.strategy,
                dials=cast("PruneSettings", dict(self.settings)),
                model_name=self.model or "",
            )
        except RecipeError as error:
            raise click.UsageError(str(error), click.get_current_context(silent=True)) from error

    @cached_property
    def custom_objects(self) -> dict[str, Any]:
        """The own classes and functions by name. They are imported again in each process.

        Raises:
            KerasTicketsError: a module does not import or has no such name.
        """
        return own_objects(self.custom)

    def __getstate__(self) -> dict[str, Any]:
        # A job may hold objects that cannot be sent to another process. There it is looked up again.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def job(self, seed: int) -> "PruneJob":
        """The checked job of one seed. Model and data are looked up only once for all seeds.

        Raises:
            click.UsageError: a setting is out of range or contradicts another.
            KerasTicketsError: a name, a file or a plugin's option does not exist.
        """
        return self._job.with_seed(seed)
