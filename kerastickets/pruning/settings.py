"""The settings that a caller may give to the pruning loop, and how defaults of criterion and model complete them."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, TypedDict

from kerastickets import registry
from kerastickets.errors import PluginError, RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets.pruning.variants import Variant
from kerastickets.registry import plugin_options as options

Between = Literal["train", "none"]
AfterCut = Literal["rewind", "lr-rewind", "fine-tune"]
Rate = float | Mapping[str, float]


class MethodSettings(TypedDict, total=False):
    """The keyword arguments of `kt.prune` that say what to prune; see `Method`."""

    options: Mapping[str, Any]
    levels: int | None
    rate: Rate | None
    target: int | None
    sparsity: float | None
    scope: str | None
    spacing: str | None
    cuts: int | None
    extend: int | None
    stop_when: Collection[str]
    include: Collection[str]
    exclude: Collection[str]
    between: Between | None
    after_cut: AfterCut
    rewind_to: Duration | str | int
    snapshot_at: Collection[Duration | str | int]
    no_train: bool
    pretrained: bool
    allow_collapse: bool
    all_alive: bool
    granularity: str
    schedule: str


#: Settings that say how much to prune. Any two determine the rest; target and sparsity count as one.
AMOUNTS = ("levels", "rate", "target", "sparsity")


def check_kinds(given: Mapping[str, Any]) -> None:
    """Refuse settings that do not exist, and values of a wrong kind that would be misunderstood."""
    for name, value in given.items():
        if name not in MethodSettings.__annotations__:
            raise RecipeError(
                options.unknown("pruning setting", name, MethodSettings.__annotations__, "Settings")
            )
        # A single text would be taken as a collection of letters, and as a flag every text would be true.
        listed = isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))
        if name in ("include", "exclude", "snapshot_at", "stop_when") and not listed:
            raise RecipeError(f"`{name}` must be a list. Received: {name}={value!r}")
        if name in ("include", "exclude") and not all(isinstance(pattern, str) for pattern in value):
            raise RecipeError(f"`{name}` must be a list of patterns. Received: {name}={value!r}")
        if name in ("no_train", "pretrained", "allow_collapse", "all_alive") and not isinstance(value, bool):
            raise RecipeError(f"`{name}` must be true or false. Received: {name}={value!r}")
        if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
            raise RecipeError(f"`{name}` must have text for keys. Received: {name}={value!r}")


def criterion_of(criterion: Any, given: Any) -> tuple[str, Any]:
    """The name and the instance of a criterion, from its name with options or from an instance.

    Raises:
        PluginError: there is no such criterion, or it does not take these options.
        RecipeError: options were given for an instance, which has its own.
    """
    if not isinstance(given, Mapping):
        raise RecipeError(f"`options` must be a mapping. Received: options={given!r}")
    if isinstance(criterion, str):
        return criterion.partition(":")[0], registry.create("criteria", criterion, given)
    if isinstance(criterion, type) or not callable(criterion):
        raise PluginError(f"A criterion must be a name or an instance. Received: {criterion!r}")
    if given:
        raise RecipeError(
            f"`options` go with a criterion's name; an instance has its own. Received: options={dict(given)}"
        )
    # `IterativeSnip()` gets the name under which it is registered, so that either form continues the other's run.
    name = getattr(criterion, "__name__", type(criterion).__name__)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower(), criterion


def amounts(
    given: Mapping[str, Any], defaults: Mapping[str, Any], model: Mapping[str, Any], planned: bool
) -> dict[str, Any]:
    """Levels, rate, target and sparsity: from the caller, else the criterion, else the model, else a rate of 20 %.

    The scope of the model's recipe comes along with its rate.

    Args:
        given: the caller's settings.
        defaults: the criterion's settings.
        model: the `rate` and `scope` of the model's own recipe.
        planned: whether a variant sets the counts. Then only the caller's settings are used.
    """
    asked = {name: given[name] for name in AMOUNTS if name in given}
    if planned:
        return asked
    own_levels = {"levels": defaults["levels"]} if "levels" in defaults else {}
    if asked.keys() - {"levels"}:
        return asked if len(asked) > 1 else own_levels | asked
    own = {name: defaults[name] for name in AMOUNTS if name in defaults}
    if own.keys() - {"levels"}:
        return own | asked
    levels = {"levels": 5} | own_levels | asked
    return {"rate": 0.2} | dict(model) | levels


def scope_of(merged: Mapping[str, Any], defaults: Mapping[str, Any], variants: Sequence[Variant] = ()) -> str:
    """The scope if the caller gives none.

    A variant's scope comes first. Rates by pattern imply `layer`. Otherwise it is the criterion's default, or else
    `layer`, as in the papers on magnitude pruning.
    """
    rate = merged.get("rate")
    for scope in (variant.scope(rate) for variant in variants):
        if scope is not None:
            return scope
    # A rate of 0 only says which weights are not pruned at all.
    by_pattern = isinstance(rate, Mapping) and any(share != 0 for p, share in rate.items() if p != "*")
    return "layer" if by_pattern else str(defaults.get("scope", "layer"))
