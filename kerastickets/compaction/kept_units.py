"""Decide which units of a live model stay when it is compacted, and which constants the removed units added.

A unit is a node of the structure analysis. A unit stays if it varies with the input and an output needs it.
Units that it is added to stay with it, because added tensors must have equal widths. A unit that is needed
but does not vary is a constant: the layers that take it can hold its value themselves. All other units are
removed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from kerastickets.compaction.layer_calls import Call, Calls
from kerastickets.structure.neuron_graph import NeuronGraph
from kerastickets.structure.reachability import Structure
from kerastickets.structure.unit_tracing import UnitTracer

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


@dataclass(eq=False)
class KeptUnits:
    """Decides which nodes stay.

    Args:
        calls: the calls that the model makes.
        graph: the same model as nodes and links.
        structure: which nodes vary with the input (`fed`) and which nodes an output needs (`needed`).
        weighted: the calls with weights that connect input units to output units.
        held: nodes that must stay for another reason, by that reason.
    """

    calls: Calls
    graph: NeuronGraph
    structure: Structure
    weighted: tuple[Weighted, ...]
    held: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, calls: Calls, weights: Mapping[str, np.ndarray]) -> "KeptUnits":
        """Decide what stays of a model.

        Args:
            calls: the calls of the model.
            weights: its weights by key. A weight of 0 counts as no connection.
        """
        linked = {key: value != 0 for key, value in weights.items() if value.ndim > 1}
        shapes = {key: value.shape for key, value in weights.items()}
        graph = UnitTracer(linked, shapes, calls.plan).graph()
        weighted = tuple(_weighted(calls, graph, weights))
        self = cls(calls, graph, Structure.of_graph(graph, linked), weighted, dict(graph.held))
        self._hold_whole_layers()
        self._settle()
        return self

    def mask(self, tensor: int) -> np.ndarray:
        """Booleans: which units of a tensor's last axis stay. `tensor` is its number."""
        nodes, width = self.graph.tensors[tensor], self.calls.values[tensor].shape[-1]
        # An input may have one node per position and channel. Inputs stay whole.
        return np.ones(width, bool) if len(nodes) > width else self.stays[np.resize(nodes, width)]

    @property
    def stays(self) -> np.ndarray:
        """Booleans over all nodes: which stay."""
        chosen = self.structure.active | self.graph.is_input | self.graph.is_output
        for nodes in self.held.values():
            chosen[nodes] = True
        return self._with_their_like(chosen)

    def shared(self, call: Call) -> bool:
        """Whether the layer of a call is called more than once."""
        return self._often[id(call.operation)] > 1

    @cached_property
    def _often(self) -> Counter[int]:
        return Counter(id(call.operation) for call in self.calls.calls)

    def constants(self, layer: Weighted) -> np.ndarray:
        """Which input units of a layer are constants that are removed but still affect units that stay."""
        stays = self.stays  # computed at each access, because more nodes may be held by then
        gone = ~stays[layer.rows] & ~self.structure.fed[layer.rows] & layer.nonzero
        wanted = stays[layer.cols] & self.structure.needed[layer.cols]
        gone[gone] = (layer.kernel[:, gone][:, :, wanted] != 0).any((0, 2))
        return gone

    def anchor(self, layer: Weighted) -> int | None:
        """The index of a constant input unit that stays and can hold the other constants; None if none can."""
        # A constant that no output needs is unsuitable: the units that it is computed from may be removed.
        known = self.structure.needed[layer.rows] & ~self.structure.fed[layer.rows]
        found = self.stays[layer.rows] & known & layer.even & layer.nonzero
        return int(np.argmax(np.abs(layer.taken[0]) * found)) if found.any() else None

    def reasons(self) -> dict[str, int]:
        """For each reason in `held`: how many units stay that would otherwise be removed."""
        free = self._with_their_like(self.structure.active | self.graph.is_input | self.graph.is_output)
        counts = {reason: int(np.count_nonzero(~free[np.unique(n)])) for reason, n in self.held.items()}
        return {reason: count for reason, count in counts.items() if count}

    def _with_their_like(self, chosen: np.ndarray) -> np.ndarray:
        """The chosen nodes and all nodes of the same kind (see `_like`)."""
        stays = np.zeros(int(self._like.max(initial=-1)) + 1, bool)
        stays[self._like[chosen]] = True
        return stays[self._like]

    @cached_property
    def _like(self) -> np.ndarray:
        """The kind of each node, as a number. Nodes tied by an addition or depthwise kernel share a kind."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        tied = [(link.rows, link.cols) for link in self.graph.links if link.paired]
        rows, cols = np.concatenate(tied, axis=1) if tied else np.zeros((2, 0), int)
        size = self.graph.size
        ties = coo_array((np.ones(len(rows), bool), (rows, cols)), shape=(size, size))
        return np.asarray(connected_components(ties, directed=False)[1])

    def _hold(self, reason: str, nodes: np.ndarray) -> None:
        self.held[reason] = np.concatenate([self.held.get(reason, np.zeros(0, int)), nodes])

    def _hold_whole_layers(self) -> None:
        """Hold all units of layers that cannot become narrower, as those with groups or several calls."""
        for call in self.calls.calls:
            config, op = call.op.config, call.op
            several = config.get("groups", 1) > 1 and "groups of channels"
            multiplied = config.get("depth_multiplier", 1) > 1 and "a depth multiplier"
            shared = self.shared(call) and bool(call.operation.weights) and "several calls"
            numbers = any(isinstance(config.get(name), list | tuple) for name in ("scale", "offset"))
            fixed = (numbers or op.kind == "Normalization") and "numbers for each channel"
            if why := several or multiplied or shared or fixed:
                nodes = [self.graph.tensors[number] for number in (*op.inputs, op.output)]
                self._hold(f"{op.name} ({op.kind}): it has {why}", np.concatenate(nodes))

    def _settle(self) -> None:
        """Hold further units that must stay, until there are no more."""
        while any([*self._empty(), *self._unfoldable()]):
            continue

    def _empty(self) -> Iterator[bool]:
        """Hold one unit of every tensor that would lose all its units. Yields True per change."""
        for op in self.calls.plan.ops:
            if not self.mask(op.output).any():
                self._hold(
                    f"{op.name} ({op.kind}): a layer must have a unit", self.graph.tensors[op.output][:1]
                )
                yield True

    def _unfoldable(self) -> Iterator[bool]:
        """Hold constants that the layers that take them cannot hold. Yields True per change."""
        if not self.calls.fixed:
            yield from self._of_any_size()
        for layer in self.weighted:
            constants, op = self.constants(layer), layer.call.op
            stuck = constants & (_uneven(layer) if layer.folds != "never" else True)
            if stuck.any():
                why = (
                    "it has one kernel per channel"
                    if layer.folds == "never"
                    else "they differ between positions"
                )
                self._hold(
                    f"{op.name} ({op.kind}): constants among its inputs, because {why}", layer.rows[stuck]
                )
                yield True
            if layer.folds == "padded" and (constants & ~stuck).any() and self.anchor(layer) is None:
                largest = np.argmax(np.abs(layer.taken[0]) * (constants & ~stuck))
                why = "one constant, to hold all constants that meet its padding"
                self._hold(f"{op.name} ({op.kind}): {why}", layer.rows[[largest]])
                yield True

    def _of_any_size(self) -> Iterator[bool]:
        """Hold constants that differ between positions: if the input size is open, they depend on it.

        Yields True per change.
        """
        stays, structure = self.stays, self.structure
        for op in self.calls.plan.ops:
            value, nodes = self.calls.values[op.output], self.graph.tensors[op.output]
            if value.shape[-1] != len(nodes):
                continue
            flat = value.reshape(-1, len(nodes))
            uneven = (
                (flat != flat[:1]).any(0) & structure.needed[nodes] & ~structure.fed[nodes] & ~stays[nodes]
            )
            if uneven.any():
                self._hold(
                    f"{op.name} ({op.kind}): constants that depend on the size of the input", nodes[uneven]
                )
                yield True


def _uneven(layer: Weighted) -> np.ndarray:
    """Which input units a layer cannot hold as constants, because they differ between positions."""
    return np.zeros(len(layer.rows), bool) if layer.folds == "each" else ~layer.even


def _weighted(calls: Calls, graph: NeuronGraph, weights: Mapping[str, np.ndarray]) -> Iterator[Weighted]:
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
    if op.config.get("groups", 1) > 1 or op.config.get("depth_multiplier", 1) > 1:
        return None
    if depthwise is not None and pointwise is not None:
        return depthwise.reshape(-1, depthwise.shape[-2], 1) * pointwise.reshape(1, *pointwise.shape[-2:])
    if kernel is None or op.kind.startswith("Depthwise"):
        return None
    kernel = np.swapaxes(kernel, -1, -2) if op.kind.endswith("Transpose") else kernel
    return kernel.reshape(-1, *kernel.shape[-2:])


def _folds(op: Any, kernel: np.ndarray, taken: np.ndarray) -> str:
    if op.kind == "Dense":
        return "each" if taken.ndim == 2 else "even"
    # A kernel with only one position never meets padding.
    edges = op.config.get("padding", "valid") != "valid" and len(kernel) > 1
    if op.kind.startswith("Separable"):
        return "never" if edges else "even"
    return "padded" if edges or op.kind.endswith("Transpose") else "even"
