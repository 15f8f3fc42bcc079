"""Which weights go, how many, and what happens between: the dials of the one pruning loop.

Every method is a setting of them: iterative magnitude pruning trains between its levels, SNIP has one
level and trains only after it, iterative SNIP has several. Imports no TensorFlow, so that a mistyped dial
is refused at once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from kerastickets.cutting.cut_scores import Granularity
from kerastickets.errors import RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets.foundations.tree import Tree
from kerastickets.pruning.schedule import Schedule, along, check_amounts, plan, rates_by_key
from kerastickets.pruning.settings import (
    AMOUNTS,
    AfterCut,
    Between,
    MethodDials,
    Rate,
    amounts,
    check_kinds,
    criterion_of,
    scope_of,
)
from kerastickets.pruning.stop_rules import StopRule
from kerastickets.pruning.widening import check_extend
from kerastickets.registry import plugin_options as options


@dataclass(frozen=True)
class Method:
    """How to prune.

    Args:
        name: the criterion's name.
        criterion: the criterion itself.
        options: its options, JSON-ready.
        levels: number of prunings; any two of levels, rate and target (or sparsity) fix the third.
        rate: share of the kept weights that a level prunes, or shares by pattern (`{"conv": 0.1}`).
        target: weights to keep in the end.
        sparsity: share of all prunable weights that is pruned in the end.
        scope: `global` ranks all weights together, `layer` each layer's by themselves (the default, unless the
            criterion has its own).
        spacing: of levels on the way to a target: `geometric`, an equal share of what is left each, or `linear`,
            equally many weights each.
        cuts: prunings that a level stands for: with 2 every second is trained, the others are only counted.
        extend: times to widen the model, whose `rate` (one number) then says how; the run prunes from the widest to
            the model itself, through all widths between (`levels` of them, where given). None leaves it as it is.
        stop_when: the first level that fulfils any of these is the last, trained or not; see `StopRule`.
        include: glob patterns of weights to prune besides kernels and embeddings.
        exclude: glob patterns of weights not to prune.
        between: `train` each level, or `none` of them but the last.
        after_cut: `rewind` weights and learning rate, rewind only the learning rate (`lr-rewind`), or
            `fine-tune` at the last learning rate.
        rewind_to: the step whose weights later levels start from; 0 is the initial weights.
        snapshot_at: further steps of level 0 whose weights every ticket carries.
        no_train: leave the last level untrained.
        allow_collapse: let a cut empty a layer.
        all_alive: take away what cannot matter, and keep more of what can instead: as many alive weights as are
            reached without more than planned. Over all layers together, weight by weight.
        granularity: `weight`, or `channel`: whole output channels go, output layers and depthwise kernels excepted.
    """

    name: str
    criterion: Any
    options: Mapping[str, Any]
    levels: int | None
    rate: Rate | None
    target: int | None
    sparsity: float | None
    scope: str | None
    spacing: str
    cuts: int
    extend: int | None
    stop_when: tuple[StopRule, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    between: Between
    after_cut: AfterCut
    rewind_to: Duration
    snapshot_at: tuple[Duration, ...]
    no_train: bool
    allow_collapse: bool
    all_alive: bool
    granularity: Granularity

    @classmethod
    def of(
        cls, criterion: Any, dials: MethodDials, own: Mapping[str, Any] = MappingProxyType({})
    ) -> "Method":
        """The method that a criterion and some dials give.

        Args:
            criterion: a name, `NAME:k=v`, or an instance.
            dials: what the caller asked for; None and absent mean the same.
            own: the `rate` and `scope` of the model's own recipe, used when the caller names no rate, target or
                sparsity and the criterion has no default for them.

        Raises:
            PluginError: no such criterion, or not with these options.
            RecipeError: a dial that is out of range or contradicts another.

        Example:
            >>> method = Method.of("snip", {"sparsity": 0.5})
            >>> method.levels, method.sparsity, method.between
            (1, 0.5, 'none')
        """
        given: dict[str, Any] = {name: value for name, value in dials.items() if value is not None}
        name, made = criterion_of(criterion, given.pop("options", {}))
        check_kinds(given)
        merged = amounts(given, dict(getattr(made, "defaults", {})), own) | {
            name: value for name, value in given.items() if name not in AMOUNTS
        }
        defaults = dict(getattr(made, "defaults", {}))
        method = cls(
            name=name,
            criterion=made,
            options=options.describe(made),
            levels=merged.get("levels"),
            rate=merged.get("rate"),
            target=merged.get("target"),
            sparsity=merged.get("sparsity"),
            scope=merged.get("scope") or scope_of(merged, defaults),
            spacing=merged.get("spacing", "geometric"),
            cuts=merged.get("cuts", 1),
            extend=merged.get("extend"),
            stop_when=tuple(map(StopRule.parse, merged.get("stop_when", ()))),
            include=tuple(merged.get("include", ())),
            exclude=tuple(merged.get("exclude", ())),
            between=merged.get("between") or defaults.get("between", "train"),
            after_cut=merged.get("after_cut", "rewind"),
            rewind_to=Duration.parse(merged.get("rewind_to", 0)),
            snapshot_at=tuple(Duration.parse(when) for when in merged.get("snapshot_at", ())),
            no_train=bool(merged.get("no_train", False)),
            allow_collapse=bool(merged.get("allow_collapse", False)),
            all_alive=bool(merged.get("all_alive", False)),
            granularity=merged.get("granularity", "weight"),
        )
        method.check()
        return method

    def check(self) -> None:
        """Refuse dials that contradict each other, before any model is built."""
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
        if self.between == "none" and self.after_cut != "rewind":
            raise RecipeError(f"`after_cut={self.after_cut}` needs trained levels. Received: between=none")
        if isinstance(self.cuts, bool) or not isinstance(self.cuts, int) or self.cuts < 1:
            raise RecipeError(f"`cuts` must be an integer of at least 1. Received: cuts={self.cuts!r}")
        if self.cuts > 1 and self.levels is None:
            raise RecipeError(f"`cuts` needs `levels`. Received: cuts={self.cuts} and no levels")
        if self.extend is not None:
            ends = {"target": self.target, "sparsity": self.sparsity}
            check_extend(self.extend, self.rate, ends, (self.levels or 0) * self.cuts)
        if self.all_alive and (self.scope, self.granularity) != ("global", "weight"):
            raise RecipeError(
                "`all_alive` counts weights over all layers: it needs scope global and granularity weight. "
                f"Received: scope={self.scope}, granularity={self.granularity}"
            )
        check_amounts(self.levels, self._rates(), self.target, self.sparsity, self.scope, self.spacing)

    def _rates(self) -> Rate | None:
        """The rates without those of 0, which make a layer non-prunable instead."""
        if not isinstance(self.rate, Mapping):
            return self.rate
        return {pattern: value for pattern, value in self.rate.items() if value != 0} or None

    def schedule(
        self,
        masks: Tree,
        kinds: Mapping[str, str],
        outputs: Collection[str],
        counts: Sequence[int] | None = None,
    ) -> Schedule:
        """What each level keeps of `masks`, which those with a rate of 0 are not among: what is planned, or `counts`
        over all keys where they are given, of which `levels` may take fewer."""
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
        """The keys whose rate is exactly 0: they carry no mask at all."""
        if not isinstance(self.rate, Mapping) or 0 not in self.rate.values():
            return set()
        rates = rates_by_key({"*": 1.0} | dict(self.rate), masks, kinds, outputs)
        return {key for key, rate in rates.items() if rate == 0}

    def trains(self, level: int, last: int) -> bool:
        """Whether `level` of `last` is trained."""
        return not self.no_train if level == last else self.between == "train"

    def steps_to_keep(self, train: Duration, per_epoch: int) -> tuple[int, ...]:
        """The steps of level 0 whose weights tickets carry.

        Args:
            train: how long level 0 trains.
            per_epoch: iterations of an epoch.

        Raises:
            RecipeError: one is not reached, or nothing would be left to train after it.
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
        """Whether a longer run begins with the same levels: each prunes by a rate and none is the special last one."""
        by_rate = self.rate is not None and self.target is None and self.sparsity is None
        return by_rate and (self.between == "train") == (not self.no_train)

    def describe(self) -> dict[str, Any]:
        """The method as JSON: what `run.json` and provenance record."""
        # Absent where they change nothing, as before there were such dials: those runs can be continued.
        later = {
            "spacing": self.spacing,
            "cuts": self.cuts,
            "extend": self.extend,
            "stop_when": [rule.text for rule in self.stop_when],
            "all_alive": self.all_alive,
        }
        return {name: value for name, value in later.items() if value != _USUAL[name]} | {
            "levels": self.levels,
            "rate": dict(self.rate) if isinstance(self.rate, Mapping) else self.rate,
            "target": self.target,
            "sparsity": self.sparsity,
            "scope": self.scope,
            "include": list(self.include),
            "exclude": list(self.exclude),
            "between": self.between,
            "after_cut": self.after_cut,
            "rewind_to": str(self.rewind_to),
            "snapshot_at": [str(when) for when in self.snapshot_at],
            "no_train": self.no_train,
            "allow_collapse": self.allow_collapse,
            "granularity": self.granularity,
        }


_USUAL: Mapping[str, Any] = {
    "spacing": "geometric",
    "cuts": 1,
    "extend": None,
    "stop_when": [],
    "all_alive": False,
}
