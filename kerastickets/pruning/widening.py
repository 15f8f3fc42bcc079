"""Network extension: wider and wider nets whose parameters, seen from the widest, are pruned by one rate.

A model plugin takes part by a method `extended(data, rate, levels)`; see `Extendable`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, cast, runtime_checkable

from kerastickets import registry
from kerastickets.data.dataset import Data
from kerastickets.errors import PluginError, RecipeError
from kerastickets.pruning.variants import MethodLike, StartModel, Variant

Shape = tuple[int, ...]

# A wider layer has more weights than any memory; without a bound, powers would overflow.
_WIDEST = 10**9


def extend_network(shape: Sequence[int], rate: float, levels: int) -> list[tuple[Shape, int]]:
    """Widen a fully connected net so that pruning the wider ones by `rate` leads back to it.

    With N weights, m hidden layers of equal width, d_in inputs and d_out outputs, the hidden width of level i
    is the positive root d of (m-1)d^2 + (d_in + d_out)d = N/(1-rate)^i, to the nearest integer. Its weights
    are counted anew, so counts follow the powers as closely as whole widths can.

    Args:
        shape: inputs, the hidden widths (at least one, all equal) and outputs; each at least 1.
        rate: share of the weights that pruning takes at each level, in (0, 1).
        levels: how often to widen, at least 0.

    Returns:
        For each level from 0, the net itself, to `levels` its shape and its weights, biases not counted.

    Raises:
        RecipeError: a value out of range, unequal hidden widths, or a net too wide for any memory.

    Example:
        >>> extend_network((4, 8, 8, 2), 0.32, 2)
        [((4, 8, 8, 2), 112), ((4, 10, 10, 2), 160), ((4, 13, 13, 2), 247)]

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 3.3 and table 4.1.
    """
    shape = tuple(shape)
    _check(shape, rate, levels)
    first, last, depth = shape[0], shape[-1], len(shape) - 2
    weights = _weights(shape)
    found = []
    for level in range(levels + 1):
        try:
            width = _width(depth - 1, first + last, weights / (1 - rate) ** level)
        except (OverflowError, ZeroDivisionError):
            width = _WIDEST + 1
        if width > _WIDEST:
            raise RecipeError(
                f"A net must stay narrower than {_WIDEST} when it is extended. Received: rate={rate}, level "
                f"{level} of {levels}. Use fewer levels, or a smaller rate."
            )
        wider = (first, *[width] * depth, last)
        found.append((wider, _weights(wider)))
    return found


def _width(square: int, linear: int, weights: float) -> int:
    """The positive root of square*d^2 + linear*d = weights, to the nearest integer."""
    if square == 0:
        return round(weights / linear)
    return round((math.sqrt(linear**2 + 4 * square * weights) - linear) / (2 * square))


def _weights(shape: Shape) -> int:
    return sum(before * after for before, after in pairwise(shape))


def _check(shape: Shape, rate: float, levels: int) -> None:
    whole = all(isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in shape)
    if not whole or len(shape) < 3 or len(set(shape[1:-1])) > 1:
        raise RecipeError(
            "A net that is extended must have inputs, one or more hidden layers of equal width, and outputs, each "
            f"at least 1. Received: shape={shape}"
        )
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1:
        raise RecipeError(f"rate must be in (0, 1). Received: rate={rate!r}")
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 0:
        raise RecipeError(f"levels must be an integer of at least 0. Received: levels={levels!r}")


@runtime_checkable
class Extendable(Protocol):
    """A model plugin that can be widened: one more method, and `kt prune --extend` works with it."""

    def extended(self, data: Data, rate: float, levels: int) -> Sequence[tuple[Any, int]]:
        """For each level from 0, the plugin itself, to `levels`: a plugin, and its weights without biases.

        Args:
            data: what the model is for.
            rate: share of the weights that pruning takes at each level, in (0, 1).
            levels: how often to widen, at least 0.
        """
        ...


@dataclass(frozen=True)
class Widening(Variant):
    """The variant `extend`: widen the model first, and prune it back to its own size.

    Args:
        times: how often to widen, at least 0.

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 3.3.
    """

    times: int

    plans_counts = True

    def scope(self, rate: Any) -> str | None:
        """The counts of a widened net are those of all layers together, and so is its scope."""
        return "global"

    def check(self, method: MethodLike) -> None:
        """Refuse settings that say otherwise how much to prune."""
        ends = {"target": method.target, "sparsity": method.sparsity}
        check_extend(self.times, method.rate, ends, (method.levels or 0) * method.cuts)

    def check_model(self, model: Any, name: str) -> None:
        """Refuse a model that cannot be widened."""
        check_extendable(model, name)

    def start_model(self, start: StartModel, data: Data, method: MethodLike) -> StartModel:
        """The widest model, and the number of weights of each narrower one."""
        return widened(start.model, start.name, data, float(cast(float, method.rate)), self.times)


def widened(model: Any, name: str, data: Data, rate: float, levels: int) -> StartModel:
    """A model plugin, widened `levels` times.

    Args:
        model: an instance of a model plugin that is `Extendable`.
        name: its spec or class.
        data: the data set that the model is for.
        rate: the fraction of the weights that pruning takes at each level.
        levels: how often to widen.

    Returns:
        The widest model, its name, and the number of weights to keep at each level, from the widest down.

    Raises:
        RecipeError: the model cannot be extended, or not so far.
        PluginError: the plugin gives another number of models.

    Example:
        >>> from kerastickets.data.spec import data_of
        >>> wide = widened(registry.create("models", "mlp:8-8"), "mlp:8-8", data_of("moons-circles"), 0.32, 2)
        >>> wide.name, wide.counts
        ('mlp:widths=13-13', (247, 160, 112))
    """
    check_extendable(model, name)
    steps = list(cast(Extendable, model).extended(data, rate, levels))
    if len(steps) != levels + 1:
        raise PluginError(
            f"`extended` of {type(model).__name__} must give {levels + 1} models, those of levels 0 to {levels}. "
            f"Received: {len(steps)}"
        )
    widest = steps[-1][0]
    own = registry.spec(name.partition(":")[0], widest)
    return StartModel(widest, own, tuple(weights for _, weights in reversed(steps)))


def check_extend(extend: Any, rate: Any, ends: Mapping[str, Any], prunings: int) -> None:
    """Refuse an `extend` that contradicts the other dials of pruning.

    Args:
        extend: how often to widen.
        rate: what prunes: one number.
        ends: other dials that say where a run ends, by name; all must be None.
        prunings: how many are asked for; 0 for as many as there are.

    Raises:
        RecipeError: naming what contradicts it.

    Example:
        >>> check_extend(3, 0.32, {"target": None}, 0)
    """
    if isinstance(extend, bool) or not isinstance(extend, int) or extend < 0:
        raise RecipeError(f"`extend` must be an integer of at least 0. Received: extend={extend!r}")
    if rate is None or isinstance(rate, Mapping):
        raise RecipeError(f"`extend` needs a rate, one number. Received: extend={extend}, rate={rate}")
    for name, value in ends.items():
        if value is not None:
            raise RecipeError(
                f"`extend` ends at the model as it was named: leave out {name}. "
                f"Received: extend={extend}, {name}={value}"
            )
    if prunings > extend:
        raise RecipeError(
            f"`extend` gives as many prunings as widths. Received: extend={extend} and {prunings} prunings (levels "
            "times cuts). Use fewer levels."
        )


def check_extendable(model: Any, name: str) -> None:
    """Refuse a model that cannot be extended.

    Args:
        model: what `find_model` found.
        name: its name, for the message.

    Raises:
        RecipeError: naming the models that can be.

    Example:
        >>> check_extendable(registry.create("models", "conv-2"), "conv-2")
        Traceback (most recent call last):
        kerastickets.errors.RecipeError: `extend` needs a model that can be extended: mlp. Received: conv-2
    """
    if isinstance(model, type) or not isinstance(model, Extendable):
        able = ", ".join(filter(_can, registry.names("models"))) or "none is installed"
        raise RecipeError(f"`extend` needs a model that can be extended: {able}. Received: {name}")


def _can(name: str) -> bool:
    try:
        return hasattr(registry.load("models", name), "extended")
    except PluginError:  # somebody else's, and broken
        return False
