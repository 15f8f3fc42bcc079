"""Build the neuron graph of a ticket, by one rule per kind of layer."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerastickets.errors import TicketError
from kerastickets.structure.layer_graph import LayerGraph, Op, layer_graph, sound_architecture
from kerastickets.structure.neuron_graph import LayerNodes, Link, NeuronGraph
from kerastickets.tickets.ticket import Ticket

# Layers whose output at a position depends only on their input at that position and channel.
EACH_VALUE = {
    "Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "Dropout", "ELU",
    "GaussianDropout", "GaussianNoise", "Identity", "LeakyReLU", "Normalization", "PReLU", "ReLU", "Rescaling",
    *(f"SpatialDropout{n}D" for n in (1, 2, 3)),
    *(f"ops.{name}" for name in ("Relu", "Relu6", "LeakyRelu", "Elu", "Gelu", "Silu", "Sigmoid", "Tanh", "Abs")),
}  # fmt: skip
# Layers whose output in a channel depends only on their input in that channel.
_ALONE = EACH_VALUE | {
    "CenterCrop", "Resizing", "RandomFlip", "RandomCrop", "RandomTranslation", "RandomRotation", "RandomZoom",
    *(f"{kind}{n}D" for n in (1, 2, 3) for kind in ("ZeroPadding", "Cropping", "UpSampling")),
    *(f"{kind}{n}D" for n in (1, 2, 3) for kind in ("MaxPooling", "AveragePooling")),
    *(f"Global{kind}Pooling{n}D" for n in (1, 2, 3) for kind in ("Max", "Average")),
}  # fmt: skip
# Layers with several inputs whose output in a channel depends only on that channel of each input.
_TOGETHER = {"Add", "Average", "Maximum", "Minimum", "Subtract"}
# With a number instead of a second tensor, these operations keep channels apart and make no channel constant.
_ARITHMETIC = {"ops.Add", "ops.Subtract", "ops.Multiply", "ops.Divide", "ops.TrueDivide"}
_CONVOLUTIONS = {f"Conv{n}D" for n in (1, 2, 3)}
_TRANSPOSED = {f"Conv{n}DTranspose" for n in (1, 2, 3)}
_DEPTHWISE = {f"DepthwiseConv{n}D" for n in (1, 2)}
_SEPARABLE = {f"SeparableConv{n}D" for n in (1, 2)}
# Activations whose output at a position depends only on their input at that position and channel.
_ACTIVATIONS = {
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
    "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh", "tanh_shrink",
    "threshold", "ELU", "LeakyReLU", "PReLU", "ReLU",
}  # fmt: skip
# Activations and layers whose every output depends on all channels.
MIXING = {"softmax", "log_softmax", "sparsemax", "Softmax", "ops.Softmax", "ops.LogSoftmax"}
# Weights that are not part of a path: they add a constant, whichever nodes feed the neuron.
_CONSTANTS = ("bias", "beta")
_MOST_NODES = 50_000_000


@dataclass(frozen=True, eq=False)
class TensorNodes:
    """The nodes of a tensor's last axis. If `flat`, each node stands for one unit per former position."""

    nodes: np.ndarray
    flat: bool = False
    mixed: str = ""  # the name of the softmax that made the tensor, if one did
    axis: int = -1  # the axis of the nodes, if it is not the last


@sound_architecture()
def trace(ticket: Ticket) -> NeuronGraph:
    """Build the neuron graph of a ticket, from its architecture and its masks.

    Args:
        ticket: any ticket with an architecture. Weights without a mask count as kept.

    Returns:
        The graph: neurons and channels as nodes, and the kept weights between them as links.

    Raises:
        TicketError: the model has a layer that cannot be followed. The message names it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> trace(toy_ticket()).size
        80
    """
    shapes = {key: value.shape for key, value in ticket.weights("init").items()}
    return Tracer(ticket.masks, shapes, layer_graph(ticket.architecture)).graph()


