"""Units inside a layer, such as attention heads, recurrent units and features of an embedding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastickets.compaction.layer_calls import Call
from kerastickets.cutting.groups import LayerUnits, UnitAxis

# The entries of a config that number the units.
_COUNTS = ("units", "output_dim", "num_heads", "num_query_heads", "num_key_value_heads")


@dataclass(frozen=True, eq=False)
class InnerUnits:
    """A call of a layer with units inside.

    Args:
        call: the call.
        units: where the weights of the units lie.
        cols: the node of each unit.
        rows: for recurrent units, the node of each input unit; None for other layers, whose inputs stay whole.
        taken: the layer's input if all inputs of the model are zeros, `(places, rows)`.
        weights: the layer's weights by key.
    """

    call: Call
    units: LayerUnits
    cols: np.ndarray
    rows: np.ndarray | None
    taken: np.ndarray
    weights: Mapping[str, np.ndarray]

    def narrowed_config(self, config: Mapping[str, Any], stays: np.ndarray, added: bool) -> dict[str, Any]:
        """The config of the narrower layer.

        Args:
            config: the config of the layer.
            stays: which units stay.
            added: whether the layer needs a bias for removed constants.
        """
        left = int(stays.sum())
        counts = {name: config[name] * left // self.units.count for name in _COUNTS if name in config}
        zeros = {name: "zeros" for name in config if name.endswith("_initializer")}
        bias = {"use_bias": config["use_bias"] or added} if "use_bias" in config else {}
        return {**config, **counts, **zeros, **bias}

    def narrowed(
        self, key: str, stays: np.ndarray, rows: np.ndarray | None, added: np.ndarray | None
    ) -> np.ndarray:
        """The values of one weight of the narrower layer.

        Args:
            key: the weight.
            stays: which units stay.
            rows: which input units stay, for recurrent units.
            added: what removed constant inputs add to each column of the kernel.
        """
        value = self.weights[key] if key in self.weights else self._no_bias(key)
        if added is not None and key.endswith("/bias"):
            value = value.astype("float64")
            # A GRU may have two biases, of which the first belongs to the input.
            value[(0,) * (value.ndim - 1)] += added
        for axis in self._axes(key):
            value = np.compress(stays[axis.units], value, axis.axis)
        return np.compress(rows, value, 0) if rows is not None and key == self.kernel else value

    def added(self, gone: np.ndarray) -> np.ndarray:
        """What constant inputs add to each column of the kernel of recurrent units."""
        return np.asarray(self.taken[0, gone].astype("float64") @ self.weights[self.kernel][gone])

    def feeds(self, gone: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Which of the units `gone` feed a recurrent unit in `kept`."""
        name = f"{self.units.layer}/recurrent_kernel"
        columns = kept[self.units.axes[name][-1].units]
        return gone & (self.weights[name][:, columns] != 0).any(1)

    @property
    def kernel(self) -> str:
        """The key of the kernel that takes the input of recurrent units."""
        return f"{self.units.layer}/kernel"

    def _axes(self, key: str) -> tuple[UnitAxis, ...]:
        if key in self.units.axes:
            return self.units.axes[key]
        if key in self.weights:
            return ()
        return self.units.axes[self.kernel][:1] and (
            UnitAxis(self._no_bias(key).ndim - 1, self.units.axes[self.kernel][0].units),
        )

    def _no_bias(self, key: str) -> np.ndarray:
        """The bias of a layer that has none yet."""
        columns = self.weights[self.kernel].shape[-1]
        return np.zeros((2, columns) if self.call.op.config.get("reset_after") else columns)
