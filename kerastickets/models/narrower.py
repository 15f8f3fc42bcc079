"""Build a narrower dense network with a given number of weights.

It is the control that tests whether sparsity itself helps: it has as many weights, but none is pruned.
"""

import copy
import math
from collections.abc import Mapping
from typing import Any

import keras

from kerastickets.errors import RecipeError
from kerastickets.models.architecture import architecture, custom_classes, rebuild
from kerastickets.models.prunable_weights import weight_reports

_WIDTHS = ("units", "filters")


def narrowed(model: keras.Model, weights: int) -> keras.Model:
    """Scale all hidden widths of `model` by one factor, so that it has about `weights` prunable weights.

    Args:
        model: a Sequential or Functional model with one output; it is not changed. The last layer with
            `units` or `filters` keeps its width.
        weights: the number of prunable weights to come as close to as possible.

    Returns:
        A newly built model. Each hidden width is at least 1.

    Raises:
        RecipeError: the model has no config, has no hidden layer with a width, or cannot be narrowed, because
            other parts fix its widths, such as a skip connection or the inputs of a nested model.

    Example:
        >>> wide = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10), keras.layers.Dense(2)])
        >>> narrowed(wide, 18).layers[0].units
        3
    """
    config, custom = architecture(model), custom_classes(model)
    if not config:
        raise RecipeError(
            "Narrowing needs an architecture. Received: a model without one. Use another control."
        )
    low, high = 0.0, 1.0
    best: tuple[int, keras.Model] | None = None
    for _ in range(24):
        factor = (low + high) / 2
        made = _scaled(config, factor, custom)
        count = sum(math.prod(entry.shape) for entry in weight_reports(made) if entry.masked)
        if best is None or abs(count - weights) < abs(best[0] - weights):
            best = (count, made)
        low, high = (factor, high) if count < weights else (low, factor)
    assert best is not None
    before, after = _outputs(model), _outputs(best[1])
    if before != after:
        raise RecipeError(
            f"Narrowing must leave the outputs as they are. Received: {before}, which became {after}. "
            "Use another control."
        )
    return best[1]


def _scaled(plain: Mapping[str, Any], factor: float, custom: Mapping[str, type]) -> keras.Model:
    config = copy.deepcopy(dict(plain))
    wide = [node for node in _nodes(config) if any(width in node["config"] for width in _WIDTHS)]
    if len(wide) < 2:
        raise RecipeError(
            "Narrowing needs a hidden layer with units or filters. Received: a model with "
            f"{len(wide)} such layers, counting the output layer. Use another control."
        )
    for node in wide[:-1]:
        for width in _WIDTHS:
            if width in node["config"]:
                node["config"][width] = max(1, round(node["config"][width] * factor))
    try:
        return rebuild(config, custom)
    except (ValueError, TypeError) as error:
        raise RecipeError(
            "Narrowing must give a model that can be built. Received: an architecture whose widths are tied, as "
            "by the inputs of a nested model or a skip connection. Use another control."
        ) from error


def _outputs(model: keras.Model) -> list[tuple[int | None, ...]]:
    return [tuple(output.shape) for output in getattr(model, "outputs", None) or ()]


def _nodes(node: Any) -> list[dict[str, Any]]:
    """Every layer config, in the order in which they appear."""
    if isinstance(node, list):
        return [found for child in node for found in _nodes(child)]
    if not isinstance(node, dict):
        return []
    own = [node] if isinstance(node.get("config"), dict) and "class_name" in node else []
    return own + [found for child in node.values() for found in _nodes(child)]
