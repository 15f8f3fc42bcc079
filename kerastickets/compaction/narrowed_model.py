"""Rebuild a model with fewer units: the same calls with narrower layers, and with constants folded in."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerastickets.compaction.inner_units import InnerUnits
from kerastickets.compaction.kept_units import KeptUnits
from kerastickets.compaction.layer_calls import Call, filled, graph_of
from kerastickets.compaction.weighted_layers import Weighted
from kerastickets.errors import TicketError
from kerastickets.models.variables import walk
from kerastickets.structure.layer_graph import Op
from kerastickets.structure.unit_tracing import einsum_axes

# Leave out unused inputs of a dense layer only from this fraction on: selecting takes time, too.
_WORTH_SELECTING = 0.25
# For each weight name: (axis of the input units, axis of the output units).
_AXES: Mapping[str, tuple[int | None, int | None]] = {
    "kernel": (-2, -1),
    "depthwise_kernel": (-2, None),
    "pointwise_kernel": (-2, -1),
    "bias": (None, -1),
}


def build_narrowed(plain: keras.Model, kept_units: KeptUnits) -> keras.Model:
    """Build a Functional model of the units that stay, with nested models written out inline.

    Args:
        plain: the model that `kept_units` describes. Its own layers are not called again.
        kept_units: which units stay.
    """
    return _Maker(kept_units).model(plain)


class _Maker:
    def __init__(self, kept_units: KeptUnits) -> None:
        self.kept_units, self.stays = kept_units, kept_units.stays
        self._weighted = {id(layer.call): layer for layer in kept_units.weighted}
        self._inner = {id(layer.call): layer for layer in kept_units.inner}
        self._layers: dict[int, Any] = {}
        self._names: set[str] = set()

    def model(self, plain: keras.Model) -> keras.Model:
        """Build the new model by repeating the calls of `plain`."""
        graph, calls = graph_of(plain), self.kept_units.calls
        inputs = [
            keras.Input(batch_shape=one.shape, dtype=one.dtype, name=self._named(one.name))
            for one in graph.inputs
        ]
        tensors = {number: new for (number, _), new in zip(calls.plan.inputs, inputs, strict=True)}
        for call in calls.calls:
            tensors |= call.again(self._called(call), tensors)
        by_old = {id(one): new for one, new in zip(graph.inputs, inputs, strict=True)}
        taken = keras.tree.map_structure(lambda one: by_old[id(one)], graph.input)
        return keras.Model(taken, filled(calls.outputs, tensors), name=plain.name)

    def _named(self, name: str) -> str:
        number, found = 0, name
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found

    def _called(self, call: Call) -> Any:
        """The new operation that replaces the operation of a call."""
        key = id(call.operation)
        if key in self._layers:  # a layer with several calls keeps all units: one new layer serves all
            return self._layers[key]
        new = self._layers[key] = self._narrowed(call)
        layer = self._weighted.get(id(call))
        rows = None if layer is None else self._selected(layer)

        def call_it(*args: Any, **kwargs: Any) -> Any:
            if rows is not None:
                args = (keras.ops.take(args[0], rows.tolist(), axis=-1), *args[1:])
            made = new(*args, **kwargs)
            self._fill(call, new, rows)
            return made

        return call_it

    def _narrowed(self, call: Call) -> Any:
        """A new layer configured as the old one, except for its name, width, initializers and bias."""
        config = call.operation.get_config()
        config["name"] = self._named("_".join(call.op.path))
        layer, inner = self._weighted.get(id(call)), self._inner.get(id(call))
        if call.op.kind == "Reshape":
            config["target_shape"] = self._reshaped(call, config["target_shape"])
        if inner is not None:
            added = bool(self.kept_units.constant_inputs(inner).any())
            config = inner.narrowed_config(config, self.stays[inner.cols], added)
        if layer is not None:
            units = int(self.stays[layer.cols].sum())
            config |= {width: units for width in ("units", "filters") if width in config}
            # Some initializers can only draw the old shape. All initial values are replaced later anyway.
            config |= {name: "zeros" for name in config if name.endswith("_initializer")}
            added = bool(self._added(layer).any())
            if "equation" in config:
                config["output_shape"] = (*keras.tree.flatten(config["output_shape"])[:-1], units)
                config["bias_axes"] = config["bias_axes"] or (config["equation"][-1] if added else None)
            else:
                config["use_bias"] = call.operation.use_bias or added
        try:
            return type(call.operation).from_config(config)
        except Exception as error:  # whatever a layer of anyone's says to its own config
            cause = " ".join(str(error).split())[-200:]
            raise TicketError(
                f"A layer must be made again from its own config. Received: {call.operation.name}, "
                f"{type(error).__name__}: ...{cause}"
            ) from error

    def _reshaped(self, call: Call, shape: Any) -> tuple[int, ...]:
        """The shape that a Reshape makes of the units that stay."""
        if len(shape) == 1:
            return (-1,)
        axis = self.kept_units.graph.axes.get(call.op.output, -1)
        left = int(self.kept_units.mask(call.op.output).sum())
        return tuple(left if n == axis + len(shape) and size != -1 else size for n, size in enumerate(shape))

    def _selected(self, layer: Weighted) -> np.ndarray | None:
        """Which of its remaining input units a dense layer should select; None if it should take all."""
        if layer.call.op.kind != "Dense" or self.kept_units.shared(layer.call):
            return None
        left = layer.kernel[0][self.stays[layer.rows]][:, self.stays[layer.cols]]
        used = (left != 0).any(1)
        used[0] |= not used.any()
        return np.flatnonzero(used) if (~used).mean() >= _WORTH_SELECTING else None

    def _added(self, layer: Weighted) -> np.ndarray:
        """What removed constants add to each output unit of a layer, the same at all places."""
        if layer.folds == "padded":
            return np.zeros(len(layer.cols))
        gone = self.kept_units.constants(layer)
        if layer.folds == "each":
            return np.asarray(layer.taken[0, gone].astype("float64") @ layer.kernel[0, gone])
        return np.asarray(layer.taken[0, gone].astype("float64") @ layer.kernel[:, gone].sum(0, "float64"))

    def _fill(self, call: Call, new: Any, selected: np.ndarray | None) -> None:
        """Set the weights of a new layer."""
        old, layer = call.operation, self._weighted.get(id(call))
        if not getattr(old, "weights", None):
            return
        if id(call) in self._inner:
            self._fill_inside(new, self._inner[id(call)])
            return
        keeps = self.kept_units.mask(call.op.inputs[0])
        if layer is None and keeps.all():
            new.set_weights(old.get_weights())
            return
        rows = np.flatnonzero(keeps)
        cols = rows if layer is None else np.flatnonzero(self.stays[layer.cols])
        rows = rows if selected is None else rows[selected]
        values = {variable.name: _array(variable) for variable in old.weights}
        if layer is not None:
            values["bias"] = values.get("bias", 0.0) + self._added(layer)
            if layer.folds == "padded":
                values["kernel"] = self._anchored(layer, values["kernel"])
        for variable in new.weights:
            variable.assign(_cut(values[variable.name], _axes(call.op, variable.name), rows, cols))

    def _fill_inside(self, new: Any, layer: InnerUnits) -> None:
        """Set the weights of a new layer with units inside."""
        rows = None if layer.rows is None else self.stays[layer.rows]
        gone = self.kept_units.constant_inputs(layer)
        added = layer.added(gone) if gone.any() else None
        for place in walk(new):
            key = "/".join((*layer.call.op.path, place.key))
            place.variable.assign(layer.narrowed(key, self.stays[layer.cols], rows, added))

    def _anchored(self, layer: Weighted, kernel: np.ndarray) -> np.ndarray:
        """The kernel, with removed constants folded in proportion into the weights of one that stays."""
        gone, anchor = np.flatnonzero(self.kept_units.constants(layer)), self.kept_units.anchor(layer)
        if not len(gone) or anchor is None:
            return kernel
        transposed = layer.call.op.kind.endswith("Transpose")
        ordered = np.swapaxes(kernel, -1, -2) if transposed else kernel
        folded = layer.kernel.astype("float64")
        shares = layer.taken[0, gone].astype("float64") / layer.taken[0, anchor]
        folded[:, anchor] += np.einsum("i,pio->po", shares, folded[:, gone])
        folded = folded.reshape(ordered.shape)
        return np.swapaxes(folded, -1, -2) if transposed else folded


def _array(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable.value), "float64")


def _axes(op: Op, name: str) -> tuple[int | None, int | None]:
    """For one weight: (axis of the input units, axis of the output units)."""
    if "equation" in op.config and name == "kernel":
        return einsum_axes(op.config["equation"]) or (None, None)
    if op.kind.startswith("Depthwise") and name == "kernel":
        return -2, None
    if op.kind.endswith("Transpose") and name == "kernel":
        return -1, -2
    return _AXES.get(name, (-1, None))


def _cut(
    value: np.ndarray, axes: tuple[int | None, int | None], rows: np.ndarray, cols: np.ndarray
) -> np.ndarray:
    for axis, units in zip(axes, (rows, cols), strict=True):
        if axis is not None and value.shape[axis] > 1:  # an axis of length 1 is shared by all units
            value = np.take(value, units, axis)
    return value
