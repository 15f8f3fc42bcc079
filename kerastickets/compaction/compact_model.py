"""Compaction: a smaller model that computes the same, without what masks made useless."""

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
from kerastickets.models.variables import assign, snapshot


@dataclass(frozen=True, eq=False)
class Compacted:
    """A model without what was useless.

    Args:
        model: a new Functional model that takes and gives what the old one did.
        facts: JSON-ready: `layers` (units before and after of each layer with weights), `weights_before`,
            `weights_after` (all of them, biases and statistics included), `multiply_adds` (`dense`, `theoretical`
            without those by zero, and `executed` by this model), and `kept`, how many units stay for what reason
            although they are of no use.
    """

    model: keras.Model
    facts: Mapping[str, Any]


def compact(model: keras.Model, custom_objects: Mapping[str, Any] | None = None) -> Compacted:
    """Take away what zeros made useless: neurons, channels, inputs of dense layers.

    A unit goes where no output depends on it, and where it is the same for every input: then the layers that take it
    get the constant into their biases. Where edges of images meet padding that is not the same at every place; there
    the constants go into the weights of one that stays. Nested models are written out inline. What cannot be followed
    (groups of channels, a depth multiplier above 1, normalisation over channels, attention, recurrence, Reshape, a
    softmax within, layers of your own) stays as it is, and `facts["kept"]` says why.

    Args:
        model: a built Sequential or Functional model whose pruned weights are 0; it is not changed.
        custom_objects: your classes by name.

    Returns:
        A `Compacted`, whose model is equal up to rounding.

    Raises:
        TicketError: a subclassed model, which does not say which layer feeds which.

    Example:
        >>> layers = [keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)]
        >>> model = keras.Sequential(layers)
        >>> kernel, bias = model.layers[0].get_weights()
        >>> kernel[:, 1:] = 0  # three of four neurons are constant now
        >>> model.layers[0].set_weights([kernel, bias])
        >>> [layer["after"] for layer in compact(model).facts["layers"]]
        [1, 2]
    """
    plain = _plain(model, custom_objects)
    calls, weights = calls_of(plain), snapshot(plain)
    kept_units = KeptUnits.of(calls, weights)
    made = build_narrowed(plain, kept_units)
    layers = [
        {
            "layer": layer.call.op.name,
            "before": len(layer.cols),
            "after": int(kept_units.stays[layer.cols].sum()),
        }
        for layer in kept_units.weighted
    ]
    before, after = (sum(value.size for value in snapshot(net).values()) for net in (plain, made))
    facts = {
        "layers": layers,
        "weights_before": before,
        "weights_after": after,
        "multiply_adds": {**multiply_adds(plain), "executed": multiply_adds(made)["dense"]},
        "kept": kept_units.reasons(),
    }
    return Compacted(made, facts)


def _plain(model: keras.Model, custom_objects: Mapping[str, Any] | None) -> keras.Model:
    """A copy without masks, whose layers may be called again without a trace in the user's own."""
    if graph_of(model) is None:
        raise TicketError(
            "A model must be Sequential or Functional to be compacted. Received: a "
            f"{type(model).__name__}, which does not say which layer feeds which. Export it without compaction, or "
            "build it from layers by Sequential or Functional."
        )
    copy = rebuild(architecture(model), custom_classes(model) | dict(custom_objects or {}))
    assign(copy, snapshot(model))
    return copy