class Tracer:
    """Goes through a model's operations once, numbers the nodes and records the links.

    Args:
        masks: masks by key. Weights without a mask count as kept. Links hold sums over these arrays, so
            arrays of numbers may be given instead of booleans.
        shapes: the shapes of all weights by key.
        plan: the operations.
    """

    #: Whether every operation, mask and input must be followed.
    strict = True

    def __init__(self, masks: Mapping[str, np.ndarray], shapes: Mapping[str, Any], plan: LayerGraph) -> None:
        self.masks, self.shapes, self.plan = masks, shapes, plan
        self.groups: list[LayerNodes] = []
        self.links: list[Link] = []
        self.tensors: dict[int, TensorNodes] = {}

    def graph(self) -> NeuronGraph:
        """Build the graph.

        Raises:
            TicketError: a layer cannot be followed, or the weights do not match the plan.
        """
        inputs = tuple(self._inputs())
        for op in self.plan.ops:
            self.tensors[op.output] = self.followed(op)
        if self.strict:
            self._check_masks()
        return NeuronGraph(
            tuple(self.groups),
            tuple(self.links),
            inputs,
            tuple(self.tensors[tensor].nodes for tensor in self.plan.outputs),
            {number: tensor.nodes for number, tensor in self.tensors.items()},
        )

    def followed(self, op: Op) -> TensorNodes:
        """The output of an operation, marked if it joins channels as a softmax does."""
        made = self.made(op)
        return replace(made, mixed=op.name) if mixes(op) else made

    def _check_masks(self) -> None:
        followed = {link.key for link in self.links}
        for key in self.masks:
            if key not in followed and not key.endswith(_CONSTANTS):
                raise TicketError(
                    "Structure analysis needs masks of kernels only, whose weights lead from neuron to neuron. "
                    f"Received: a mask of {key}. Prune kernels only (`--exclude {key}`)."
                )

    def _inputs(self) -> Iterator[np.ndarray]:
        several = len(self.plan.inputs) > 1
        seen = _seen_by_channel(self.plan)
        for n, (tensor, shape) in enumerate(self.plan.inputs):
            whole = [size or 1 for size in shape]
            unknown = not shape or shape[-1] is None or (None in shape and tensor not in seen)
            if unknown and self.strict:
                raise TicketError(
                    f"An input must have a known shape for its features to be nodes. Received: {shape}"
                )
            units = whole[-1] if tensor in seen else math.prod(whole)
            nodes = self.new_nodes(f"input_{n}" if several else "input", units, "input")
            self.tensors[tensor] = TensorNodes(nodes, flat=tensor not in seen and len(shape) > 1)
            yield np.resize(nodes, math.prod(whole))

    def new_nodes(self, name: str, units: int, role: str) -> np.ndarray:
        """Number the nodes that a layer makes."""
        start = self.groups[-1].stop if self.groups else 0
        if start + units > _MOST_NODES:
            raise TicketError(f"A network has at most {_MOST_NODES:,} nodes. Received: more, up to '{name}'.")
        self.groups.append(LayerNodes(name, start, start + units, role))
        return np.arange(start, start + units, dtype=np.int32)

    def made(self, op: Op) -> TensorNodes:
        """The output of an operation."""
        given = [self.tensors[tensor] for tensor in op.inputs]
        if op.config.get("data_format") == "channels_first":
            raise unfollowed(op, "its channels are not the last axis")
        if op.kind in _ALONE | MIXING or (op.kind in _ARITHMETIC and len(given) == 1):
            return self._alone(op, given[0])
        for tensor in given:
            if tensor.mixed:
                raise TicketError(
                    f"A softmax can be followed at the end of a model only. Received: '{tensor.mixed}', which "
                    f"feeds '{op.name}'; each of its outputs depends on all its inputs."
                )
        if op.kind in ("Flatten", "Reshape", "ops.Reshape"):
            return self._flat(op, given[0])
        whole = [self.whole_axis(op, n, tensor) for n, tensor in enumerate(given)]
        if op.kind in _TOGETHER or op.kind in _ARITHMETIC - {"ops.Multiply", "ops.Divide", "ops.TrueDivide"}:
            return self.joined(op, whole)
        if op.kind in ("Concatenate", "ops.Concatenate"):
            return self._concatenated(op, whole)
        return self._weighted(op, whole[0])

    def _alone(self, op: Op, given: TensorNodes) -> TensorNodes:
        axis, shape = op.config.get("axis", -1), op.shapes[0]
        if op.kind == "BatchNormalization" and axis != -1 and (shape is None or axis != len(shape) - 1):
            raise unfollowed(op, f"it normalises axis {axis}")
        if op.kind in _ARITHMETIC and not (len(op.extra) == 1 and isinstance(op.extra[0], int | float)):
            raise unfollowed(op, "it may set some channels to zero by an array of numbers")
        return given

    def _flat(self, op: Op, given: TensorNodes) -> TensorNodes:
        shape = op.config.get("target_shape")
        if op.kind == "ops.Reshape" or (op.kind == "Reshape" and len(shape or ()) != 1):
            raise unfollowed(op, "it moves values between channels")
        return TensorNodes(given.nodes, True)

    def whole_axis(self, op: Op, place: int, tensor: TensorNodes) -> np.ndarray:
        """A tensor's nodes, one per unit of its last axis."""
        shape = op.shapes[place]
        size = None if shape is None else shape[-1]
        if op.kind == "Dense":
            size = self.shape_of(op, "kernel")[0]
        if size is None or size == len(tensor.nodes):
            return tensor.nodes
        if not tensor.flat or size % len(tensor.nodes):
            raise unfollowed(op, f"it takes {size} units, but gets {len(tensor.nodes)} channels")
        return np.resize(tensor.nodes, size)

    def joined(self, op: Op, given: Sequence[np.ndarray]) -> TensorNodes:
        """Nodes that depend on one node of each of the given tensors."""
        sizes = {len(nodes) for nodes in given}
        if len(sizes) > 1 or len(given) < 2:
            raise unfollowed(op, f"it joins tensors of {sorted(sizes)} channels")
        made = self.new_nodes(op.name, sizes.pop(), "joint")
        for nodes in given:
            self.links.append(Link(None, nodes, made, np.ones(len(made), bool)))
        return TensorNodes(made)

    def _concatenated(self, op: Op, given: Sequence[np.ndarray]) -> TensorNodes:
        axis = op.config.get("axis")
        shape = op.shapes[0]
        if axis not in (-1, len(shape or ()) - 1):
            raise unfollowed(op, f"it concatenates along axis {axis}")
        return TensorNodes(np.concatenate(given))

    def _weighted(self, op: Op, nodes: np.ndarray) -> TensorNodes:
        if op.kind == "Dense":
            return self._dense(op, nodes)
        if op.kind in _CONVOLUTIONS or op.kind in _TRANSPOSED:
            return self._convolved(op, nodes)
        if op.kind in _DEPTHWISE:
            return TensorNodes(self._depthwise(op, nodes, "kernel"))
        if op.kind in _SEPARABLE:
            between = self._depthwise(op, nodes, "depthwise_kernel")
            kernel = self.kernel_of(op, "pointwise_kernel")
            return self._linked(op, between, kernel.reshape(-1, *kernel.shape[-2:]), "pointwise_kernel")
        raise unfollowed(op)

    def _dense(self, op: Op, nodes: np.ndarray) -> TensorNodes:
        made = self.new_nodes(op.name, self.shape_of(op, "kernel")[1], "weights")
        self.links.append(Link(self.key_of(op, "kernel"), nodes, made, self.kernel_of(op, "kernel")))
        return TensorNodes(made)

    def _convolved(self, op: Op, nodes: np.ndarray) -> TensorNodes:
        kernel = self.kernel_of(op, "kernel")
        axis = -2 if op.kind in _TRANSPOSED else -1
        kernel = np.swapaxes(kernel, -1, axis)
        return self._linked(op, nodes, kernel.reshape(-1, *kernel.shape[-2:]), "kernel", axis)

    def _linked(
        self, op: Op, nodes: np.ndarray, kernel: np.ndarray, name: str, axis: int = -1
    ) -> TensorNodes:
        """Link all inputs to all outputs per group. `kernel` is `(positions, inputs per group, outputs)`."""
        made = self.new_nodes(op.name, kernel.shape[2], "weights")
        groups = len(nodes) // kernel.shape[1]
        kept = summed(kernel)
        ins, outs = len(nodes) // groups, len(made) // groups
        for n in range(groups):
            rows, own = nodes[n * ins : (n + 1) * ins], slice(n * outs, (n + 1) * outs)
            link = Link(self.key_of(op, name), rows, made[own], kept[:, own], kernel.shape[0], n, axis)
            self.links.append(link)
        return TensorNodes(made)

    def _depthwise(self, op: Op, nodes: np.ndarray, name: str) -> np.ndarray:
        kernel = self.kernel_of(op, name)
        kept = kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1])
        made = self.new_nodes(
            op.name if name == "kernel" else f"{op.name}/depthwise", kept.shape[1], "weights"
        )
        rows = np.repeat(nodes, kernel.shape[-1])
        self.links.append(Link(self.key_of(op, name), rows, made, summed(kept), kept.shape[0]))
        return made

    def key_of(self, op: Op, name: str) -> str:
        """The key of a layer's weight."""
        return "/".join((*op.path, name))

    def shape_of(self, op: Op, name: str) -> tuple[int, ...]:
        """The shape of a layer's weight."""
        key = self.key_of(op, name)
        if key not in self.shapes:
            some = ", ".join(sorted(self.shapes)[:6])
            raise TicketError(
                f"The layer '{op.name}' has the weight {key}. Received: a ticket with {some} only."
            )
        return tuple(self.shapes[key])

    def kernel_of(self, op: Op, name: str) -> np.ndarray:
        """The mask of a kernel; all True if it has none."""
        shape = self.shape_of(op, name)
        mask: np.ndarray | None = self.masks.get(self.key_of(op, name))
        return np.ones(shape, bool) if mask is None else mask


