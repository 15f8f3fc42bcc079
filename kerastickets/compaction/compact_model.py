"""Compact a pruned model: build a smaller model that computes the same, without the useless units."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from kerastickets.compaction.kept_units import KeptUnits
from kerastickets.compaction.layer_calls import calls_of, graph_of
from kerastickets.compaction.narrowed_model import build_narrowed
from kerastickets.errors import TicketError
from kerastickets.models.architecture import architecture, custom_classes, rebuild
from kerastickets.models.multiply_adds import multiply_adds
from kerastickets.models.units import model_units
from kerastickets.models.variables import assign, check_built, snapshot


@dataclass(frozen=True, eq=False)
class Compacted:
    """A compacted model and facts about it.

    Args:
        model: a new Functional model with the same inputs and outputs as the old one.
        facts: a JSON-ready dict:

            - `layers`: per layer with weights: its name `layer`, and its units `before` and `after`;
            - `weights_before`, `weights_after`: the number of all weights, biases and statistics included;
            - `multiply_adds`: per example: `dense` in the old model, `theoretical` in the old model without
              multiplications by zero, `executed` in the new model;
            - `kept`: the number of useless units that stay nevertheless, by reason.
    """

    model: keras.Model
    facts: Mapping[str, Any]


def compact(
    model: keras.Model, custom_objects: Mapping[str, Any] | None = None, example: Any = None
) -> Compacted:
    """Remove the neurons, channels and dense-layer inputs that zero weights have made useless.

    A unit is removed in two cases:

    - No output depends on it.
    - It has the same value for every input. Its value then goes into the biases of the layers that take it. A
      bias cannot hold it where a convolution meets padding, because there the effect differs between
      positions. In that case the value goes into the weights of one constant channel that stays.

    Attention loses whole heads, and a recurrent layer whole units. A channel that is multiplied by another one goes
    if one of the two is always 0, as behind the gate of a squeeze-and-excite block.

    Nested models are written out inline. Parts that cannot be followed stay as they are, and `facts["kept"]`
    says why: groups of channels, a depth multiplier above 1, normalisation over channels, the inputs and outputs of
    attention, states that a recurrent layer returns, Reshape that mixes channels, a softmax before the end of the
    model, and your own layers.

    Args:
        model: a built Sequential or Functional model whose pruned weights are 0; it is not changed.
        custom_objects: your classes by name.
        example: an input of the model, which shows sizes that the model leaves open. None takes that of `open_size`.

    Returns:
        A `Compacted`. Its model computes the same as `model`, up to rounding.

    Raises:
        TicketError: the model is subclassed, so it does not say which layer feeds which.
        RecipeError: the example does not fit the model.

    Example:
        >>> layers = [keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)]
        >>> model = keras.Sequential(layers)
        >>> kernel, bias = model.layers[0].get_weights()
        >>> kernel[:, 1:] = 0  # three of four neurons are constant now
        >>> model.layers[0].set_weights([kernel, bias])
        >>> [layer["after"] for layer in compact(model).facts["layers"]]
        [1, 2]
    """
    check_built(model)
    plain = _plain(model, custom_objects)
    calls, weights = calls_of(plain, example), snapshot(plain)
    units = model_units(plain, [key for key, value in weights.items() if value.ndim > 1])
    kept_units = KeptUnits.of(calls, weights, units.layers)
    made = build_narrowed(plain, kept_units)
    layers = [
        {
            "layer": layer.call.op.name,
            "before": len(layer.cols),
            "after": int(kept_units.stays[layer.cols].sum()),
        }
        for layer in kept_units.layers
    ]
    before, after = (sum(value.size for value in snapshot(net).values()) for net in (plain, made))
    one = None if example is None else keras.tree.map_structure(lambda some: some[:1], example)
    facts = {
        "layers": layers,
        "weights_before": before,
        "weights_after": after,
        "multiply_adds": {**multiply_adds(plain, one), "executed": multiply_adds(made, one)["dense"]},
        "kept": kept_units.reasons(),
    }
    return Compacted(made, facts)


def _plain(model: keras.Model, custom_objects: Mapping[str, Any] | None) -> keras.Model:
    """A copy of the model without masks. Calling its layers leaves the user's model unchanged."""
    if graph_of(model) is None:
        raise TicketError(
            "A model must be Sequential or Functional to be compacted. Received: a "
            f"{type(model).__name__}, which does not say which layer feeds which. Export it without compaction, or "
            "build it from layers by Sequential or Functional."
        )
    copy = rebuild(architecture(model), custom_classes(model) | dict(custom_objects or {}))
    assign(copy, snapshot(model))
    return copy
