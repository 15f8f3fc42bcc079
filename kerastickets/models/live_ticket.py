"""Make a ticket of a live model: its masks, its weights, its config, and the objective that it is compiled with."""

from collections.abc import Mapping
from typing import Any

import keras

from kerastickets.errors import TicketError
from kerastickets.foundations.environment import versions
from kerastickets.foundations.tree import Tree
from kerastickets.models.architecture import custom_classes, faithful_architecture
from kerastickets.models.masking import masks_of
from kerastickets.models.objective import Objective
from kerastickets.models.prunable_weights import check_floating, weight_reports
from kerastickets.models.recorded_objective import compiled_recipe
from kerastickets.models.variables import check_built, snapshot, variables
from kerastickets.models.zero_masks import masks_of_zeros, zeros_of
from kerastickets.tickets.layer_names import made_up
from kerastickets.tickets.ticket import Ticket


def ticket_of_model(
    model: Any, zeros: bool = False, custom_objects: Mapping[str, Any] | None = None
) -> Ticket:
    """Make a ticket of a live model; see `Ticket.of`.

    Args:
        model: a built model.
        zeros: whether exact zeros of weights without a mask are taken as pruned.
        custom_objects: your classes and functions by name, besides the classes of the model's layers.

    Raises:
        TicketError: this is no model, or it holds no masks and `zeros` is False.
        RecipeError: the model is not built, or its weights are quantised.
        AlignError: the model rebuilt from its config would differ.
    """
    _check_model(model)
    masks = masks_of(model)
    if zeros:
        check_floating(model)
        masks |= masks_of_zeros(variables(model), _unmasked(model, masks))
    elif not masks:
        found = zeros_of(variables(model), _unmasked(model, {}))
        raise TicketError(
            f"A model must hold masks to become a ticket. Received: none, and {found:,} prunable weights that are "
            "exactly zero. Prune it by kt.cut_model(model, sparsity), or take its zeros for masks by "
            "kt.Ticket.of(model, zeros=True)."
        )
    return ticket_with(model, masks, custom_objects)


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TicketError(
            f"A ticket, its file or a Keras model must be given. Received: {type(model).__name__}."
        )
    check_built(model)


def exported_ticket(model: Any, custom_objects: Mapping[str, Any] | None = None) -> Ticket:
    """The ticket by which a live model is exported. Without masks, its exact zeros count as pruned.

    Args:
        model: a built model, pruned or dense.
        custom_objects: your classes and functions by name.

    Raises:
        TicketError: this is no model.
        RecipeError: the model is not built.
        AlignError: the model rebuilt from its config would differ.

    Example:
        >>> dense = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> exported_ticket(dense).density
        1.0
    """
    _check_model(model)
    held, weights = masks_of(model), snapshot(model)
    zeros = {key: weights[key] != 0 for key in _unmasked(model, held)}
    # A weight that is zero everywhere was not pruned: it is as it began.
    return ticket_with(model, held | {key: mask | ~mask.any() for key, mask in zeros.items()}, custom_objects)


def _unmasked(model: keras.Model, held: Tree) -> list[str]:
    return [entry.key for entry in weight_reports(model) if entry.masked and entry.key not in held]


def ticket_with(model: keras.Model, masks: Tree, custom_objects: Mapping[str, Any] | None = None) -> Ticket:
    """A ticket of a live model under given masks.

    Args:
        model: a built model.
        masks: booleans by key. Weights that they prune are zero in the model.
        custom_objects: your classes and functions by name.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> ticket_with(model, {}).provenance["model"]
        'sequential'
    """
    custom = custom_classes(model) | dict(custom_objects or {})
    weights = snapshot(model)
    objective = Objective.compiled(model)
    provenance: dict[str, Any] = {
        "operation": "from-model",
        "model": made_up(model.name, type(model).__name__) or model.name,
        "recipe": compiled_recipe(model),
        "parents": [],
        "metrics": {},
        "start": "init",
        "versions": versions(),
    }
    if objective:
        provenance["compiled"] = objective.record() or {"loss": None}
    return Ticket(
        faithful_architecture(model, custom), masks, {"init": weights, "final": weights}, provenance
    )
