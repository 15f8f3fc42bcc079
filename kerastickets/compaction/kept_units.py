"""Which units of a live model stay when it is compacted, and what the others add as constants.

A unit is a node of the structure analysis. One that varies with the input and that an output needs stays, and
with it those that it is added to, since their tensors must have equal widths. What is needed and does not vary
is a constant, which the layers that take it can hold themselves. Everything else goes.
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
from kerastickets.structure.tracing import Tracer

# Constants of two places differ if they do by more than rounding.
_ROUNDING = 16


@dataclass(frozen=True, eq=False)
class Weighted:
    """A call of a layer whose weights lead from unit to unit.

    Args:
        call: the call.
        rows: the node of each unit that it takes.
        cols: the node of each unit that it makes.
        kernel: its weights, `(positions, rows, cols)`.
        taken: what it takes of inputs that are zeros, `(places, rows)`.
        folds: how it can hold a constant: `each`, in its bias, whatever is at every place; `even`, in its bias, what is
            equal at all places; `padded`, where edges meet padding, in the weights of another constant; `never`.
    """

    call: Call
    rows: np.ndarray
    cols: np.ndarray
    kernel: np.ndarray
    taken: np.ndarray
    folds: str

    @cached_property
    def even(self) -> np.ndarray:
        """Which of the units it takes are equal at all places."""
        first = self.taken[:1]
        rounding = _ROUNDING * np.finfo(self.taken.dtype).eps
        return np.asarray((np.abs(self.taken - first) <= rounding * np.abs(first)).all(0))

    @cached_property
    def nonzero(self) -> np.ndarray:
        """Which of the units it takes are not zero somewhere."""
        return np.asarray((self.taken != 0).any(0))


@dataclass(eq=False)
class KeptUnits:
    """Which nodes stay.

    Args:
        calls: what the model computes.
        graph: the same, as nodes and links.
        structure: which nodes vary, and which are needed.
        weighted: its calls that have weights from unit to unit.
        held: nodes that stay whatever else is known, by the reason.
    """

    calls: Calls
    graph: NeuronGraph
    structure: Structure
    weighted: tuple[Weighted, ...]
    held: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, calls: Calls, weights: Mapping[str, np.ndarray]) -> "KeptUnits":
        """What stays of a model with these weights, by key; those that are 0 lead nowhere."""
        linked = {key: value != 0 for key, value in weights.items() if value.ndim > 1}
        shapes = {key: value.shape for key, value in weights.items()}
        graph = Tracer(linked, shapes, calls.plan, hold=True).graph()
        weighted = tuple(_weighted(calls, graph, weights))
        self = cls(calls, graph, Structure.of_graph(graph, linked), weighted, dict(graph.held))
        self._hold_whole_layers()
        self._settle()
        return self

    def mask(self, tensor: int) -> np.ndarray:
        """Which units of a tensor's last axis stay."""
        nodes, width = self.graph.tensors[tensor], self.calls.values[tensor].shape[-1]
        # An input's nodes may be its places; inputs stay whole.
        return np.ones(width, bool) if len(nodes) > width else self.stays[np.resize(nodes, width)]

    @property
    def stays(self) -> np.ndarray:
        """Booleans over all nodes."""
        chosen = self.structure.active | self.graph.is_input | self.graph.is_output
        for nodes in self.held.values():
            chosen[nodes] = True
        return self._with_their_like(chosen)

    def shared(self, call: Call) -> bool:
        """Whether its layer has other calls."""
        return self._often[id(call.operation)] > 1

    @cached_property
    def _often(self) -> Counter[int]:
        return Counter(id(call.operation) for call in self.calls.calls)

    def constants(self, layer: Weighted) -> np.ndarray:
        """Which units that a layer takes are constants that do not stay, and matter to what does."""
        stays = self.stays  # worked out anew whenever it is asked for, since more may be held by then
        gone = ~stays[layer.rows] & ~self.structure.fed[layer.rows] & layer.nonzero
        wanted = stays[layer.cols] & self.structure.needed[layer.cols]
        gone[gone] = (layer.kernel[:, gone][:, :, wanted] != 0).any((0, 2))
        return gone

    def anchor(self, layer: Weighted) -> int | None:
        """The unit, a constant that stays, whose weights can hold other constants; None where there is none."""
        # One that nothing needs may have lost what it was made of.
        known = self.structure.needed[layer.rows] & ~self.structure.fed[layer.rows]
        found = self.stays[layer.rows] & known & layer.even & layer.nonzero
        return int(np.argmax(np.abs(layer.taken[0]) * found)) if found.any() else None

    def reasons(self) -> dict[str, int]:
        """How many units stay for each reason, that would go otherwise."""
        free = self._with_their_like(self.structure.active | self.graph.is_input | self.graph.is_output)
        counts = {reason: int(np.count_nonzero(~free[np.unique(n)])) for reason, n in self.held.items()}
        return {reason: count for reason, count in counts.items() if count}

    def _with_their_like(self, chosen: np.ndarray) -> np.ndarray:
        """Nodes of which one of their kind is chosen."""
        stays = np.zeros(int(self._like.max(initial=-1)) + 1, bool)
        stays[self._like[chosen]] = True
        return stays[self._like]

    @cached_property
    def _like(self) -> np.ndarray:
        """The kind of each node: what is added to each other, or passes a depthwise kernel, is of one kind."""
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
        """Layers that can lose no unit: those of several groups, or called more than once."""
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
        """Hold what else must stay, until nothing more must."""
        while any([*self._empty(), *self._unfoldable()]):
            continue

    def _empty(self) -> Iterator[bool]:
        """A tensor must keep a unit."""
        for op in self.calls.plan.ops:
            if not self.mask(op.output).any():
                self._hold(
                    f"{op.name} ({op.kind}): a layer must have a unit", self.graph.tensors[op.output][:1]
                )
                yield True

    def _unfoldable(self) -> Iterator[bool]:
        """Constants that the layers which take them cannot hold."""
        if not self.calls.fixed:
            yield from self._of_any_size()
        for layer in self.weighted:
            constants, op = self.constants(layer), layer.call.op
            stuck = constants & (_uneven(layer) if layer.folds != "never" else True)
            if stuck.any():
                why = (
                    "its kernel is one for each channel"
                    if layer.folds == "never"
                    else "they differ from place to place"
                )
                self._hold(f"{op.name} ({op.kind}): constants that it takes, as {why}", layer.rows[stuck])
                yield True
            if layer.folds == "padded" and (constants & ~stuck).any() and self.anchor(layer) is None:
                largest = np.argmax(np.abs(layer.taken[0]) * (constants & ~stuck))
                why = "one constant, for all that meet its padding"
                self._hold(f"{op.name} ({op.kind}): {why}", layer.rows[[largest]])
                yield True

    def _of_any_size(self) -> Iterator[bool]:
        """Where sizes vary, a constant that differs from place to place is another one for every size."""
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
    """Which units a layer cannot hold as constants since they differ from place to place."""
    return np.zeros(len(layer.rows), bool) if layer.folds == "each" else ~layer.even


def _weighted(calls: Calls, graph: NeuronGraph, weights: Mapping[str, np.ndarray]) -> Iterator[Weighted]:
    """The calls whose kernels lead from every unit to every unit, as far as they could be followed."""
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
    """The weights of a layer as `(positions, rows, cols)`; None of a layer without such."""
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
    # A kernel of one position meets no padding.
    edges = op.config.get("padding", "valid") != "valid" and len(kernel) > 1
    if op.kind.startswith("Separable"):
        return "never" if edges else "even"
    return "padded" if edges or op.kind.endswith("Transpose") else "even"
