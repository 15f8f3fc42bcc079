"""What a weight does in its model: convolution or dense, and whether its layer makes the output."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras

from kerastickets.errors import RecipeError
from kerastickets.models.variables import paths, walk


def kinds(model: keras.Layer, keys: Collection[str]) -> dict[str, str]:
    """`conv`, `dense` or `other` for each of `keys`, by the class of the layer that owns it.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> kinds(model, ["dense/kernel"])
        {'dense/kernel': 'dense'}
    """
    return {place.key: _kind(place.layer) for place in walk(model) if place.key in keys}


def _kind(layer: keras.Layer) -> str:
    names = {base.__name__ for base in type(layer).__mro__}
    if any("Conv" in name for name in names):
        return "conv"
    return "dense" if names & {"Dense", "EinsumDense"} else "other"


def depthwise_keys(model: keras.Layer, keys: Collection[str]) -> set[str]:
    """Those of `keys` that are depthwise kernels: their channels are on the axis before the last.

    Example:
        >>> model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.DepthwiseConv2D(2)])
        >>> depthwise_keys(model, ["depthwise_conv2d/kernel"])
        {'depthwise_conv2d/kernel'}
    """
    own = [place for place in walk(model) if place.key in keys]
    return {p.key for p in own if "depthwise" in p.variable.name or "Depthwise" in type(p.layer).__name__}


def output_keys(model: keras.Model, keys: Collection[str]) -> set[str]:
    """Those of `keys` whose result reaches an output of `model` through no other weight of `keys`.

    Args:
        model: a Sequential or Functional model, nested ones included.
        keys: prunable weights.

    Raises:
        RecipeError: a subclassed model has no graph to follow.

    Example:
        >>> layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2), keras.layers.Softmax()]
        >>> output_keys(keras.Sequential(layers), ["dense/kernel", "dense_1/kernel"])
        {'dense_1/kernel'}
    """
    if not hasattr(_graph(model), "_nodes_by_depth"):
        raise RecipeError(
            f"A rate for `output` needs a Sequential or Functional model. Received: {type(model).__name__}. "
            "Give the rate by key instead, as in --rate head/kernel=0.1"
        )
    owners: dict[int, set[str]] = {}
    for path, layer in paths(model):
        prefix = "/".join(path)
        owners.setdefault(id(layer), {key for key in keys if not prefix or key.startswith(prefix + "/")})
    found: set[str] = set()
    graph = _graph(model)
    for _ in _stops(graph, graph.outputs, owners, found):
        pass
    return found


def _graph(model: keras.Model) -> Any:
    # A Sequential keeps its graph in a Functional of its own.
    return getattr(model, "_functional", None) or model


def _stops(
    model: Any, outputs: Sequence[Any], owners: Mapping[int, set[str]], found: set[str]
) -> Iterator[int]:
    """Walk back from `outputs` to the first layers that own keys; yield the inputs reached without one."""
    pending = list(outputs)
    seen: set[int] = set()
    while pending:
        tensor = pending.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        operation, node_index, which = tensor._keras_history
        if any(tensor is given for given in model.inputs):
            yield next(n for n, given in enumerate(model.inputs) if tensor is given)
            continue
        feeding = operation._inbound_nodes[node_index].input_tensors
        own = owners.get(id(operation), set())
        inner = _graph(operation)
        if own and hasattr(inner, "_nodes_by_depth"):
            pending += [feeding[n] for n in _stops(inner, [inner.outputs[which]], owners, found)]
        elif own:
            found |= own
        else:
            pending += feeding
