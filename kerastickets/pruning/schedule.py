"""Plan how many weights each level keeps. This is arithmetic on counts, before any weight is scored."""

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast, get_args

import numpy as np

from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree, kept, total

Scope = Literal["global", "layer"]
Spacing = Literal["geometric", "linear"]

# A rate so small that it needs more levels than this is a typo. Without a bound it would fill the memory.
_MOST_LEVELS = 10_000


@dataclass(frozen=True)
class Schedule:
    """The number of weights that each level keeps.

    `cut(scores, schedule.counts[t], masks, schedule.scope)` makes level t.

    Args:
        levels: the number of prunings. It can be 0 only if counts were given, see `along`.
        counts: `levels + 1` entries, the first before any pruning. An entry is the number of weights kept over all
            keys, or the number per key.
        scope: `global` or `layer`.

    Example:
        >>> Schedule(1, ({"a": 10, "b": 5}, {"a": 8, "b": 4}), "layer").totals
        (15, 12)
    """

    levels: int
    counts: tuple[int | Mapping[str, int], ...]
    scope: Scope

    @property
    def totals(self) -> tuple[int, ...]:
        """The number of weights kept over all keys, level by level."""
        return tuple(sum(count.values()) if isinstance(count, Mapping) else count for count in self.counts)


def plan(
    masks: Tree,
    *,
    levels: int | None = None,
    rate: float | Mapping[str, float] | None = None,
    target: int | None = None,
    sparsity: float | None = None,
    scope: str | None = None,
    spacing: str = "geometric",
    kinds: Mapping[str, str] = {},
    outputs: Collection[str] = (),
) -> Schedule:
    """Plan a schedule from any two of `levels`, `rate` and `target` (or `sparsity`). Two determine the third.

    If only a rate, a target or a sparsity is given, there is one level. N is the number of weights kept at the start.

    - Levels L and a target T give the rate p = 1 - (T/N)^(1/L).
    - A rate p keeps rint(N(1-p)^t) weights at level t.
    - With scope `layer`, a rate instead prunes round(kept * rate) weights of each key at each level, ties to even.
    - With a rate and a target, there are as many levels as it takes to reach the target. The last level keeps exactly
      the target.
    - With spacing `linear`, level t keeps rint(N - t(N-T)/L) weights: every level prunes the same number of weights,
      not the same fraction.

    Args:
        masks: booleans by key at the start: all true, or the masks of a ticket.
        levels: the number of prunings, at least 1.
        rate: fraction of the kept weights that a level prunes, in (0, 1). Or fractions by pattern. A pattern is a key,
            `output` (the keys in `outputs`), `conv` or `dense` (see `kinds`), or `*` for all other keys. The first
            pattern in this order that matches a key decides. A key that no pattern matches is not pruned. Patterns
            other than `*` imply scope `layer`, and exclude a target.
        target: number of weights to keep in the end, from 1 to the number kept now.
        sparsity: fraction of all prunable weights, kept or not, that is pruned in the end, in [0, 1).
        scope: `global` (the default) or `layer`.
        spacing: how to space levels on the way to a target: `geometric` (the default), or `linear`, which excludes a
            rate.
        kinds: `conv`, `dense` or anything else by key.
        outputs: keys of the output layers.

    Returns:
        A `Schedule`.

    Raises:
        RecipeError: a value is out of range, too few or too many are given, or a pattern matches no key.

    Example:
        >>> masks = {"a/kernel": np.ones(1000, bool)}
        >>> plan(masks, rate=0.2, levels=6).counts
        (1000, 800, 640, 512, 410, 328, 262)
        >>> plan(masks, target=200, levels=6).counts
        (1000, 765, 585, 447, 342, 262, 200)
        >>> plan(masks, target=200, levels=4, spacing="linear").counts
        (1000, 800, 600, 400, 200)

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, section 2 (iterative pruning) and figure 2
        (rates by layer).
    """
    rates = check_amounts(levels, rate, target, sparsity, scope, spacing)
    if not kept(masks):
        raise RecipeError("There must be a weight left to prune. Received: masks that keep none.")
    end, plain = _target(masks, target, sparsity), rates.get("*")
    if rates.keys() - {"*"} or (plain is not None and end is None and scope == "layer"):
        return _by_layer(masks, int(levels or 1), rates_by_key(rates, masks, kinds, outputs))
    if plain is not None and end is not None:
        counts = _until(kept(masks), float(plain), end)
    elif end is not None and spacing == "linear":
        counts = _line(kept(masks), int(levels or 1), end)
    else:
        counts = _trajectory(kept(masks), int(levels or 1), plain, end)
    return Schedule(len(counts) - 1, counts, cast(Scope, scope or "global"))


