"""Decide which units of a live model stay when it is compacted, and which constants the removed units added.

A unit is a node of the structure analysis. A unit stays if it varies with the input and an output needs it.
Units that it is added to stay with it, because added tensors must have equal widths. A unit that is needed
but does not vary is a constant: the layers that take it can hold its value themselves. All other units are
removed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kerastickets.compaction.inner_units import InnerUnits
from kerastickets.compaction.layer_calls import Call, Calls
from kerastickets.compaction.weighted_layers import Weighted, inner_calls, weighted_calls
from kerastickets.cutting.groups import LayerUnits
from kerastickets.structure.neuron_graph import NeuronGraph
from kerastickets.structure.reachability import Structure
from kerastickets.structure.unit_tracing import UnitTracer

_SIZE = "constants that depend on the size of the input"


@dataclass(eq=False)
class KeptUnits:
    """Decides which nodes stay.

    Args:
        calls: the calls that the model makes.
        graph: the same model as nodes and links.
        structure: which nodes vary with the input (`fed`) and which nodes an output needs (`needed`).
        weighted: the calls with weights that connect input units to output units.
        inner: the calls of layers with units inside.
        held: nodes that must stay for another reason, by that reason.
    """

    calls: Calls
    graph: NeuronGraph
    structure: Structure
    weighted: tuple[Weighted, ...]
    inner: tuple[InnerUnits, ...] = ()
    held: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls, calls: Calls, weights: Mapping[str, np.ndarray], units: Sequence[LayerUnits] = ()
    ) -> "KeptUnits":
        """Decide what stays of a model.

        Args:
            calls: the calls of the model.
            weights: its weights by key. A weight of 0 counts as no connection.
            units: the units of its layers.
        """
        linked = {key: value != 0 for key, value in weights.items() if value.ndim > 1}
        shapes = {key: value.shape for key, value in weights.items()}
        tracer = UnitTracer(linked, shapes, calls.plan, units, calls.masked)
        graph = tracer.graph()
        weighted = tuple(weighted_calls(calls, graph, weights))
        inner = tuple(inner_calls(calls, graph, tracer, weights))
        structure = _without_zero_products(calls, graph, tracer, linked)
        self = cls(calls, graph, structure, weighted, inner, dict(graph.held))
        self._hold_whole_layers()
        self._settle()
        return self

    def mask(self, tensor: int) -> np.ndarray:
        """Booleans: which units of a tensor stay, along their axis. `tensor` is its number."""
        nodes, width = self.graph.tensors[tensor], self.calls.values[tensor].shape[-1]
        if tensor in self.graph.axes:
            return self.stays[nodes]
        # An input may have one node per position and channel. Inputs stay whole.
        return np.ones(width, bool) if len(nodes) > width else self.stays[np.resize(nodes, width)]

    @property
    def stays(self) -> np.ndarray:
        """Booleans over all nodes: which stay."""
        chosen = self.structure.active | self.graph.is_input | self.graph.is_output
        for nodes in self.held.values():
            chosen[nodes] = True
        return self._with_their_like(chosen)

    @property
    def layers(self) -> list[Weighted | InnerUnits]:
        """The calls with units of their own, in the order in which they run."""
        order = {id(call): number for number, call in enumerate(self.calls.calls)}
        return sorted([*self.weighted, *self.inner], key=lambda layer: order[id(layer.call)])

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

    def constant_inputs(self, layer: InnerUnits) -> np.ndarray:
        """Which input units of recurrent units are constants that are removed but still affect them."""
        if layer.rows is None:
            return np.zeros(0, bool)
        gone = ~self.stays[layer.rows] & ~self.structure.fed[layer.rows]
        return np.asarray(gone & (layer.taken != 0).any(0) & (layer.weights[layer.kernel] != 0).any(1))

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
                nodes += [layer.cols for layer in self.inner if layer.call is call]
                self._hold(f"{op.name} ({op.kind}): it has {why}", np.concatenate(nodes))

    def _settle(self) -> None:
        """Hold further units that must stay, until there are no more."""
        while any([*self._empty(), *self._unfoldable(), *self._unfoldable_inside()]):
            continue

    def _empty(self) -> Iterator[bool]:
        """Hold one unit of every tensor that would lose all its units. Yields True per change."""
        for op in self.calls.plan.ops:
            if not self.mask(op.output).any():
                self._hold(
                    f"{op.name} ({op.kind}): a layer must have a unit", self.graph.tensors[op.output][:1]
                )
                yield True
        for layer in self.inner:
            if not self.stays[layer.cols].any():
                op = layer.call.op
                self._hold(f"{op.name} ({op.kind}): a layer must have a unit", layer.cols[:1])
                yield True

    def _unfoldable_inside(self) -> Iterator[bool]:
        """Hold constants inside a layer, or at its input, that the layer cannot hold. Yields True per change."""
        for layer in self.inner:
            op, needed = layer.call.op, self.structure.needed[layer.cols]
            gone = ~self.stays[layer.cols] & needed
            if layer.rows is not None:
                gone = layer.feeds(gone, self.stays[layer.cols] & needed)
                constants = self.constant_inputs(layer)
                stuck = constants & (layer.taken != layer.taken[:1]).any(0)
                if stuck.any():
                    self._hold(
                        f"{op.name} ({op.kind}): constants among its inputs, because they differ between steps",
                        layer.rows[stuck],
                    )
                    yield True
            if gone.any() and layer.units.axes.keys() - {f"{layer.units.layer}/embeddings"}:
                self._hold(f"{op.name} ({op.kind}): constant units inside", layer.cols[gone])
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
        for layer in self.inner:
            # The last state of a recurrent unit that no input feeds depends on the number of steps.
            lasting = (self.calls.values[layer.call.op.output] != 0).reshape(-1, len(layer.cols)).any(0)
            stuck = lasting & structure.needed[layer.cols] & ~structure.fed[layer.cols] & ~stays[layer.cols]
            if layer.units.stateful and stuck.any():
                self._hold(f"{layer.call.op.name} ({layer.call.op.kind}): {_SIZE}", layer.cols[stuck])
                yield True
        for op in self.calls.plan.ops:
            value, nodes = self.calls.values[op.output], self.graph.tensors[op.output]
            if value.shape[-1] != len(nodes) or op.output in self.graph.axes:
                continue
            flat = value.reshape(-1, len(nodes))
            uneven = (
                (flat != flat[:1]).any(0) & structure.needed[nodes] & ~structure.fed[nodes] & ~stays[nodes]
            )
            if uneven.any():
                self._hold(f"{op.name} ({op.kind}): {_SIZE}", nodes[uneven])
                yield True


def _uneven(layer: Weighted) -> np.ndarray:
    """Which input units a layer cannot hold as constants, because they differ between positions."""
    return np.zeros(len(layer.rows), bool) if layer.folds == "each" else ~layer.even


def _without_zero_products(
    calls: Calls, graph: NeuronGraph, tracer: UnitTracer, linked: Mapping[str, np.ndarray]
) -> Structure:
    """The structure of a graph, after products with a factor that is always 0 are disconnected."""
    while True:
        structure = Structure.of_graph(graph, linked)
        zero = np.zeros(graph.size, bool)
        for number, nodes in graph.tensors.items():
            value = calls.values[number]
            if value.shape[-1:] == (len(nodes),) and number not in graph.axes:
                zero[nodes] = (value == 0).reshape(-1, len(nodes)).all(0)
        zero &= ~structure.fed
        changed = False
        for links in tracer.products:
            gone = np.any([zero[link.rows] for link in links if link.paired], axis=0)
            gone = gone | any(bool(zero[link.rows].any()) for link in links if not link.paired)
            for link in links:
                changed |= bool(link.kept[..., gone].any())
                link.kept[..., gone] = False
        if not changed:
            return structure
