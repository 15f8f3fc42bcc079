"""Tell which axis of which weight is a unit's: a neuron, a channel, an attention head, a recurrent unit.

The layer itself is asked. A layer of the same config with twice as many units is made, without values. The axes that
are twice as long are the units' axes. So a transposed convolution answers for itself, and so does a layer of your own.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import keras
import numpy as np

from kerastickets.cutting.groups import LayerUnits, UnitAxis
from kerastickets.models.architecture import plain_class
from kerastickets.models.variables import paths, walk

# The entries of a layer's config that number its output channels, and those that number attention heads.
_WIDTHS = ("units", "filters", "output_dim")
_HEADS = (("num_key_value_heads", "num_query_heads"), ("num_heads",))


@dataclass(frozen=True, eq=False)
class ModelUnits:
    """The units of a model.

    Args:
        layers: the layers whose units are known.
        followers: weights with one part for each channel of the layer's input, as a depthwise kernel has: by key, the
            axis of these channels. Each part goes with the unit that makes the channel.
        unknown: why the units of a weight are not known, by key.
    """

    layers: tuple[LayerUnits, ...]
    followers: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


def model_units(model: keras.Layer, keys: Collection[str]) -> ModelUnits:
    """Find the units of a live model.

    Args:
        model: a built model.
        keys: the keys of the weights to find the units of. Biases need not be among them.

    Example:
        >>> net = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2DTranspose(5, 2)])
        >>> found = model_units(net, ["conv2d_transpose/kernel"]).layers[0]
        >>> found.count, {key: [axis.axis for axis in axes] for key, axes in found.axes.items()}
        (5, {'conv2d_transpose/kernel': [2], 'conv2d_transpose/bias': [0]})
    """
    own = {id(place.variable): place.key for place in walk(model)}
    named = [(path, layer) for path, layer in paths(model) if path]
    found: list[LayerUnits] = []
    followers: dict[str, int] = {}
    # Heads come first, in the innermost layer that has them: the layers inside an attention have no units of their own.
    for path, layer in sorted(named, key=lambda one: -len(one[0])):
        for names in _HEADS:
            taken = {key for units in found for key in units.axes}
            inside = _weights(layer, own)
            if not taken & inside.keys() and (units := _heads("/".join(path), layer, inside, names)):
                found.append(units)
    heads = [units.layer for units in found]
    for path, layer in named:
        name = "/".join(path)
        weights = _weights(layer, own)
        mine = {own[id(v)] for v in layer._trainable_variables if id(v) in own} & set(keys)
        if not mine or any(f"{name}/".startswith(f"{head}/") for head in heads):
            continue
        around = [(outer, _weights(outer, own)) for outer in _around(path, named)]
        units = _channels(name, layer, weights, around)
        found += [units] if units else []
        left = mine - set(units.axes if units else ())
        followers |= _followers(layer, weights, sorted(left), units is not None)
    known = {key for units in found for key in units.axes} | followers.keys()
    unknown = dict.fromkeys(sorted(set(keys) - known), "its layer does not say which units it has")
    unknown |= {
        key: "it is shared by all heads" for key in unknown if any(key.startswith(f"{h}/") for h in heads)
    }
    return ModelUnits(tuple(found), followers, unknown)


def _weights(layer: keras.Layer, own: Mapping[int, str]) -> dict[str, Any]:
    """The weights of a layer by their key in the model, in the order in which the layer has them."""
    return {own[id(place.variable)]: place.variable for place in walk(layer) if id(place.variable) in own}


def _remade(layer: Any, weights: Mapping[str, Any], changed: Mapping[str, Any], width: int = 1) -> Any:
    """A layer made again, with another config or with `width` times as many input channels.

    Returns:
        The shapes of its weights, by the keys of `weights`, and of its output (None if it does not tell); or None
        if the layer cannot be made so.
    """
    try:
        build = dict(layer.get_build_config() or {})
        shape: Any = build.get("input_shape")
        if width > 1:
            axis = 1 if getattr(layer, "data_format", "") == "channels_first" else len(shape) - 1
            shape = tuple(size * width if n == axis else size for n, size in enumerate(shape))
            build["input_shape"] = shape
        with keras.StatelessScope():  # variables get shapes, but no values
            made = cast(Any, plain_class(type(layer))).from_config(layer.get_config() | dict(changed))
            made.build_from_config(build)
            shapes = {place.key: tuple(place.variable.shape) for place in walk(made)}
        names = [place.key for place in walk(layer)]
    except Exception:  # a layer of anyone's, which may raise anything
        return None
    if [*shapes] != names:
        return None
    try:
        output = made.compute_output_shape(shape)
    except Exception:
        output = None
    return dict(zip(weights, shapes.values(), strict=True)), output


def _doubled(
    weights: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], halving: bool = False
) -> dict[str, tuple[int, ...]]:
    """For each weight with axes that are twice as long and no other change: these axes.

    Args:
        halving: whether another axis may be half as long, as where all heads share a given width.
    """
    found = {}
    for key, variable in weights.items():
        before, after = tuple(variable.shape), shapes[key]
        if len(before) == len(after):
            axes = tuple(n for n, (a, b) in enumerate(zip(before, after, strict=True)) if b == 2 * a > 0)
            others = [(a, b) for n, (a, b) in enumerate(zip(before, after, strict=True)) if n not in axes]
            same = all(a == b or (halving and a == 2 * b) for a, b in others)
            found[key] = axes if same else ()
    return {key: axes for key, axes in found.items() if axes}


def _axes(
    weights: Mapping[str, Any], axes: Mapping[str, tuple[int, ...]], count: int, runs: bool
) -> dict[str, tuple[UnitAxis, ...]] | None:
    """The units along axes whose lengths are multiples of their count.

    Args:
        runs: whether the indices of one unit lie together, as the query heads of one key head do. The gates of
            recurrent units lie side by side instead, each with all units.
    """
    found = {}
    for key, own in axes.items():
        lengths = [weights[key].shape[axis] for axis in own]
        if any(length % count for length in lengths):
            return None
        units = np.arange(count)
        found[key] = tuple(
            UnitAxis(axis, np.repeat(units, n // count) if runs else np.tile(units, n // count))
            for axis, n in zip(own, lengths, strict=True)
        )
    return found


def _heads(name: str, layer: Any, weights: Mapping[str, Any], names: tuple[str, ...]) -> LayerUnits | None:
    """The heads of an attention layer. A key head goes with all query heads that it serves."""
    config = _config(layer)
    if not all(_number(config.get(one)) for one in names):
        return None
    made = _remade(layer, weights, {one: 2 * config[one] for one in names})
    axes = _doubled(weights, made[0], halving=True) if made else {}
    kernels = [key for key in axes if len(weights[key].shape) > 2]
    count = config[names[0]]
    # A head has a query, a key, a value and an output. Fewer mean that the layer uses the number for something else.
    if len(kernels) < 4 or any(len(own) > 1 for own in axes.values()):
        return None
    units = _axes(weights, axes, count, runs=True)
    return LayerUnits(name, count, units, channels=False) if units else None


def _around(path: tuple[str, ...], named: Sequence[tuple[tuple[str, ...], Any]]) -> list[Any]:
    """The layers around a layer, the innermost first."""
    outer = [
        (other, layer) for other, layer in named if len(other) < len(path) and path[: len(other)] == other
    ]
    return [layer for _, layer in sorted(outer, key=lambda one: -len(one[0]))]


def _channels(
    name: str, layer: Any, weights: Mapping[str, Any], around: Sequence[tuple[Any, Mapping[str, Any]]]
) -> LayerUnits | None:
    """The units of a layer that owns its weights. `around` has the layers around it, with their weights."""
    config = _config(layer)
    width = next((one for one in _WIDTHS if _number(config.get(one))), None)
    kernels = [key for key in weights if len(weights[key].shape) > 1]
    if "equation" in config and isinstance(config["equation"], str):
        return _of_equation(name, config["equation"], weights)
    if width is not None:
        count = config[width]
        # A cell may not be made without the layer around it, which has as many units.
        fitting = [one for one in around if _config(one[0]).get(width) == count]
        asked = (_remade(one, own, {width: 2 * count}) for one, own in [(layer, weights), *fitting])
        made = next((one for one in asked if one is not None), None)
        doubled = _doubled(weights, made[0]) if made else {}
        if doubled:
            axes = _axes(weights, doubled, count, runs=False)
            stateful = any(len(own) > 1 for own in doubled.values())
            return LayerUnits(name, count, axes, True, stateful) if axes else None
    # A layer that cannot be made again: an axis is its units' if it alone is as long as the output is wide.
    count = config[width] if width else _end_width(layer, "output")
    if count is None or _end_width(layer, "input") in (None, count):
        return None
    equal = {key: [n for n, size in enumerate(weights[key].shape) if size == count] for key in kernels}
    if not equal or any(len(axes) != 1 for axes in equal.values()):
        return None
    found = {key: (UnitAxis(axes[0], np.arange(count)),) for key, axes in equal.items()}
    return LayerUnits(name, count, found)


def _of_equation(name: str, equation: str, weights: Mapping[str, Any]) -> LayerUnits | None:
    """The units of a layer that is an einsum: the one index of the kernel that the output has and the input has not."""
    given, _, made = equation.replace(" ", "").replace("...", "").partition("->")
    taken, _, kernel = given.partition(",")
    units = [letter for letter in kernel if letter in made and letter not in taken]
    key = next((key for key in weights if key.endswith("kernel")), None)
    if len(units) != 1 or key is None or len(weights[key].shape) != len(kernel):
        return None
    axis = kernel.index(units[0])
    count = int(weights[key].shape[axis])
    return LayerUnits(name, count, {key: (UnitAxis(axis, np.arange(count)),)}, channels=made[-1] == units[0])


def _followers(
    layer: Any, weights: Mapping[str, Any], keys: Collection[str], has_units: bool
) -> dict[str, int]:
    """The weights among `keys` with one part per channel of the input, and the axis of these channels."""
    if not keys:
        return {}
    before, after = _remade(layer, weights, {}), _remade(layer, weights, {}, width=2)
    if before is None or after is None:
        return {}
    # Without units of its own, such a layer passes each channel on, so that its output gets wider as well.
    if not has_units and (not before[1] or after[1] is None or after[1][-1] != 2 * before[1][-1]):
        return {}
    doubled = _doubled(weights, after[0])
    return {key: doubled[key][0] for key in keys if len(doubled.get(key, ())) == 1}


def _config(layer: Any) -> dict[str, Any]:
    try:
        return dict(layer.get_config())
    except Exception:  # a layer of anyone's, which may raise anything
        return {}


def _end_width(layer: Any, end: str) -> int | None:
    """The number of channels of a layer's input or output; None if it has several, or was never called."""
    try:
        width = getattr(layer, end).shape[-1]
    except (AttributeError, ValueError, IndexError):
        return None
    return width if _number(width) else None


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
