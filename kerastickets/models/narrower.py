"""A narrower dense net with a given number of weights: the control that asks whether sparsity itself helps."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import keras

from kerastickets.errors import RecipeError
from kerastickets.models.architecture import architecture, custom_classes, rebuild
from kerastickets.models.masking import weight_reports

_WIDTHS = ("units", "filters")


def narrowed(model: keras.Model, weights: int) -> keras.Model:
    """`model` with all hidden widths times one factor, closest to `weights` in number.

    Args:
        model: a Sequential or Functional model with one output; its last layer with a width keeps it. It
            is not changed.
        weights: how many prunable weights the narrower net should have.

    Returns:
        A freshly built model; each hidden width is at least 1.

    Raises:
        RecipeError: the model has no config, has no hidden width or cannot be narrowed, as with
            residual additions of widths that are tied otherwise.

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
            f"Narrowing needs a hidden layer with units or filters. Received: {len(wide)} layers with either, "
            "of which the last is the output. Use another control."
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
    """Every layer config, in reading order."""
    if isinstance(node, list):
        return [found for child in node for found in _nodes(child)]
    if not isinstance(node, dict):
        return []
    own = [node] if isinstance(node.get("config"), dict) and "class_name" in node else []
    return own + [found for child in node.values() for found in _nodes(child)]
