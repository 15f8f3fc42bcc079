"""The calls of a model whose layers have units: their weights, and the nodes that these connect."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kerastickets.compaction.inner_units import InnerUnits
from kerastickets.compaction.layer_calls import Call, Calls
from kerastickets.structure.neuron_graph import NeuronGraph
from kerastickets.structure.unit_tracing import UnitTracer, einsum_axes

# Two constants are equal if their relative difference is at most this many times the machine epsilon.
_ROUNDING = 16


@dataclass(frozen=True, eq=False)
class Weighted:
    """A call of a layer whose weights connect its input units to its output units.

    Args:
        call: the call.
        rows: the node of each input unit.
        cols: the node of each output unit.
        kernel: the weights, `(positions, rows, cols)`.
        taken: the layer's input if all inputs of the model are zeros, `(places, rows)`.
        folds: how the layer can hold a constant input. `each`: in its bias. `even`: in its bias, but only a
            constant that is equal at all places. `padded`: only such a constant, in the weights of another
            constant unit, because edges meet padding. `never`: not at all.
    """

    call: Call
    rows: np.ndarray
    cols: np.ndarray
    kernel: np.ndarray
    taken: np.ndarray
    folds: str

    @cached_property
    def even(self) -> np.ndarray:
        """Which input units have the same value at all places, up to rounding."""
        first = self.taken[:1]
        rounding = _ROUNDING * np.finfo(self.taken.dtype).eps
        return np.asarray((np.abs(self.taken - first) <= rounding * np.abs(first)).all(0))

    @cached_property
    def nonzero(self) -> np.ndarray:
        """Which input units are nonzero in at least one place."""
        return np.asarray((self.taken != 0).any(0))


def weighted_calls(calls: Calls, graph: NeuronGraph, weights: Mapping[str, np.ndarray]) -> Iterator[Weighted]:
    """The calls that could be followed and whose kernels connect every input unit to every output unit."""
    followed = {link.key for link in graph.links if not link.paired}
    for call in calls.calls:
        op = call.op
        kernel = _kernel(op, weights)
        if kernel is None or followed.isdisjoint({"/".join((*op.path, n)) for n in _KERNELS}):
            continue
        taken = calls.values[op.inputs[0]]
        rows = np.resize(graph.tensors[op.inputs[0]], kernel.shape[1])
        flat = taken.reshape(-1, kernel.shape[1]).astype(np.promote_types(taken.dtype, "float32"))
        yield Weighted(call, rows, graph.tensors[op.output], kernel, flat, _folds(op, kernel, taken))


_KERNELS = ("kernel", "pointwise_kernel")


def _kernel(op: Any, weights: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The weights of a layer as `(positions, rows, cols)`; None for a layer without such weights."""
    own = {
        name: weights.get("/".join((*op.path, name)))
        for name in ("kernel", "depthwise_kernel", "pointwise_kernel")
    }
    kernel, depthwise, pointwise = own.values()
    if kernel is not None and "equation" in op.config:
        axes = einsum_axes(op.config["equation"])
        return None if axes is None else np.moveaxis(kernel, axes[0], 0)[None]
    if op.config.get("groups", 1) > 1 or op.config.get("depth_multiplier", 1) > 1:
        return None
    if depthwise is not None and pointwise is not None:
        return depthwise.reshape(-1, depthwise.shape[-2], 1) * pointwise.reshape(1, *pointwise.shape[-2:])
    if kernel is None or op.kind.startswith("Depthwise"):
        return None
    kernel = np.swapaxes(kernel, -1, -2) if op.kind.endswith("Transpose") else kernel
    return kernel.reshape(-1, *kernel.shape[-2:])


def _folds(op: Any, kernel: np.ndarray, taken: np.ndarray) -> str:
    if op.kind == "Dense" or "equation" in op.config:
        return "each" if taken.ndim == 2 else "even"
    # A kernel with only one position never meets padding.
    edges = op.config.get("padding", "valid") != "valid" and len(kernel) > 1
    if op.kind.startswith("Separable"):
        return "never" if edges else "even"
    return "padded" if edges or op.kind.endswith("Transpose") else "even"


def inner_calls(
    calls: Calls, graph: NeuronGraph, tracer: UnitTracer, weights: Mapping[str, np.ndarray]
) -> Iterator[InnerUnits]:
    """The calls of layers with units inside."""
    for call in calls.calls:
        if call.op.output not in tracer.inside:
            continue
        units, nodes = tracer.inside[call.op.output]
        given, name = call.op.inputs[0], "/".join(call.op.path)
        own = {key: value for key, value in weights.items() if key.startswith(f"{name}/")}
        rows, taken = None, calls.values[given]
        taken = taken.reshape(-1, taken.shape[-1])
        if units.stateful:
            rows = np.resize(graph.tensors[given], taken.shape[-1])
        yield InnerUnits(call, units, nodes, rows, taken, own)
