"""Which weights of a model a run prunes, and how many it keeps at each level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerastickets.cutting.cut_scores import ones
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.models.masking import weight_reports
from kerastickets.models.variables import assign
from kerastickets.models.weight_roles import depthwise_keys, kinds, output_keys
from kerastickets.pruning.method import Method
from kerastickets.pruning.schedule import Schedule
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import Source


@dataclass(frozen=True)
class Prunable:
    """What a run prunes.

    Args:
        masks: those of level 0, of every weight that is or was pruned.
        fixed: the ones among them that this run leaves as they are.
        schedule: how many weights each level keeps of the others.
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
        """What `method` prunes of a model.

        Args:
            source: what builds the model.
            init: its weights.
            method: how to prune.
            start: a ticket to continue from, or None.
            counts: what each level keeps, where that is given instead of planned.

        Raises:
            RecipeError: nothing is left to prune, or a rate names no weight.
        """
        model = source.build()
        assign(model, init)
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
            # A channel of the output is a class, and a depthwise kernel's last axis is no channel.
            left_alone |= outputs | depthwise_keys(model, masks)
        left_alone |= {entry.key for entry in report if entry.why == "excluded"} & masks.keys()
        prunable = {key: mask for key, mask in masks.items() if key not in left_alone}
        if not prunable:
            raise RecipeError(
                "There must be a prunable weight. Received: a model without any, or all excluded."
            )
        # What a ticket pruned before stays pruned, also where this run prunes no further.
        fixed = {key: masks[key] for key in sorted(left_alone) if not masks[key].all()}
        return cls(prunable | fixed, fixed, method.schedule(prunable, own_kinds, outputs, counts))
