"""Estimate how long Keras takes to build a model from its configuration, without Keras, and refuse what takes too long.

The estimate counts; it does not measure. So an architecture is refused on every machine or on none.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kerastickets.errors import TicketError

# EfficientNetV2L, the largest network of `keras.applications` along with NASNetLarge, has 1031 layers.
_MOST_LAYERS = 4_000
# Microseconds, measured on one core for building twice, as `rebuild_untrusted` does: to make a layer, to call a layer
# that is made, to make another object such as an initializer, and to read one JSON value in the arguments of a call.
_LAYER, _CALL, _OBJECT, _VALUE = 5_000, 1_000, 100, 40
_LIMIT = _MOST_LAYERS * (_LAYER + _CALL)
# Layers that make several layers of their own or copy the layers in them, or that Keras traces with TensorFlow.
_HEAVY = {
    **dict.fromkeys(("LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), 2),
    "Bidirectional": 3,
    **dict.fromkeys(("MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention"), 5),
    **dict.fromkeys(("AugMix", "RandAugment", "Pipeline"), 8),
}
_LIGHT = {"activations", "constraints", "dtype_policies", "initializers", "regularizers"}
_ARRAYS = {"__tensor__", "__numpy__"}


class _Time(NamedTuple):
    """Microseconds for a part: to build it, to call it as often as its model does, and to call each layer once."""

    build: int
    call: int
    once: int


def check_build_time(architecture: Mapping[str, Any]) -> None:
    """Refuse an architecture that would take minutes, or years, to build.

    A few kilobytes can need years: models in models double the number of calls at each level.

    Args:
        architecture: a Keras configuration as JSON, at most a few hundred levels deep.

    Raises:
        TicketError: building takes longer than building 4000 dense layers.

    Example:
        >>> dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}}
        >>> check_build_time({"class_name": "Sequential", "config": {"layers": [dense] * 100}})
        >>> check_build_time({"class_name": "Sequential", "config": {"layers": [dense] * 5000}})
        Traceback (most recent call last):
        ...
        kerastickets.errors.TicketError: Building an architecture may take as long as 4,000 dense layers. Received: ...
    """
    time = _time(architecture).build
    if time > _LIMIT:
        layers = time // (_LAYER + _CALL)
        shown = f"{layers:,}" if layers < 10**9 else "over a billion"
        raise TicketError(
            f"Building an architecture may take as long as {_MOST_LAYERS:,} dense layers. Received: one that takes as "
            f"long as {shown}. Build the model yourself and pass it (`--model` on the command line)."
        )


def _time(node: Any) -> _Time:
    build = call = once = 0
    for child in _children(node):
        inner = _time(child)
        build, call, once = build + inner.build, call + inner.call, once + inner.once
    if not isinstance(node, Mapping) or "class_name" not in node:
        return _Time(build, call, once)
    if _light(node):
        return _Time(build + _OBJECT, call, once)
    heavy = _HEAVY.get(str(node["class_name"]), 1)
    calls = _calls(node)
    unit = heavy * (_CALL + call)
    reading = _VALUE * _values(calls)
    tries = _rounds(_layers(node)) - 1
    return _Time(
        heavy * (build + _LAYER + call) + tries * once + reading, max(1, len(calls)) * unit, unit + reading
    )


def _children(node: Any) -> Iterator[Any]:
    values: Any = ()
    if isinstance(node, Mapping):
        values = () if node.get("class_name") in _ARRAYS else node.values()
    elif isinstance(node, list | tuple):
        values = node
    return (value for value in values if isinstance(value, Mapping | list | tuple))


def _light(node: Mapping[str, Any]) -> bool:
    """Whether this is no layer: a function, a plain value, an initializer, or the like."""
    kind, module = str(node["class_name"]), str(node.get("module"))
    part = module.removeprefix("keras.").removeprefix("src.").partition(".")[0]
    return kind == "function" or kind.startswith("__") or kind.endswith("DTypePolicy") or part in _LIGHT


def _calls(layer: Any) -> Sequence[Any]:
    calls = layer.get("inbound_nodes") if isinstance(layer, Mapping) else None
    return calls if isinstance(calls, list | tuple) else ()


def _layers(node: Mapping[str, Any]) -> Sequence[Any]:
    config = node.get("config")
    layers = config.get("layers") if isinstance(config, Mapping) else None
    return layers if isinstance(layers, list | tuple) else ()


def _values(node: Any) -> int:
    """The number of JSON values in `node`, without those in arrays, which NumPy reads at once."""
    count, pending = 0, [node]
    while pending:
        node = pending.pop()
        count += len(node)
        pending += _children(node)
    return count


def _rounds(layers: Sequence[Any]) -> int:
    """How often Keras goes through the layers of a model until it has made all calls between them.

    Each round makes the calls whose inputs exist, and tries one call of each layer in vain. One round is enough if no
    layer is called on the outputs of a later one.
    """
    waiting = [(layer.get("name"), [*map(_inputs, _calls(layer))]) for layer in layers if _calls(layer)]
    # An input layer has an output although nothing calls it.
    made = {str(layer.get("name")): 1 for layer in layers if isinstance(layer, Mapping) and not _calls(layer)}
    rounds, progress = 0, True
    while waiting and progress and rounds * len(layers) * _CALL < _LIMIT:
        rounds, progress = rounds + 1, False
        for name, calls in waiting:
            done = 0
            while done < len(calls) and all(made.get(of, 0) > index for of, index in calls[done]):
                done += 1
                made[str(name)] = made.get(str(name), 0) + 1
            progress |= done > 0
            del calls[:done]
        waiting = [(name, calls) for name, calls in waiting if calls]
    return max(1, rounds)


def _inputs(call: Any) -> list[tuple[str, int]]:
    """The outputs that a call uses: the name of the layer, and which call of that layer made it."""
    found, pending = [], [call]
    while pending:
        node = pending.pop()
        pending += _children(node)
        if isinstance(node, Mapping) and node.get("class_name") == "__keras_tensor__":
            config = node.get("config")
            history = config.get("keras_history") if isinstance(config, Mapping) else None
            if isinstance(history, list | tuple) and len(history) > 1 and isinstance(history[1], int):
                found.append((str(history[0]), history[1]))
    return found