def along(masks: Tree, counts: Sequence[int], *, scope: str | None = None) -> Schedule:
    """Make a schedule from given counts instead of planning it.

    Args:
        masks: booleans by key at the start.
        counts: number of weights to keep over all keys. The first is the number that `masks` keep. Each further count,
            one per level, is at most the one before.
        scope: `global` (the default) or `layer`.

    Raises:
        RecipeError: the first count is not the number that `masks` keep, or a count is above the one before or
            below 1.

    Example:
        >>> along({"a/kernel": np.ones(10, bool)}, (10, 7, 2)).totals
        (10, 7, 2)
    """
    if not counts or counts[0] != kept(masks):
        raise RecipeError(
            f"The first count must be the weights that are kept at the start, {kept(masks)}. "
            f"Received: counts={[*counts[:1]]}"
        )
    if counts[-1] < 1 or any(before < after for before, after in pairwise(counts)):
        raise RecipeError(f"Counts must not increase, and stay above 0. Received: counts={[*counts]}")
    return Schedule(len(counts) - 1, tuple(counts), cast(Scope, scope or "global"))


def _trajectory(start: int, levels: int, rate: float | None, end: int | None) -> tuple[int, ...]:
    """The number of weights kept over all keys, level by level, for a rate or a target."""
    share = 1 - float(rate) if rate is not None else (cast(int, end) / start) ** (1 / levels)
    return tuple(_rint(start * share**t) for t in range(levels + 1))


def _line(start: int, levels: int, end: int) -> tuple[int, ...]:
    """The number of weights kept over all keys, level by level, if every level prunes the same number."""
    # A single division of integers keeps halves exact, and also the last level.
    return tuple(_rint((start * (levels - t) + end * t) / levels) for t in range(levels + 1))


def _until(start: int, rate: float, end: int) -> tuple[int, ...]:
    """The number of weights kept over all keys, level by level, for a rate and a target."""
    counts = [start]
    while len(counts) == 1 or counts[-1] > end:
        if len(counts) > _MOST_LEVELS:
            raise RecipeError(
                f"rate must reach the target within {_MOST_LEVELS} levels. "
                f"Received: rate={rate}, target={end}. Use a larger rate."
            )
        counts.append(max(end, _rint(start * (1 - rate) ** len(counts))))
    return tuple(counts)


def _by_layer(masks: Tree, levels: int, rates: Mapping[str, float]) -> Schedule:
    counts = [{key: kept({key: masks[key]}) for key in sorted(masks)}]
    for _ in range(levels):
        # Python rounds ties to even, as torch.nn.utils.prune does.
        counts.append({key: count - round(count * rates[key]) for key, count in counts[-1].items()})
    return Schedule(levels, tuple(counts), "layer")


def rates_by_key(
    rates: Mapping[str, float], masks: Tree, kinds: Mapping[str, str], outputs: Collection[str]
) -> dict[str, float]:
    """The rate of each key: the rate of the first pattern that matches it, or 0.

    Patterns are tried in this order: the key itself, `output`, `conv` or `dense`, and `*`.

    Args:
        rates: fractions by pattern, as `plan` takes them.
        masks: booleans by key.
        kinds: `conv`, `dense` or anything else by key.
        outputs: keys of the output layers.

    Raises:
        RecipeError: a pattern matches no key.

    Example:
        >>> masks = {"a/kernel": np.ones(4, bool), "b/kernel": np.ones(4, bool)}
        >>> rates_by_key({"output": 0.1, "*": 0.2}, masks, {}, {"b/kernel"})
        {'a/kernel': 0.2, 'b/kernel': 0.1}
    """
    fitting = {key: _patterns(key, kinds.get(key, ""), key in outputs) for key in masks}
    known = {"*"}.union(*fitting.values())
    for pattern in sorted(rates.keys() - known):
        near = difflib.get_close_matches(pattern, known, n=1)
        guess = f" Did you mean '{near[0]}'?" if near else f" Keys: {', '.join(sorted(masks))}."
        raise RecipeError(
            "A rate's pattern must be a prunable key, 'output', 'conv', 'dense' or '*', and fit a key. "
            f"Received: {pattern}={rates[pattern]}.{guess}"
        )
    return {key: next((float(rates[p]) for p in row if p in rates), 0.0) for key, row in fitting.items()}


