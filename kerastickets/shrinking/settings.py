"""The settings of pruning and training that a search decides itself, and its own defaults of others."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.shrinking.goal import Goal

#: What a search does unless its caller says otherwise. The last weights are kept, since the best of several evaluations
#: would look better on the validation examples than it is.
OWN: Mapping[str, Any] = MappingProxyType({"train": "2ep", "keep": "last", "rate": 0.2})
#: Settings of pruning that a search decides itself.
FIXED = (
    *("levels", "target", "sparsity", "pretrained", "no_train", "stop_when", "between", "extend"),
    *("spacing", "cuts", "rewind_to", "snapshot_at"),
)


def search_settings(settings: Mapping[str, Any], goal: Goal) -> dict[str, Any]:
    """The settings of the runs that a search makes.

    Args:
        settings: what the caller gave, as for `kerastickets.prune`. None means the same as leaving a setting out.
        goal: a goal in time is met by pruning units.

    Raises:
        RecipeError: a setting is one that the search decides itself.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    for name in (*FIXED, "no_test"):
        if name in given:
            raise RecipeError(
                f"A search decides `{name}` itself. Received: {name}={given[name]!r}. Leave it out."
            )
    units = {"granularity": "channel"} if goal.max_latency else {}
    return dict(OWN) | units | given | {"pretrained": True, "no_test": True}
