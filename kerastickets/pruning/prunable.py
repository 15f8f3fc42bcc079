"""Which weights of a model a run prunes, and how many it keeps at each level."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastickets.cutting.cut_scores import ones
from kerastickets.cutting.groups import Groups
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree, total
from kerastickets.models.prunable_weights import WeightReport, check_floating, weight_reports
from kerastickets.models.variables import assign
from kerastickets.models.weight_roles import kinds, output_keys
from kerastickets.pruning.method import Method
from kerastickets.pruning.schedule import Schedule
from kerastickets.pruning.unit_groups import UnitGroups
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import Source

# From this fraction of exact zeros on, a model is taken to have been pruned.
_PRUNED = 0.05


@dataclass(frozen=True)
class Prunable:
    """The weights that a run prunes.

    Args:
        masks: the masks of level 0, for every weight that this run prunes or that was pruned before.
        fixed: those of the masks that this run leaves unchanged.
        schedule: the number of weights that each level keeps, not counting `fixed`.
        groups: the units of the weights that are pruned; None if single weights are pruned.
    """

    masks: Tree
    fixed: Tree
    schedule: Schedule
    groups: Groups | None = None

    @classmethod
    def of(
        cls,
        source: Source,
        init: Tree,
        method: Method,
        start: Ticket | None,
        counts: Sequence[int] | None = None,
    ) -> "Prunable":
        """Find the weights of a model that `method` prunes.

        Args:
            source: the source of the model.
            init: the initial weights of the model.
            method: how to prune.
            start: a ticket to continue from, or None.
            counts: the number of weights that each level keeps; None plans it from the method.

        Raises:
            RecipeError: no weight is left to prune, or a rate's pattern matches no weight.
        """
        model = source.build()
        assign(model, init)
        check_floating(model, method.exclude)
        report = weight_reports(model, method.include, method.exclude)
        masks: dict[str, Any] = dict(ones({entry.key: entry.shape for entry in report if entry.masked}))
        masks |= source.masks
        masks |= start.masks if start is not None else {}
        own_kinds = kinds(model, masks)
        rates = method.rate if isinstance(method.rate, Mapping) else {}
        by_channel = method.granularity == "channel"
        outputs = output_keys(model, masks) if "output" in rates or by_channel else set()
        left_alone = method.unprunable(masks, own_kinds, outputs)
        left_alone |= {entry.key for entry in report if entry.why == "excluded"} & masks.keys()
        # Mask-aware layers have masks even if they are frozen.
        left_alone |= source.masks.keys() - {entry.key for entry in report}
        groups = None
        if by_channel:
            # A channel of an output layer is a class.
            left_alone |= outputs
            stay = {entry.key for entry in report if entry.why == "excluded"}
            masks, groups, left_alone = with_units(model, masks, report, left_alone, stay)
            own_kinds = kinds(model, masks)
        prunable = {key: mask for key, mask in masks.items() if key not in left_alone}
        check_any(prunable)
        if start is None and not source.masks:
            warn_of_zeros(init, prunable)
        # Weights that a ticket pruned before stay pruned, even if this run does not prune their layer further.
        fixed = {key: masks[key] for key in sorted(left_alone) if not masks[key].all()}
        schedule = method.planned(prunable, own_kinds, outputs, counts)
        return cls(prunable | fixed, fixed, schedule, groups)


def warn_of_zeros(weights: Tree, prunable: Tree) -> None:
    """Warn if a model without masks looks as if it was pruned: its zeros would train.

    Vectors, and weights that are zero as a whole, are left out, since layers may begin so.

    Args:
        weights: the weights that the run begins with.
        prunable: the masks of the weights that it prunes.
    """
    zeros = {key: int(np.count_nonzero(weights[key] == 0)) for key in prunable if weights[key].ndim > 1}
    found = sum(count for key, count in zeros.items() if count < weights[key].size)
    if found >= _PRUNED * total(prunable):
        warnings.warn(
            f"{found:,} of the {total(prunable):,} prunable weights are exactly zero, and no mask keeps them so: they "
            "train. If the model was pruned before, take its masks back by sparsify(model, 'zeros').",
            RuntimeWarning,
            stacklevel=2,
        )


def check_any(prunable: Tree) -> None:
    """Refuse a model of which nothing is left to prune."""
    if not prunable:
        raise RecipeError(
            "There must be a prunable weight. Received: a model without any, or all excluded or left alone."
        )


def with_units(
    model: Any,
    masks: Tree,
    report: Sequence[WeightReport],
    left_alone: Collection[str],
    stay: Collection[str],
) -> tuple[dict[str, Any], Groups, set[str]]:
    """Find the units of a model that is pruned by channels, and warn of weights whose units are not known.

    Args:
        model: a live model.
        masks: the weights that could be pruned, by key.
        report: the weights of the model.
        left_alone: keys of `masks` whose units all stay.
        stay: keys that get no mask, such as a bias that is excluded.

    Returns:
        The masks, with a mask of ones for further weights of the same units, such as recurrent biases; the units of
        each weight that can go; and the keys that are left alone, those of unknown units included.
    """
    units = UnitGroups.of(model, masks, left_alone)
    units.warn()
    groups = {key: axes for key, axes in units.groups.items() if key not in stay}
    shapes = {entry.key: entry.shape for entry in report}
    found = dict(masks) | ones({key: shapes[key] for key in groups if key not in masks and key in shapes})
    groups = {key: axes for key, axes in groups.items() if key in found}
    return found, groups, {*left_alone, *units.left_alone}
