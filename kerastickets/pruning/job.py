"""A pruning job: every dial checked before TensorFlow is imported or any data is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kerastickets.data.dataset import Data
from kerastickets.distribution.strategy import check_strategy
from kerastickets.errors import RecipeError
from kerastickets.pruning.method import Method
from kerastickets.pruning.settings import MethodDials
from kerastickets.pruning.widening import Extension, check_extendable
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import find_model, model_recipe
from kerastickets.training.recipe import Dials, Recipe

_METHOD = frozenset(MethodDials.__annotations__)


class PruneDials(MethodDials, Dials, total=False):
    """Every dial of `prune`: those of `Method` and those of `Recipe`."""


@dataclass(frozen=True)
class PruneJob:
    """A pruning job whose dials are checked, before TensorFlow is imported or any data read.

    Args:
        model: what `find_model` found.
        data: a data set's spec, or a `Data`.
        method: how to prune.
        dials: how to train, as far as the caller said.
        model_name: for provenance.
        seed: keys initial weights, data order and scoring batches.
        start: a ticket to continue from, or None.
        strategy: where to train: a name, or a `tf.distribute.Strategy`.
    """

    model: Any
    data: str | Data
    method: Method
    dials: Mapping[str, Any]
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
        dials: PruneDials | None = None,
    ) -> "PruneJob":
        """Check everything that can be checked without TensorFlow; see `prune`."""
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise RecipeError(f"`seed` must be an integer of at least 0. Received: seed={seed!r}")
        check_strategy(strategy)
        given: dict[str, Any] = dict(dials or {})
        ticket = start if isinstance(start, Ticket) or start is None else Ticket.load(start)
        found = _found(model, ticket)
        method_dials = {name: value for name, value in given.items() if name in _METHOD}
        train_dials = {k: v for k, v in given.items() if k not in _METHOD and v is not None}
        own, pruning = model_recipe(found)
        if not pruning and ticket:
            pruning = model_recipe(ticket)[1]
        method = Method.of(criterion, method_dials, pruning)  # type: ignore[arg-type]
        Recipe.of(train_dials, own)
        name = model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__)
        if method.extend is not None:
            check_extendable(found, name if ticket is None else "a ticket to continue from")
        return cls(found, data, method, train_dials, name, seed, ticket, strategy)

    def extension(self, data: Data) -> Extension:
        """The model that the run begins with: widened, or as it is.

        Args:
            data: what it is for.

        Raises:
            RecipeError: it cannot be widened, or not so far.
        """
        if self.method.extend is None:
            return Extension(self.model, self.model_name)
        rate = float(cast(float, self.method.rate))
        return Extension.of(self.model, self.model_name, data, rate, self.method.extend)


def _found(model: Any, ticket: Ticket | None) -> Any:
    if model is not None:
        return find_model(model)
    if ticket is None:
        raise RecipeError("Give a model, or a ticket to continue from.")
    return ticket
