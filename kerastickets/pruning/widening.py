"""Network extension: widen a model step by step, so that pruning the widest one by a rate leads back to the model.

A model plugin supports this with a method `extended(data, rate, levels)`; see `Extendable`.
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

# A wider layer has more weights than fit into any memory. Without a bound, powers would overflow.
_WIDEST = 10**9


def extend_network(shape: Sequence[int], rate: float, levels: int) -> list[tuple[Shape, int]]:
    """Widen a fully connected net so that pruning the wider ones by `rate` leads back to it.

    The net has N weights, m hidden layers of equal width, d_in inputs and d_out outputs. The hidden width of level i
    is the positive root d of (m-1)d^2 + (d_in + d_out)d = N/(1-rate)^i, rounded to the nearest integer. The weights
    of each widened net are counted again, so the counts follow the powers as closely as integer widths allow.

    Args:
        shape: the number of inputs, the hidden widths (at least one, all equal) and the number of outputs; each at
            least 1.
        rate: fraction of the weights that each level prunes, in (0, 1).
        levels: how many times to widen, at least 0.

    Returns:
        For each level from 0 (the net itself) to `levels`: the shape, and the number of weights without biases.

    Raises:
        RecipeError: a value is out of range, hidden widths differ, or a net is too wide for any memory.

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
    """The positive root d of square*d^2 + linear*d = weights, rounded to the nearest integer."""
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
    """A model plugin that can be widened. With this one method, `kt prune --extend` works with it."""

    def extended(self, data: Data, rate: float, levels: int) -> Sequence[tuple[Any, int]]:
        """For each level from 0 (the plugin itself) to `levels`: a plugin, and its number of weights without biases.

        Args:
            data: the data set that the model is for.
            rate: fraction of the weights that each level prunes, in (0, 1).
            levels: how many times to widen, at least 0.
        """
        ...


@dataclass(frozen=True)
class Widening(Variant):
    """The variant `extend`: widen the model first, and prune it back to its own size.

    Args:
        times: how many times to widen, at least 0.

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 3.3.
    """

    times: int

    plans_counts = True

    def scope(self, rate: Any) -> str | None:
        """The scope is `global`, since the counts of a widened net are those of all layers together."""
        return "global"

    def check(self, method: MethodLike) -> None:
        """Refuse settings that contradict how much the variant prunes."""
        ends = {"target": method.target, "sparsity": method.sparsity}
        check_extend(self.times, method.rate, ends, (method.levels or 0) * method.cuts)

    def check_model(self, model: Any, name: str) -> None:
        """Refuse a model that cannot be widened."""
        check_extendable(model, name)

    def start_model(self, start: StartModel, data: Data, method: MethodLike) -> StartModel:
        """The widest model, and the number of weights to keep at each level."""
        return widened(start.model, start.name, data, float(cast(float, method.rate)), self.times)


def widened(model: Any, name: str, data: Data, rate: float, levels: int) -> StartModel:
    """A model plugin, widened `levels` times.

    Args:
        model: an instance of a model plugin that is `Extendable`.
        name: its spec or the name of its class.
        data: the data set that the model is for.
        rate: the fraction of the weights that each level prunes.
        levels: how many times to widen.

    Returns:
        The widest model, its name, and the number of weights to keep at each level, from the widest down.

    Raises:
        RecipeError: the model cannot be extended, or not this many times.
        PluginError: the plugin gives a wrong number of models.

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
    """Refuse an `extend` that contradicts the other settings of pruning.

    Args:
        extend: how many times to widen.
        rate: the pruning rate. It must be one number.
        ends: other settings that say where a run ends, by name. All must be None.
        prunings: the number of prunings that the caller asked for; 0 if the caller gave none.

    Raises:
        RecipeError: a setting contradicts `extend`. The message names it.

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
        model: the result of `find_model`.
        name: its name, for the message.

    Raises:
        RecipeError: the model cannot be extended. The message names the models that can.

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
    except PluginError:  # a broken plugin of somebody else
        return False
