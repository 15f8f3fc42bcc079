"""Build the neuron graph of a live model, to find its units: it follows more than the analysis of tickets does.

An operation that cannot be followed raises no error. Each of its outputs then counts as depending on all its inputs.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kerastickets.cutting.groups import LayerUnits, UnitAxis
from kerastickets.structure.layer_graph import LayerGraph, Op
from kerastickets.structure.neuron_graph import Link, NeuronGraph
from kerastickets.structure.tracing import (
    EACH_VALUE,
    MIXING,
    TensorNodes,
    Tracer,
    UnfollowedError,
    mixes,
    unfollowed,
)

# Elementwise products. A product is tied to its factors, as a sum is to its summands.
_PRODUCTS = {"Multiply", "ops.Multiply"}
# Layers that have one weight per channel, and so need the channels on the last axis.
_PER_CHANNEL = {"BatchNormalization", "Normalization", "PReLU", "Rescaling"}


class UnitTracer(Tracer):
    """Traces a plan that holds the shape of every operation's output.

    Args:
        masks: the weights by key, or booleans: where they are not 0. Weights without an entry count as kept.
        shapes: the shapes of all weights by key.
        plan: the operations.
        units: the units of the layers, for layers with an inside: attention and recurrence.
        masked: the numbers of tensors that say which of their steps later layers leave out.
    """

    strict = False

    def __init__(
        self,
        masks: Mapping[str, np.ndarray],
        shapes: Mapping[str, Any],
        plan: LayerGraph,
        units: Sequence[LayerUnits] = (),
        masked: Collection[int] = (),
    ) -> None:
        super().__init__(masks, shapes, plan)
        self.units, self._masked = units, masked
        #: The nodes of the units inside an operation, by the number of its output: heads, recurrent units, features.
        self.inside: dict[int, tuple[LayerUnits, np.ndarray]] = {}
        #: The links of elementwise products, two or more per product.
        self.products: list[tuple[Link, ...]] = []
        self._held: dict[str, np.ndarray] = {}

    def graph(self) -> NeuronGraph:
        """Build the graph. Its `held` lists what could not be followed."""
        found = super().graph()
        axes = {number: tensor.axis for number, tensor in self.tensors.items() if tensor.axis != -1}
        return replace(found, held=self._held, axes=axes)

    def followed(self, op: Op) -> TensorNodes:
        """The output of an operation. If it cannot be followed, each output depends on all inputs."""
        given = [self.tensors[tensor].nodes for tensor in op.inputs]
        # Mixing at the end is no problem: no later layer needs separate channels, and outputs stay whole.
        inner = op.output not in self.plan.outputs or any(op.output in one.inputs for one in self.plan.ops)
        try:
            if op.kind in MIXING and inner:
                raise unfollowed(op, "it joins channels")
            made, mixed = self.made(op), mixes(op) and inner
        except UnfollowedError as error:
            return self._hub(op, error.reason, given)
        return self._hub(op, f"its {op.activation} joins channels", [made.nodes]) if mixed else made

    def made(self, op: Op) -> TensorNodes:
        """The output of an operation, by the rules of this class or else of `Tracer`."""
        given = [self.tensors[tensor] for tensor in op.inputs]
        if any(tensor in self._masked for tensor in op.inputs) and op.output not in self._masked:
            # What it makes of constants depends on the steps that the input leaves out.
            raise unfollowed(op, "it leaves steps out")
        if op.kind == "Permute":
            return self._permuted(op, given[0])
        if op.kind == "Reshape" and len(op.config.get("target_shape", ())) != 1:
            return self._reshaped(op, given[0])
        if any(one.axis != -1 for one in given) and (op.kind not in EACH_VALUE - _PER_CHANNEL):
            raise unfollowed(op, "its channels are not the last axis")
        if op.kind in _PRODUCTS and len(given) > 1:
            return self._product(op, [self.whole_axis(op, n, one) for n, one in enumerate(given)])
        name = "/".join(op.path)
        own = [one for one in self.units if one.layer == name or one.layer.startswith(f"{name}/")]
        if len(own) == 1 and not own[0].channels:
            return self._attended(op, own[0])
        if len(own) == 1 and own[0].stateful:
            return self._recurrent(op, own[0], self.whole_axis(op, 0, given[0]))
        if len(own) == 1 and f"{name}/embeddings" in own[0].axes and len(given) == 1:
            return self._embedded(op, own[0], given[0])
        if isinstance(op.config.get("equation"), str) and len(given) == 1:
            return self._einsum(op, self.whole_axis(op, 0, given[0]), op.config["equation"])
        return super().made(op)

    def _hub(self, op: Op, why: str, given: Sequence[np.ndarray]) -> TensorNodes:
        """New nodes, each of which depends on all given nodes. The new and the given nodes are held."""
        rows = np.unique(np.concatenate(given)) if given else np.zeros(0, np.int32)
        hub = self.new_nodes(op.name, 1, "joint")
        made = self.new_nodes(op.name, (op.made or (1,))[-1] or 1, "joint")
        self.links.append(Link(None, rows, hub, np.ones((len(rows), 1), bool)))
        self.links.append(Link(None, hub, made, np.ones((1, len(made)), bool)))
        self._hold(op, why or "it cannot be followed", rows, made)
        return TensorNodes(made)

    def _hold(self, op: Op, why: str, *nodes: np.ndarray) -> None:
        reason = f"{op.name} ({op.kind}): {why}"
        self._held[reason] = np.concatenate([self._held.get(reason, np.zeros(0, np.int32)), *nodes])

    def _permuted(self, op: Op, given: TensorNodes) -> TensorNodes:
        dims = (0, *op.config.get("dims", ()))
        if given.flat or op.shapes[0] is None or len(dims) != len(op.shapes[0]):
            raise unfollowed(op, "it moves values between channels")
        return replace(given, axis=_from_last(dims.index(given.axis % len(dims)), len(dims)))

    def _reshaped(self, op: Op, given: TensorNodes) -> TensorNodes:
        """Units stay units if one axis of the result has as many entries, each as far from the next as before."""
        before, after, count = op.shapes[0], op.made, len(given.nodes)
        if before is None or after is None:
            raise unfollowed(op, "it moves values between channels")
        axis = -1 if given.flat else given.axis
        apart = _size(before[axis % len(before) + 1 :])
        axes = [n for n in range(1, len(after)) if after[n] == count and _size(after[n + 1 :]) == apart]
        if not axes or apart is None or not (given.flat or before[axis] == count):
            raise unfollowed(op, "it moves values between channels")
        return TensorNodes(given.nodes, axis=_from_last(axes[-1], len(after)))

    def _product(self, op: Op, given: Sequence[np.ndarray]) -> TensorNodes:
        width = max(map(len, given))
        if any(len(nodes) not in (1, width) for nodes in given):
            raise unfollowed(op, f"it joins tensors of {sorted({len(nodes) for nodes in given})} channels")
        made = self.new_nodes(op.name, width, "joint")
        links = []
        for nodes in given:
            shape = (width,) if len(nodes) == width else (1, width)
            links.append(Link(None, nodes, made, np.ones(shape, bool)))
        self.links += links
        self.products.append(tuple(links))
        return TensorNodes(made)

    def _einsum(self, op: Op, nodes: np.ndarray, equation: str) -> TensorNodes:
        """An einsum that is a dense layer on the last axis."""
        axes = einsum_axes(equation)
        if axes is None:
            raise unfollowed(op, "it is not a dense layer on the last axis")
        mask = np.moveaxis(self.kernel_of(op, "kernel"), axes[0], 0)
        cols = self.new_nodes(op.name, mask.shape[1], "weights")
        self.links.append(Link(self.key_of(op, "kernel"), nodes, cols, mask != 0, axis=axes[1] - 2))
        return TensorNodes(cols)

    def _embedded(self, op: Op, units: LayerUnits, given: TensorNodes) -> TensorNodes:
        """Every feature of an embedding depends on its input, unless all its weights are 0."""
        made = self.new_nodes(op.name, units.count, "weights")
        kept = self.kernel_of(op, "embeddings").any(0)
        rows = np.unique(given.nodes)
        self.links.append(Link(None, rows, made, np.tile(kept, (len(rows), 1))))
        self._hold(op, "it takes numbers of rows", rows)
        self.inside[op.output] = units, made
        return TensorNodes(made)

    def _attended(self, op: Op, units: LayerUnits) -> TensorNodes:
        """Heads between the inputs, which all heads take, and the outputs, which all heads add to."""
        kernels = [key for key in units.axes if len(self.shapes[key]) > 2]
        values = [key for key in kernels if "/value/" in key]
        outputs = [key for key in kernels if _first(units.axes[key])]
        if len(values) != 1 or len(outputs) != 1 or len(op.made or ()) < 2:
            raise unfollowed(op)
        rows = np.unique(np.concatenate([self.tensors[tensor].nodes for tensor in op.inputs]))
        heads = self.new_nodes(f"{op.name}/heads", units.count, "weights")
        made = self.new_nodes(op.name, self.shapes[outputs[0]][-1], "joint")
        # The values decide whether a head varies: a weighted mean of constants is a constant.
        fed = self._by_unit(units, values[0]).any(1)
        self.links.append(Link(None, rows, heads, np.tile(fed, (len(rows), 1))))
        self.links.append(Link(None, heads, made, self._by_unit(units, outputs[0], last=True)))
        self._hold(op, "its inputs and outputs stay whole", rows, made)
        self.inside[op.output] = units, heads
        return TensorNodes(made)

    def _recurrent(self, op: Op, units: LayerUnits, nodes: np.ndarray) -> TensorNodes:
        """Recurrent units, which their input and they themselves feed."""
        config = op.config
        names = {key.rpartition("/")[2]: key for key in units.axes}
        if op.inputs[0] in self._masked:
            raise unfollowed(op, "it leaves steps out")
        plain = len(op.inputs) == 1 and not (config.get("return_state") or config.get("stateful"))
        if (
            not plain
            or {"kernel", "recurrent_kernel"} - names.keys()
            or len(self.shapes[names["kernel"]]) != 2
        ):
            raise unfollowed(op, "its state is not followed")
        made = self.new_nodes(op.name, units.count, "weights")
        kernel = self._by_unit(units, names["kernel"], rows=True)
        among = self._by_unit(units, names["recurrent_kernel"], rows=True)
        self.links.append(Link(names["kernel"], nodes, made, kernel))
        self.links.append(Link(names["recurrent_kernel"], made, made, _closure(among)))
        self.inside[op.output] = units, made
        return TensorNodes(made)

    def _by_unit(self, units: LayerUnits, key: str, last: bool = False, rows: bool = False) -> np.ndarray:
        """Where the weights of each unit are not 0: `(units, rest)`, `(units, last axis)`, or `(rows, units)`."""
        mask = self.masks.get(key)
        mask = np.ones(self.shapes[key], bool) if mask is None else np.asarray(mask) != 0
        axis = units.axes[key][-1]
        by_index = np.moveaxis(mask, axis.axis, 0)
        by_index = by_index.reshape(len(axis.units), -1, by_index.shape[-1]).any(1) if last else by_index
        by_index = by_index.reshape(len(axis.units), -1)
        found = np.zeros((units.count, by_index.shape[1]), bool)
        np.logical_or.at(found, axis.units, by_index)
        return found.T if rows else found


def einsum_axes(equation: str) -> tuple[int, int] | None:
    """The axes of the inputs and outputs in the kernel of an einsum that is a dense layer on the last axis.

    Args:
        equation: of the input and the kernel, as EinsumDense takes it.

    Returns:
        The two axes; None if the einsum is something else.

    Example:
        >>> einsum_axes("abc,cd->abd"), einsum_axes("...x,yx->...y"), einsum_axes("abc,bd->adc")
        ((0, 1), (1, 0), None)
    """
    given, _, made = equation.replace(" ", "").partition("->")
    taken, _, kernel = given.partition(",")
    if len(kernel) != 2 or sorted(kernel) != sorted((taken[-1:], made[-1:])) or made[:-1] != taken[:-1]:
        return None
    return kernel.index(taken[-1]), kernel.index(made[-1])


def _first(axes: tuple[UnitAxis, ...]) -> bool:
    return axes[0].axis == 0


def _from_last(axis: int, ndim: int) -> int:
    return axis - ndim


def _size(shape: Sequence[int | None]) -> int | None:
    return None if None in shape else math.prod(size or 0 for size in shape)


def _closure(among: np.ndarray) -> np.ndarray:
    """Which units lead to which in any number of steps, so that one pass over the links finds all."""
    found = among | np.eye(len(among), dtype=bool)
    while True:
        further = (found.astype("float32") @ found.astype("float32")) > 0
        if (further == found).all():
            return np.asarray(found)
        found = further