def _seen_by_channel(plan: LayerGraph) -> set[int]:
    """The input tensors that some layer takes channel by channel. All other inputs are flattened first."""
    origin = {tensor: tensor for tensor, _ in plan.inputs}
    seen = {tensor for tensor, shape in plan.inputs if len(shape) == 1}
    for op in plan.ops:
        for tensor in op.inputs:
            if tensor in origin and op.kind in EACH_VALUE:
                origin[op.output] = origin[tensor]
            elif tensor in origin and op.kind not in ("Flatten", "Reshape"):
                seen.add(origin[tensor])
    return seen


def summed(kernel: np.ndarray) -> np.ndarray:
    """Sum over positions: the number of kept weights, or the sum of the numbers given instead of masks."""
    return kernel.sum(0, dtype=np.int32 if kernel.dtype == bool else np.float64)


def mixes(op: Op) -> bool:
    """Whether a layer is a softmax or has a softmax activation, so that it mixes channels."""
    if op.kind in MIXING or op.activation in MIXING:
        return True
    if op.activation not in _ACTIVATIONS:
        raise unfollowed(op, f"its activation {op.activation} may join channels")
    return False


class UnfollowedError(TicketError):
    """An operation cannot be followed. `reason` says why; it may be empty."""

    reason = ""


def unfollowed(op: Op, why: str = "") -> UnfollowedError:
    reason = f": {why}" if why else ""
    error = UnfollowedError(
        "Structure analysis can follow dense layers, convolutions, normalisation, pooling, activations, "
        f"Flatten, Add and Concatenate. Received: '{op.name}', a {op.kind}{reason}."
    )
    error.reason = why
    return error