def _patterns(key: str, kind: str, output: bool) -> tuple[str, ...]:
    """The patterns that match a key, in the order in which they are tried."""
    roles = ["output"] if output else []
    known = [kind] if kind in ("conv", "dense") else []
    return (key, *roles, *known, "*")


def _target(masks: Tree, target: int | None, sparsity: float | None) -> int | None:
    """The number of weights to keep in the end, from a target or a sparsity; None if neither is given."""
    if target is None and sparsity is None:
        return None
    end = int(target or 0) if sparsity is None else _rint(total(masks) * (1 - float(sparsity)))
    if not 1 <= end <= kept(masks):
        said = f"target={target}" if sparsity is None else f"sparsity={sparsity}, a target of {end}"
        raise RecipeError(
            f"target must be in [1, {kept(masks)}], the weights that are left. Received: {said}"
        )
    return end


def check_amounts(
    levels: int | None,
    rate: float | Mapping[str, float] | None,
    target: int | None,
    sparsity: float | None,
    scope: str | None,
    spacing: str = "geometric",
) -> dict[str, float]:
    """Refuse arguments of `plan` that are wrong whatever the masks are. It can be called before there is a mask.

    Args:
        levels: the number of prunings, as in `plan`, or None.
        rate: one fraction, or fractions by pattern.
        target: number of weights to keep in the end.
        sparsity: fraction of all prunable weights that is pruned in the end.
        scope: `global`, `layer` or None.
        spacing: `geometric` or `linear`.

    Returns:
        The rates by pattern. A single rate has the pattern `*`.

    Raises:
        RecipeError: a value is out of range, or too few or too many are given.

    Example:
        >>> check_amounts(None, 0.2, None, None, None)
        {'*': 0.2}
    """
    rates = {} if rate is None else dict(rate) if isinstance(rate, Mapping) else {"*": rate}
    if levels is not None and not (_integer(levels) and 1 <= levels <= _MOST_LEVELS):
        raise RecipeError(f"levels must be an integer in [1, {_MOST_LEVELS}]. Received: levels={levels!r}")
    for pattern, rate in rates.items():
        if not (_real(rate) and 0 < rate < 1):
            name = "rate" if pattern == "*" else f"rate of {pattern}"
            raise RecipeError(f"rate must be in (0, 1). Received: {name}={rate!r}")
    if target is not None and not _integer(target):
        raise RecipeError(f"target must be an integer. Received: target={target!r}")
    if sparsity is not None and not (_real(sparsity) and 0 <= sparsity < 1):
        raise RecipeError(f"sparsity must be in [0, 1). Received: sparsity={sparsity!r}")
    if scope not in (None, "global", "layer"):
        raise RecipeError(f"scope must be 'global' or 'layer'. Received: scope={scope!r}")
    if spacing not in get_args(Spacing):
        raise RecipeError(f"spacing must be 'geometric' or 'linear'. Received: spacing={spacing!r}")
    if spacing == "linear" and rates:
        raise RecipeError(
            "Linear spacing prunes the same number of weights at each level, and a rate the same fraction. "
            f"Received: spacing='linear', rate={rates}. Give levels and a target or sparsity instead of the rate."
        )
    _check_together(levels, rates, target, sparsity, scope)
    return rates


def _check_together(
    levels: int | None,
    rates: Mapping[str, float],
    target: int | None,
    sparsity: float | None,
    scope: str | None,
) -> None:
    received = f"Received: levels={levels}, rate={dict(rates)}, target={target}, sparsity={sparsity}"
    ends = (target is not None) + (sparsity is not None)
    if ends == 2:
        raise RecipeError(f"Give target or sparsity, not both. {received}")
    if not rates and not ends:
        raise RecipeError(f"Give a rate, a target or a sparsity. {received}")
    if rates.keys() - {"*"} and (ends or scope == "global"):
        raise RecipeError(
            "Rates by layer must go with scope 'layer' and without target or sparsity. "
            f"{received}, scope={scope!r}"
        )
    if levels is not None and rates and ends:
        raise RecipeError(f"Give two of levels, rate, and target or sparsity: two fix the third. {received}")


def _integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _real(value: object) -> bool:
    return (_integer(value) or isinstance(value, float | np.floating)) and math.isfinite(cast(float, value))


def _rint(value: float) -> int:
    return int(np.rint(value))
