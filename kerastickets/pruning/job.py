"""A pruning job, whose settings are checked before TensorFlow is imported or any data is read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerastickets.data.dataset import Data
from kerastickets.data.spec import FoundData, find_data
from kerastickets.distribution.strategy import check_strategy
from kerastickets.errors import RecipeError
from kerastickets.pruning.method import Method
from kerastickets.pruning.settings import MethodSettings
from kerastickets.pruning.variants import StartModel
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import find_model, model_recipe
from kerastickets.training.recipe import Recipe, TrainSettings

_METHOD = frozenset(MethodSettings.__annotations__)


class PruneSettings(MethodSettings, TrainSettings, total=False):
    """Every setting of `prune`: those of `Method` and those of `Recipe`."""


@dataclass(frozen=True)
class PruneJob:
    """A pruning job whose settings are checked, before TensorFlow is imported or any data is read.

    Args:
        model: the result of `find_model`.
        data: the result of `find_data`.
        method: how to prune.
        training: the training settings that the caller gave.
        model_name: the model's name, for provenance.
        seed: random seed for initial weights, data order and scoring batches.
        start: a ticket to continue from, or None.
        strategy: where to train: a name, or a `tf.distribute.Strategy`.
    """

    model: Any
    data: FoundData
    method: Method
    training: Mapping[str, Any]
    model_name: str
    seed: int
    start: Ticket | None = None
    strategy: Any = "default"

    @classmethod
    def of(
        cls,
        model: Any,
        data: str | Data,
        criterion: Any = "magnitude",
        *,
        start: Ticket | str | Path | None = None,
        seed: int = 0,
        strategy: Any = "default",
        dials: PruneSettings | None = None,
        model_name: str = "",
    ) -> "PruneJob":
        """Check everything that can be checked without TensorFlow, and make the job; see `prune`."""
        check_strategy(strategy)
        given: dict[str, Any] = dict(dials or {})
        ticket = None if start is None else Ticket.of(start)
        found = _found(model, ticket)
        own, pruning = model_recipe(found)
        if not pruning and ticket:
            pruning = model_recipe(ticket)[1]
        method = Method.of(criterion, {k: v for k, v in given.items() if k in _METHOD}, pruning)  # type: ignore[arg-type]
        training = {k: v for k, v in given.items() if k not in _METHOD and v is not None}
        Recipe.of(training, own)
        own_name = model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__)
        name = model_name or own_name
        if method.pretrained:
            ticket = found if isinstance(found, Ticket) else ticket
            check_trained(found, ticket, name)
        for variant in method.variants:
            variant.check_model(found, name if ticket is None else "a ticket to continue from")
        job = cls(found, find_data(data), method, training, name, 0, ticket, strategy)
        return job.with_seed(seed)

    def with_seed(self, seed: int) -> "PruneJob":
        """The same job with another seed; nothing is looked up again.

        Raises:
            RecipeError: the seed is not an integer of at least 0.
        """
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise RecipeError(f"`seed` must be an integer of at least 0. Received: seed={seed!r}")
        return replace(self, seed=seed)

    def start_model(self, data: Data) -> StartModel:
        """The model that the run begins with. The method's variants may change it.

        Args:
            data: the data set that the model is for.

        Raises:
            RecipeError: a variant cannot change it.
        """
        start = StartModel(self.model, self.model_name)
        for variant in self.method.variants:
            start = variant.start_model(start, data, self.method)
        return start


def check_trained(found: Any, start: Ticket | None, name: str) -> None:
    """Refuse what has no trained weights: a name or a function, whose weights are drawn, and an untrained ticket.

    Raises:
        RecipeError: it has none.
    """
    if start is not None:
        if "final" not in start.snapshots:
            raise RecipeError(
                "`pretrained` needs a trained ticket. Received: one with "
                f"{', '.join(start.snapshots)} only. Train it first: `kt train TICKET`."
            )
    elif callable(found) and not hasattr(found, "get_weights"):
        raise RecipeError(
            f"`pretrained` needs a model with trained weights: a .keras file, a keras.Model or a ticket. Received: "
            f"{name}, whose weights are drawn."
        )


def _found(model: Any, ticket: Ticket | None) -> Any:
    if model is not None:
        return find_model(model)
    if ticket is None:
        raise RecipeError("Give a model, or a ticket to continue from.")
    return ticket
