"""The settings of the pruning loop: which weights to prune, how many, and what to do between prunings.

Every pruning method is a choice of settings. Iterative magnitude pruning trains between its levels. SNIP has one level
and trains only after it. Iterative SNIP has several levels.

This module imports no TensorFlow, so that a mistyped setting is refused at once.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, get_args

from kerastickets.cutting.cut_scores import Granularity
from kerastickets.errors import RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets.foundations.tree import Tree
from kerastickets.pruning.gradual import Gradual
from kerastickets.pruning.only_alive import OnlyAlive
from kerastickets.pruning.schedule import Schedule, Scope, Spacing, along, check_amounts, plan, rates_by_key
from kerastickets.pruning.settings import (
    AMOUNTS,
    AfterCut,
    Between,
    MethodSettings,
    Rate,
    amounts,
    check_kinds,
    criterion_of,
    scope_of,
)
from kerastickets.pruning.stop_rules import StopRule
from kerastickets.pruning.variants import Variant
from kerastickets.pruning.widening import Widening
from kerastickets.registry import plugin_options
from kerastickets.registry.plugin_options import setting

#: Setting -> a function that makes a variant from its value, or returns None if the value asks for no variant.
VARIANTS: Mapping[str, Callable[[Any], Variant | None]] = {
    "extend": lambda times: None if times is None else Widening(times),
    "all_alive": lambda wanted: OnlyAlive() if wanted else None,
    "schedule": Gradual.parse,
}

# Settings that were added later. Their defaults are not recorded, so that older runs can be continued.
_LATER = ("spacing", "cuts", "extend", "stop_when", "all_alive", "pretrained", "schedule")


def _durations(given: Collection[Any]) -> tuple[Duration, ...]:
    return tuple(Duration.parse(when) for when in given)


# Setting -> how to turn the value that a caller gives into the value of the field.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "stop_when": lambda rules: tuple(map(StopRule.parse, rules)),
    "include": tuple,
    "exclude": tuple,
    "rewind_to": Duration.parse,
    "schedule": lambda text: str(Gradual.parse(text) or "levels"),
    "snapshot_at": _durations,
}


@dataclass(frozen=True)
class Method:
    """How to prune.

    Args:
        name: the criterion's name.
        criterion: the criterion itself.
        options: the criterion's options, JSON-ready.
        between: train every level, or only the last.
        levels: how many times to prune.
        rate: fraction of the kept weights that a level prunes: 0.2, or by pattern: conv=0.1, output=0.1, KEY=0.
        target: number of weights to keep in the end.
        sparsity: fraction of all prunable weights that is pruned in the end.
        scope: rank all weights together, or each layer's weights by themselves.
        spacing: how to space levels on the way to a target: prune the same fraction at each level (geometric), or the
            same number of weights (linear).
        cuts: prunings per level, without training between them.
        extend: widen the model this many times, each time by as much as the rate prunes, and prune it back to its
            own size.
        stop_when: stop after the first level for which a rule ANALYZER.FACT=VALUE holds, such as
            separation.category=degraded; also with !=, <, <=, >, >=.
        include: also prune weights whose keys match one of these glob patterns, such as */bias.
        exclude: do not prune weights whose keys match one of these glob patterns.
        snapshot_at: keep the weights at these moments of the training of level 0, such as 500it,2ep.
        rewind_to: start later levels from the weights at this moment of the training of level 0, such as 500it.
        after_cut: what starts again after a cut: weights and learning rate (rewind), the learning rate alone
            (lr-rewind), or nothing (fine-tune).
        no_train: leave the last level untrained.
        pretrained: the given weights are trained already: measure level 0 instead of training it, and fine-tune the
            later levels from there.
        allow_collapse: let a cut empty a layer.
        all_alive: drop weights on no path from input to output, and keep others in their place.
        schedule: cut between trainings (levels), or many times within one training, along a cubic schedule (gradual, or
            gradual:begin=0,end=0.75,every=100it; begin and end are fractions of the training or moments of it).
        granularity: prune single weights, or whole units: channels, heads, recurrent units (output layers excepted).
    """

    name: str
    criterion: Any
    options: Mapping[str, Any]
    between: Between = setting("train", shown="as the criterion says")
    levels: int | None = setting(None, metavar="L")
    rate: Rate | None = setting(None, metavar="P")
    target: int | None = None
    sparsity: float | None = setting(None, metavar="S")
    scope: Scope | None = setting(None, shown="as the criterion says")
    spacing: Spacing = "geometric"
    cuts: int = 1
    extend: int | None = None
    stop_when: tuple[StopRule, ...] = setting((), metavar="RULE")
    include: tuple[str, ...] = setting((), metavar="PATTERN")
    exclude: tuple[str, ...] = setting((), metavar="PATTERN")
    snapshot_at: tuple[Duration, ...] = setting((), metavar="WHEN,...")
    rewind_to: Duration = Duration(0, "it")
    after_cut: AfterCut = "rewind"
    no_train: bool = False
    pretrained: bool = False
    allow_collapse: bool = False
    all_alive: bool = False
    granularity: Granularity = "weight"
    schedule: str = setting("levels", metavar="HOW")

    @classmethod
    def of(
        cls, criterion: Any, settings: MethodSettings, own: Mapping[str, Any] = MappingProxyType({})
    ) -> "Method":
        """Make the method from a criterion and settings.

        Args:
            criterion: a name, `NAME:k=v`, or an instance.
            settings: the settings that the caller gave. None means the same as leaving a setting out.
            own: the `rate` and `scope` of the model's own recipe. They are used if the caller gives no rate, target or
                sparsity and the criterion has no default for them.

        Raises:
            PluginError: there is no such criterion, or it does not take these options.
            RecipeError: a setting is out of range or contradicts another.

        Example:
            >>> method = Method.of("snip", {"sparsity": 0.5})
            >>> method.levels, method.sparsity, method.between
            (1, 0.5, 'none')
        """
        given: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
        name, made = criterion_of(criterion, given.pop("options", {}))
        check_kinds(given)
        defaults = dict(getattr(made, "defaults", {}))
        variants = variants_of(given)
        given = {name: value for variant in variants for name, value in variant.implied.items()} | given
        merged = amounts(given, defaults, own, any(variant.plans_counts for variant in variants))
        merged |= {setting: value for setting, value in given.items() if setting not in AMOUNTS}
        merged.setdefault("scope", scope_of(merged, defaults, variants))
        merged.setdefault("between", defaults.get("between", cls.between))
        if merged.get("pretrained") and merged["between"] == "train":
            merged.setdefault("after_cut", "fine-tune")
        read = {setting: _READERS[setting](merged[setting]) for setting in _READERS if setting in merged}
        method = cls(name, made, plugin_options.describe(made), **merged | read)
        method.check()
        return method

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """The variants that the settings ask for."""
        return variants_of({name: getattr(self, name) for name in VARIANTS})

    def check(self) -> None:
        """Refuse settings that contradict each other, before any model is built."""
        for name, value, allowed in (
            ("between", self.between, get_args(Between)),
            ("after_cut", self.after_cut, get_args(AfterCut)),
            ("granularity", self.granularity, get_args(Granularity)),
        ):
            if value not in allowed:
                raise RecipeError(f"`{name}` must be one of {', '.join(allowed)}. Received: {name}={value}")
        if self.between == "none" and (self.rewind_to.count or self.snapshot_at):
            raise RecipeError(
                "`rewind_to` and `snapshot_at` need a trained level 0. Received: between=none. "
                "Use between=train, or leave them out."
            )
        if self.pretrained and (self.rewind_to.count or self.snapshot_at):
            raise RecipeError(
                "`rewind_to` and `snapshot_at` need a trained level 0. Received: pretrained=True, which only measures "
                "it. Leave out one of them."
            )
        if self.between == "none" and self.after_cut != "rewind":
            raise RecipeError(f"`after_cut={self.after_cut}` needs trained levels. Received: between=none")
        if isinstance(self.cuts, bool) or not isinstance(self.cuts, int) or self.cuts < 1:
            raise RecipeError(f"`cuts` must be an integer of at least 1. Received: cuts={self.cuts!r}")
        if self.cuts > 1 and self.levels is None:
            raise RecipeError(f"`cuts` needs `levels`. Received: cuts={self.cuts} and no levels")
        for variant in self.variants:
            variant.check(self)
        check_amounts(self.levels, self._rates(), self.target, self.sparsity, self.scope, self.spacing)

    def _rates(self) -> Rate | None:
        """The rates without the rates of 0, which mean that a layer is not pruned at all."""
        if not isinstance(self.rate, Mapping):
            return self.rate
        return {pattern: value for pattern, value in self.rate.items() if value != 0} or None

    def planned(
        self,
        masks: Tree,
        kinds: Mapping[str, str],
        outputs: Collection[str],
        counts: Sequence[int] | None = None,
    ) -> Schedule:
        """The number of weights to keep at each level.

        Args:
            masks: booleans by key. Weights with a rate of 0 must not be among them.
            kinds: `conv`, `dense` or anything else by key.
            outputs: keys of the output layers.
            counts: weights to keep over all keys, level by level. They replace the planned schedule. `levels` may
                use only the first of them.
        """
        if counts is not None:
            last = self.levels * self.cuts if self.levels else len(counts) - 1
            return along(masks, counts[: last + 1 : self.cuts], scope=self.scope)
        whole = plan(
            masks,
            levels=self.levels and self.levels * self.cuts,
            rate=self._rates(),
            target=self.target,
            sparsity=self.sparsity,
            scope=self.scope,
            spacing=self.spacing,
            kinds=kinds,
            outputs=outputs,
        )
        return Schedule(whole.levels // self.cuts, whole.counts[:: self.cuts], whole.scope)

    def unprunable(self, masks: Tree, kinds: Mapping[str, str], outputs: Collection[str]) -> set[str]:
        """The keys whose rate is exactly 0. They have no mask at all."""
        if not isinstance(self.rate, Mapping) or 0 not in self.rate.values():
            return set()
        rates = rates_by_key({"*": 1.0} | dict(self.rate), masks, kinds, outputs)
        return {key for key, rate in rates.items() if rate == 0}

    def trains(self, level: int, last: int) -> bool:
        """Whether `level` is trained, if the last level is `last`."""
        if level == 0 and self.pretrained:
            return False
        return not self.no_train if level == last else self.between == "train"

    @property
    def teaches(self) -> bool:
        """Whether level 0 is a trained net, from which later levels can learn."""
        return self.pretrained or self.between == "train"

    def steps_to_keep(self, train: Duration, per_epoch: int) -> tuple[int, ...]:
        """The steps of level 0 after which the weights are kept in tickets.

        Args:
            train: how long level 0 trains.
            per_epoch: iterations per epoch.

        Raises:
            RecipeError: a step is not reached, or no step would be left to train after it.
        """
        end = train.iterations(per_epoch)
        late = {"snapshot_at": [when for when in self.snapshot_at if when.iterations(per_epoch) > end]}
        late["rewind_to"] = [self.rewind_to] if self.rewind_to.iterations(per_epoch) >= end else []
        for name, whens in late.items():
            if whens:
                raise RecipeError(
                    f"`{name}` must lie within the training. Received: {name}={whens[0]}, train={train} "
                    f"({end} iterations)"
                )
        steps = {when.iterations(per_epoch) for when in (*self.snapshot_at, self.rewind_to)}
        return tuple(sorted(steps - {0}))

    @property
    def extendable(self) -> bool:
        """Whether a longer run begins with the same levels: each prunes by a rate, and the last is not special."""
        by_rate = self.rate is not None and self.target is None and self.sparsity is None
        return by_rate and (self.between == "train") == (not self.no_train)

    def describe(self) -> dict[str, Any]:
        """The method as JSON, as `run.json` and provenance record it."""
        usual = {one.name: one.default for one in fields(self)}
        return {
            name: _json(value)
            for name, value in ((one.name, getattr(self, one.name)) for one in fields(self))
            if name not in ("name", "criterion", "options") and not (name in _LATER and value == usual[name])
        }


def variants_of(settings: Mapping[str, Any]) -> tuple[Variant, ...]:
    """The variants that settings ask for, in the order of `VARIANTS`.

    Args:
        settings: values by name. A setting that is left out means None.

    Example:
        >>> [type(variant).__name__ for variant in variants_of({"all_alive": True, "extend": None})]
        ['OnlyAlive']
    """
    made = (make(settings.get(name)) for name, make in VARIANTS.items())
    return tuple(variant for variant in made if variant is not None)


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, StopRule):
        return value.text
    return str(value) if isinstance(value, Duration) else value
