"""Which weights of a model a run prunes, and how many it keeps at each level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerastickets.cutting.cut_scores import ones
from kerastickets.cutting.groups import Groups
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.models.prunable_weights import check_floating, weight_reports
from kerastickets.models.variables import assign
from kerastickets.models.weight_roles import kinds, output_keys
from kerastickets.pruning.method import Method
from kerastickets.pruning.schedule import Schedule
from kerastickets.pruning.unit_groups import UnitGroups
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import Source


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
        groups = None
        if by_channel:
            # A channel of an output layer is a class.
            left_alone |= outputs
            units = UnitGroups.of(model, masks, left_alone)
            units.warn()
            left_alone |= units.left_alone.keys()
            stay = {entry.key for entry in report if entry.why == "excluded"}
            groups = {key: axes for key, axes in units.groups.items() if key not in stay}
            shapes = {entry.key: entry.shape for entry in report}
            masks |= ones({key: shapes[key] for key in groups if key not in masks and key in shapes})
            groups = {key: axes for key, axes in groups.items() if key in masks}
            own_kinds = kinds(model, masks)
        prunable = {key: mask for key, mask in masks.items() if key not in left_alone}
        if not prunable:
            raise RecipeError(
                "There must be a prunable weight. Received: a model without any, or all excluded."
            )
        # Weights that a ticket pruned before stay pruned, even if this run does not prune their layer further.
        fixed = {key: masks[key] for key in sorted(left_alone) if not masks[key].all()}
        schedule = method.planned(prunable, own_kinds, outputs, counts)
        return cls(prunable | fixed, fixed, schedule, groups)
