"""The teacher of a training that distils: where it comes from, and the loss that it becomes a part of."""

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kerastickets.data.dataset import Data
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import Source, find_model, source_of
from kerastickets.training.recipe import Recipe

if TYPE_CHECKING:
    import keras

    from kerastickets.models.distillation import Distillation


class Teacher(NamedTuple):
    """A trained net to learn from.

    Args:
        source: builds it.
        weights: its weights.
        digest: says which weights these are.
    """

    source: Source
    weights: Tree
    digest: str


def find_teacher(given: Any, data: Data, custom_objects: Mapping[str, Any] | None = None) -> Teacher:
    """Find a teacher.

    Args:
        given: a ticket with `final` weights or its file, a `.keras` file, or a `keras.Model`.
        data: the data set that both nets take.
        custom_objects: classes by name.

    Raises:
        RecipeError: the ticket is not trained.
    """
    ticket = isinstance(given, Ticket) or str(given).endswith(".safetensors")
    found = Ticket.of(given) if ticket else find_model(given)
    source = source_of(found, data, "teacher", custom_objects)
    if isinstance(found, Ticket):
        if "final" not in found.snapshots:
            raise RecipeError(
                "A teacher must be a trained ticket, with final weights. Received: one with "
                f"{', '.join(found.snapshots)}. Train it first: kt train."
            )
        return Teacher(source, found.weights("final"), found.digest)
    weights = source.init(0)
    sha = hashlib.sha256()
    for key in sorted(weights):
        sha.update(key.encode() + weights[key].tobytes())
    return Teacher(source, weights, sha.hexdigest())


def check_taught(recipe: Recipe, teacher: Any = None) -> None:
    """Refuse a recipe that distils without a teacher.

    Args:
        recipe: how to train.
        teacher: the teacher, or None.

    Raises:
        RecipeError: there is none.
    """
    if recipe.distil is not None and teacher is None:
        raise RecipeError(
            "`distil` needs a teacher: in kt prune it is the trained net of level 0, kt train takes --teacher TICKET, "
            f"and kt transfer has none. Received: distil={recipe.distil} and no teacher. Leave out distil."
        )


def distillation(recipe: Recipe, build: "Callable[[], keras.Model] | None") -> "Distillation | None":
    """The distillation that a recipe asks for; None if it asks for none.

    Args:
        recipe: how to train.
        build: makes the teacher.

    Raises:
        RecipeError: there is no teacher.
    """
    from kerastickets.models.distillation import Distillation

    check_taught(recipe, build)
    if recipe.distil is None or build is None:
        return None
    return Distillation(build(), recipe.distil, recipe.temperature)
