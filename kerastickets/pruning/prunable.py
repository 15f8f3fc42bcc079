"""Which weights of a model a run prunes, and how many it keeps at each level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerastickets.cutting.cut_scores import ones
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.models.prunable_weights import check_floating, weight_reports
from kerastickets.models.variables import assign
from kerastickets.models.weight_roles import depthwise_keys, kinds, output_keys
from kerastickets.pruning.method import Method
from kerastickets.pruning.schedule import Schedule
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import Source


@dataclass(frozen=True)
class Prunable:
    """The weights that a run prunes.

    Args:
        masks: the masks of level 0, for every weight that this run prunes or that was pruned before.
        fixed: those of the masks that this run leaves unchanged.
        schedule: the number of weights that each level keeps, not counting `fixed`.
    """

    masks: Tree
    fixed: Tree
    schedule: Schedule

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
        if by_channel:
            # A channel of an output layer is a class, and the last axis of a depthwise kernel is not a channel.
            left_alone |= outputs | depthwise_keys(model, masks)
        left_alone |= {entry.key for entry in report if entry.why == "excluded"} & masks.keys()
        prunable = {key: mask for key, mask in masks.items() if key not in left_alone}
        if not prunable:
            raise RecipeError(
                "There must be a prunable weight. Received: a model without any, or all excluded."
            )
        # Weights that a ticket pruned before stay pruned, even if this run does not prune their layer further.
        fixed = {key: masks[key] for key in sorted(left_alone) if not masks[key].all()}
        return cls(prunable | fixed, fixed, method.schedule(prunable, own_kinds, outputs, counts))
