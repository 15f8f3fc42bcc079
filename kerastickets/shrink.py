"""A narrower dense net with a given number of weights: the control that asks whether sparsity itself helps."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import keras

from kerastickets.architecture import rebuild
from kerastickets.errors import RecipeError
from kerastickets.masking import fates

_WIDTHS = ("units", "filters")


def narrowed(architecture: Mapping[str, Any], weights: int) -> keras.Model:
    """The model of `architecture` with all hidden widths times one factor, closest to `weights` in number.

    Args:
        architecture: of a Sequential or Functional model; its last layer with a width keeps it.
        weights: how many prunable weights the narrower net should have.

    Returns:
        A freshly built model; each hidden width is at least 1.

    Raises:
        RecipeError: the architecture is empty or cannot be narrowed, as with residual additions of
            widths that are tied otherwise.

    Example:
        >>> from kerastickets.architecture import architecture
        >>> wide = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10), keras.layers.Dense(2)])
        >>> narrowed(architecture(wide), 18).layers[0].units
        3
    """
    if not architecture:
        raise RecipeError("A model without an architecture cannot be narrowed. Use another control.")
    low, high = 0.0, 1.0
    best: tuple[int, keras.Model] | None = None
    for _ in range(24):
        factor = (low + high) / 2
        model = _scaled(architecture, factor)
        count = sum(math.prod(fate.shape) for fate in fates(model) if fate.masked)
        if best is None or abs(count - weights) < abs(best[0] - weights):
            best = (count, model)
        low, high = (factor, high) if count < weights else (low, factor)
    assert best is not None
    return best[1]


def _scaled(architecture: Mapping[str, Any], factor: float) -> keras.Model:
    config = copy.deepcopy(dict(architecture))
    wide = [node for node in _nodes(config) if any(width in node["config"] for width in _WIDTHS)]
    for node in wide[:-1]:
        for width in _WIDTHS:
            if width in node["config"]:
                node["config"][width] = max(1, round(node["config"][width] * factor))
    try:
        return rebuild(config)
    except (ValueError, TypeError) as error:
        raise RecipeError(f"This architecture cannot be narrowed: {error}. Use another control.") from error


def _nodes(node: Any) -> list[dict[str, Any]]:
    """Every layer config, in reading order."""
    if isinstance(node, list):
        return [found for child in node for found in _nodes(child)]
    if not isinstance(node, dict):
        return []
    own = [node] if isinstance(node.get("config"), dict) and "class_name" in node else []
    return own + [found for child in node.values() for found in _nodes(child)]
