"""Gradual pruning: one training, in which the net is cut again and again on the way to its final sparsity.

This module imports no TensorFlow, so that a mistyped setting is refused at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, cast

import numpy as np

from kerastickets.errors import RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets.foundations.tree import Tree, kept
from kerastickets.pruning.variants import Count, MethodLike, Variant
from kerastickets.registry.plugin_options import unknown

# Cuts of a training if the caller does not say how often to cut.
_CUTS = 20


def polynomial(
    begin: int, end: int, every: int, final: float, *, initial: float = 0.0, power: float = 3.0
) -> dict[int, float]:
    """Make a gradual pruning schedule for `PruneDuringTraining`.

    Args:
        begin: the batch of the first pruning; at least 0.
        end: the batch at which sparsity reaches `final`; greater than `begin`.
        every: the number of batches between prunings; at least 1.
        final: the sparsity at the end, in [0, 1); at least `initial`.
        initial: the sparsity at `begin`, in [0, 1).
        power: the exponent of the schedule. 1 is linear; 3 prunes fast at first and slowly at the end.

    Returns:
        A dict from each pruning step to the sparsity from that step on:
        `final + (initial - final) * (1 - (step - begin) / (end - begin)) ** power`.

    Raises:
        RecipeError: a value is out of range.

    Example:
        >>> polynomial(0, 200, 100, 0.8, power=1)
        {0: 0.0, 100: 0.4, 200: 0.8}

    Reference:
        M. Zhu, S. Gupta, To prune, or not to prune, section 3.
    """
    if not (0 <= begin < end and every >= 1 and 0 <= initial <= final < 1):
        raise RecipeError(
            "Expected 0 <= begin < end, every >= 1 and 0 <= initial <= final < 1. Received: "
            f"begin={begin}, end={end}, every={every}, initial={initial}, final={final}"
        )
    steps = [*range(begin, end, every), end]
    return {step: final + (initial - final) * (1 - (step - begin) / (end - begin)) ** power for step in steps}


@dataclass(frozen=True)
class Gradual(Variant):
    """Cut the net while it trains, from no sparsity to that of level 1, along a cubic schedule.

    Level 1 is this training. It starts from the initial weights, since level 0 is not trained. The optimizer's state is
    kept across cuts. After the last cut, the net trains on to the end.

    Args:
        begin: when sparsity begins to rise: a fraction of the training, or a moment of it.
        end: the moment of the last cut, in the same form.
        every: the steps between two cuts; None makes 20 cuts.

    Example:
        >>> gradual = Gradual.parse("gradual:end=0.5,every=10it")
        >>> gradual.moves(100, 20, 40, per_epoch=5)
        {10: 30, 20: 20}

    Reference:
        M. Zhu, S. Gupta, To prune, or not to prune, section 3.
    """

    begin: float | Duration = 0.0
    end: float | Duration = 0.75
    every: Duration | None = None

    implied: ClassVar[Mapping[str, Any]] = MappingProxyType({"levels": 1, "between": "none"})

    @classmethod
    def parse(cls, schedule: Any) -> "Gradual | None":
        """Read the setting `schedule`: `levels` is None; `gradual`, or `gradual:begin=0.1,end=500it,every=10it`.

        Raises:
            RecipeError: it is anything else.
        """
        if schedule is None or schedule == "levels":
            return None
        kind, _, rest = schedule.partition(":") if isinstance(schedule, str) else ("", "", "")
        if kind != "gradual":
            raise RecipeError(
                "`schedule` must be levels, gradual or gradual:begin=0,end=0.75,every=100it. "
                f"Received: schedule={schedule!r}"
            )
        given: dict[str, Any] = {}
        for pair in rest.split(",") if rest else ():
            name, _, value = pair.partition("=")
            if name not in ("begin", "end", "every"):
                raise RecipeError(unknown("part of `schedule`", name, ("begin", "end", "every"), "Parts"))
            given[name] = Duration.parse(value) if name == "every" else _moment(name, value)
        if "every" in given and not given["every"].count:
            raise RecipeError(f"`every` of the schedule must be at least one step. Received: {schedule}")
        return cls(**given)

    def __str__(self) -> str:
        parts = {name: getattr(self, name) for name in ("begin", "end", "every")}
        said = [f"{name}={value}" for name, value in parts.items() if value != getattr(type(self), name)]
        return ":".join(["gradual", *([",".join(said)] if said else [])])

    def check(self, method: MethodLike) -> None:
        """Refuse settings of a run of several trainings."""
        wrong = {
            "levels": method.levels != 1 and method.levels,
            "between": method.between != "none" and method.between,
            "cuts": method.cuts > 1 and method.cuts,
            "no_train": method.no_train,
            "another variant": len(method.variants) > 1 and "extend or all_alive",
        }
        for name, value in wrong.items():
            if value:
                raise RecipeError(
                    "A gradual schedule is one training, in which the net is cut: it goes with levels=1, between=none, "
                    f"and without cuts, no_train, extend and all_alive. Received: schedule={self}, {name}={value}"
                )

    def moves(self, start: Count, end: Count, total: int, per_epoch: int) -> dict[int, Count]:
        """The number of weights to keep after each cut, by the step after which the net is cut.

        Raises:
            RecipeError: the cuts do not lie within the training.
        """
        first, last = (_step(when, total, per_epoch) for when in (self.begin, self.end))
        if not 0 <= first < last < total:
            raise RecipeError(
                "The cuts of a gradual schedule must lie within the training: begin < end < its length. Received: "
                f"begin={first}, end={last} of {total} iterations"
            )
        every = self.every.iterations(per_epoch) if self.every else -(-(last - first) // _CUTS)
        if not isinstance(start, Mapping):
            return {**_kept(start, cast(int, end), first, last, every)}
        ends = cast(Mapping[str, int], end)
        each = {key: _kept(count, ends[key], first, last, every) for key, count in start.items()}
        return {
            step: {key: counts[step] for key, counts in each.items()} for step in next(iter(each.values()))
        }


def at_most(count: Count, masks: Tree) -> Count:
    """A number of weights to keep, but no more than masks keep: whole units may have taken more than was asked.

    Args:
        count: the number of weights to keep, in total or per key.
        masks: booleans by key.

    Example:
        >>> at_most(3, {"a/kernel": np.array([True, False])})
        1
    """
    if isinstance(count, Mapping):
        return {key: min(number, kept({key: masks[key]})) for key, number in count.items()}
    return min(count, kept(masks))


def _kept(start: int, end: int, first: int, last: int, every: int) -> dict[int, int]:
    shares = polynomial(first, last, every, 1 - end / start if start else 0.0)
    # Nothing is cut at the beginning.
    return {step: int(np.rint(start * (1 - share))) for step, share in shares.items() if step > first}


def _moment(name: str, text: str) -> float | Duration:
    if text.endswith(("it", "ep")):
        return Duration.parse(text)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise RecipeError(
            f"`{name}` of the schedule must be a fraction of the training from 0 to 1, or a moment such as 500it or "
            f"2ep. Received: {name}={text}"
        )
    return value


def _step(when: float | Duration, total: int, per_epoch: int) -> int:
    return when.iterations(per_epoch) if isinstance(when, Duration) else round(when * total)
