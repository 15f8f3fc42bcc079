"""Find the role of each weight: convolution or dense, and whether it belongs to an output layer."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras

from kerastickets.errors import RecipeError
from kerastickets.models.variables import paths, walk


def kinds(model: keras.Layer, keys: Collection[str]) -> dict[str, str]:
    """Classify each key as `conv`, `dense` or `other`, by the class of the layer that owns the weight.

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


def output_keys(model: keras.Model, keys: Collection[str]) -> set[str]:
    """The subset of `keys` that belong to output layers.

    A weight belongs to an output layer if a path leads from its layer to an output of `model` without passing
    another weight in `keys`.

    Args:
        model: a Sequential or Functional model; it may contain nested models.
        keys: prunable weights.

    Raises:
        RecipeError: the model is subclassed, so there is no graph to follow.

    Example:
        >>> layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2), keras.layers.Softmax()]
        >>> output_keys(keras.Sequential(layers), ["dense/kernel", "dense_1/kernel"])
        {'dense_1/kernel'}
    """
    if not hasattr(_graph(model), "_nodes_by_depth"):
        raise RecipeError(
            "Which layers give the outputs, for a rate for `output` or for pruning by channels, is known of a "
            f"Sequential or Functional model only. Received: {type(model).__name__}. Give the rate by key, as in "
            "--rate head/kernel=0.1, or prune single weights."
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
    # A Sequential model keeps its graph in an internal Functional model.
    return getattr(model, "_functional", None) or model


def _stops(
    model: Any, outputs: Sequence[Any], owners: Mapping[int, set[str]], found: set[str]
) -> Iterator[int]:
    """Walk back from `outputs` to the first layers that own keys, and add their keys to `found`.

    Yields the index of each input of `model` that is reached without passing such a layer.
    """
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
