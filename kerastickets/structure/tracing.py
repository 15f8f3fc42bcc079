"""Making a graph of a ticket: how each kind of layer carries nodes on."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerastickets.errors import TicketError
from kerastickets.structure.layer_graph import LayerGraph, Op, layer_graph
from kerastickets.structure.neuron_graph import LayerNodes, Link, NeuronGraph
from kerastickets.tickets.ticket import Ticket

# Layers whose result at a place depends on what they take at that place alone.
_EACH_VALUE = {
    "Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "Dropout", "ELU",
    "GaussianDropout", "GaussianNoise", "Identity", "LeakyReLU", "Normalization", "PReLU", "ReLU", "Rescaling",
    *(f"SpatialDropout{n}D" for n in (1, 2, 3)),
    *(f"ops.{name}" for name in ("Relu", "Relu6", "LeakyRelu", "Elu", "Gelu", "Silu", "Sigmoid", "Tanh", "Abs")),
}  # fmt: skip
# Layers whose result at a channel depends on that channel alone.
_ALONE = _EACH_VALUE | {
    "CenterCrop", "Resizing", "RandomFlip", "RandomCrop", "RandomTranslation", "RandomRotation", "RandomZoom",
    *(f"{kind}{n}D" for n in (1, 2, 3) for kind in ("ZeroPadding", "Cropping", "UpSampling")),
    *(f"{kind}{n}D" for n in (1, 2, 3) for kind in ("MaxPooling", "AveragePooling")),
    *(f"Global{kind}Pooling{n}D" for n in (1, 2, 3) for kind in ("Max", "Average")),
}  # fmt: skip
# Layers whose result at a channel depends on that channel of each thing they take.
_TOGETHER = {"Add", "Average", "Maximum", "Minimum", "Subtract"}
# With a number instead of a second tensor these keep channels apart, and do not make any of them constant.
_ARITHMETIC = {"ops.Add", "ops.Subtract", "ops.Multiply", "ops.Divide", "ops.TrueDivide"}
_CONVOLUTIONS = {f"Conv{n}D" for n in (1, 2, 3)}
_TRANSPOSED = {f"Conv{n}DTranspose" for n in (1, 2, 3)}
_DEPTHWISE = {f"DepthwiseConv{n}D" for n in (1, 2)}
_SEPARABLE = {f"SeparableConv{n}D" for n in (1, 2)}
# Activations of a layer whose result at a place depends on what they take at that place alone.
_ACTIVATIONS = {
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
    "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh", "tanh_shrink",
    "threshold", "ELU", "LeakyReLU", "PReLU", "ReLU",
}  # fmt: skip
# Activations and layers each of whose results depends on all channels.
_MIXING = {"softmax", "log_softmax", "sparsemax", "Softmax", "ops.Softmax", "ops.LogSoftmax"}
# Weights that need no path: they add a constant, whoever feeds the neuron.
_CONSTANTS = ("bias", "beta")


@dataclass(frozen=True, eq=False)
class _Tensor:
    """The nodes of a tensor's last axis; `flat` where each stands for as many units as there were positions."""

    nodes: np.ndarray
    flat: bool = False
    mixed: str = ""  # the softmax that made it, if one did


def trace(ticket: Ticket) -> NeuronGraph:
    """The network of a ticket's architecture under its masks; weights without a mask are all kept.

    Args:
        ticket: any ticket that has an architecture.

    Raises:
        TicketError: the model has a layer that cannot be followed; names it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> trace(toy_ticket()).size
        80
    """
    shapes = {key: value.shape for key, value in ticket.weights("init").items()}
    return Tracer(ticket.masks, shapes, layer_graph(ticket.architecture)).graph()


class Tracer:
    """Goes through a model's operations once, numbering nodes and noting links.

    Args:
        masks: booleans by key; weights without one are all kept. Links hold sums of what is here: numbers
            may stand in for booleans.
        shapes: the shapes of all weights by key.
        plan: the operations.
        hold: take what cannot be followed as a whole, every result of which depends on all it takes; the graph
            says so. The plan must then know the shapes of what operations make.
    """

    def __init__(
        self, masks: Mapping[str, np.ndarray], shapes: Mapping[str, Any], plan: LayerGraph, hold: bool = False
    ) -> None:
        self.masks, self.shapes, self.plan, self.hold = masks, shapes, plan, hold
        self.held: dict[str, np.ndarray] = {}
        self.groups: list[LayerNodes] = []
        self.links: list[Link] = []
        self.tensors: dict[int, _Tensor] = {}

    def graph(self) -> NeuronGraph:
        """The graph.

        Raises:
            TicketError: a layer cannot be followed, or the weights are not those of the plan.
        """
        inputs = tuple(self._inputs())
        for op in self.plan.ops:
            self.tensors[op.output] = self._held(op) if self.hold else self._followed(op)
        if not self.hold:
            self._check_masks()
        return NeuronGraph(
            tuple(self.groups),
            tuple(self.links),
            inputs,
            tuple(self.tensors[tensor].nodes for tensor in self.plan.outputs),
            {number: tensor.nodes for number, tensor in self.tensors.items()},
            self.held,
        )

    def _followed(self, op: Op) -> _Tensor:
        made = self._made(op)
        return replace(made, mixed=op.name) if _mixes(op) else made

    def _held(self, op: Op) -> _Tensor:
        """What an operation makes, which is taken as a whole where it cannot be followed."""
        given = [self.tensors[tensor].nodes for tensor in op.inputs]
        # At the end nothing can be told apart any more: outputs stay whole.
        inner = op.output not in self.plan.outputs or any(op.output in one.inputs for one in self.plan.ops)
        try:
            if op.kind in _MIXING and inner:
                raise _cannot(op, "it joins channels")
            made, mixes = self._made(op), _mixes(op) and inner
        except _UnfollowedError as error:
            return self._hub(op, error.reason, given)
        return self._hub(op, f"its {op.activation} joins channels", [made.nodes]) if mixes else made

    def _hub(self, op: Op, why: str, given: Sequence[np.ndarray]) -> _Tensor:
        """Nodes made anew, each of which depends on all of those given; all are held."""
        rows = np.unique(np.concatenate(given)) if given else np.zeros(0, np.int32)
        hub = self._group(op.name, 1, "joint")
        made = self._group(op.name, (op.made or (1,))[-1] or 1, "joint")
        self.links.append(Link(None, rows, hub, np.ones((len(rows), 1), bool)))
        self.links.append(Link(None, hub, made, np.ones((1, len(made)), bool)))
        reason = f"{op.name} ({op.kind}): {why or 'it cannot be followed'}"
        self.held[reason] = np.concatenate([self.held.get(reason, rows[:0]), rows, made])
        return _Tensor(made)

    def _check_masks(self) -> None:
        followed = {link.key for link in self.links}
        for key in self.masks:
            if key not in followed and not key.endswith(_CONSTANTS):
                raise TicketError(
                    f"Structure is that of kernels, whose weights lead from neuron to neuron. Received: a mask of "
                    f"{key}. Prune kernels only (`--exclude {key}`)."
                )

    def _inputs(self) -> Iterator[np.ndarray]:
        several = len(self.plan.inputs) > 1
        seen = _seen_by_channel(self.plan)
        for n, (tensor, shape) in enumerate(self.plan.inputs):
            whole = [size or 1 for size in shape]
            unknown = not shape or shape[-1] is None or (None in shape and tensor not in seen)
            if unknown and not self.hold:
                raise TicketError(
                    f"An input must have a known shape for its features to be nodes. Received: {shape}"
                )
            units = whole[-1] if tensor in seen else math.prod(whole)
            nodes = self._group(f"input_{n}" if several else "input", units, "input")
            self.tensors[tensor] = _Tensor(nodes, flat=tensor not in seen and len(shape) > 1)
            yield np.resize(nodes, math.prod(whole))

    def _group(self, name: str, units: int, role: str) -> np.ndarray:
        start = self.groups[-1].stop if self.groups else 0
        self.groups.append(LayerNodes(name, start, start + units, role))
        return np.arange(start, start + units, dtype=np.int32)

    def _made(self, op: Op) -> _Tensor:
        """What an operation makes of the tensors it takes."""
        given = [self.tensors[tensor] for tensor in op.inputs]
        if op.config.get("data_format") == "channels_first":
            raise _cannot(op, "its channels are not the last axis")
        if op.kind in _ALONE | _MIXING or (op.kind in _ARITHMETIC and len(given) == 1):
            return self._alone(op, given[0])
        for tensor in given:
            if tensor.mixed:
                raise TicketError(
                    f"A softmax can be followed at the end of a model only. Received: '{tensor.mixed}', which "
                    f"feeds '{op.name}'; each of its results depends on all it takes."
                )
        if op.kind in ("Flatten", "Reshape", "ops.Reshape"):
            return self._flat(op, given[0])
        whole = [self._whole(op, n, tensor) for n, tensor in enumerate(given)]
        if op.kind in _TOGETHER or op.kind in _ARITHMETIC - {"ops.Multiply", "ops.Divide", "ops.TrueDivide"}:
            return self._joined(op, whole)
        if op.kind in ("Concatenate", "ops.Concatenate"):
            return self._concatenated(op, whole)
        return self._weighted(op, whole[0])

    def _alone(self, op: Op, given: _Tensor) -> _Tensor:
        axis, shape = op.config.get("axis", -1), op.shapes[0]
        if op.kind == "BatchNormalization" and axis != -1 and (shape is None or axis != len(shape) - 1):
            raise _cannot(op, f"it normalises axis {axis}")
        if op.kind in _ARITHMETIC and not (len(op.extra) == 1 and isinstance(op.extra[0], int | float)):
            raise _cannot(op, "it may take away some channels by an array of numbers")
        return given

    def _flat(self, op: Op, given: _Tensor) -> _Tensor:
        shape = op.config.get("target_shape")
        if op.kind == "ops.Reshape" or (op.kind == "Reshape" and len(shape or ()) != 1):
            raise _cannot(op, "it moves values between channels")
        return _Tensor(given.nodes, True)

    def _whole(self, op: Op, place: int, tensor: _Tensor) -> np.ndarray:
        """A tensor's nodes, one for each unit of its last axis."""
        shape = op.shapes[place]
        size = None if shape is None else shape[-1]
        if op.kind == "Dense":
            size = self._shape(op, "kernel")[0]
        if size is None or size == len(tensor.nodes):
            return tensor.nodes
        if not tensor.flat or size % len(tensor.nodes):
            raise _cannot(op, f"it takes {size} units of {len(tensor.nodes)} channels")
        return np.resize(tensor.nodes, size)

    def _joined(self, op: Op, given: Sequence[np.ndarray]) -> _Tensor:
        sizes = {len(nodes) for nodes in given}
        if len(sizes) > 1 or len(given) < 2:
            raise _cannot(op, f"it joins tensors of {sorted(sizes)} channels")
        made = self._group(op.name, sizes.pop(), "joint")
        for nodes in given:
            self.links.append(Link(None, nodes, made, np.ones(len(made), bool)))
        return _Tensor(made)

    def _concatenated(self, op: Op, given: Sequence[np.ndarray]) -> _Tensor:
        axis = op.config.get("axis")
        shape = op.shapes[0]
        if axis not in (-1, len(shape or ()) - 1):
            raise _cannot(op, f"it concatenates along axis {axis}")
        return _Tensor(np.concatenate(given))

    def _weighted(self, op: Op, nodes: np.ndarray) -> _Tensor:
        if op.kind == "Dense":
            return self._dense(op, nodes)
        if op.kind in _CONVOLUTIONS or op.kind in _TRANSPOSED:
            return self._convolved(op, nodes)
        if op.kind in _DEPTHWISE:
            return _Tensor(self._depthwise(op, nodes, "kernel"))
        if op.kind in _SEPARABLE:
            between = self._depthwise(op, nodes, "depthwise_kernel")
            kernel = self._kernel(op, "pointwise_kernel")
            return self._linked(op, between, kernel.reshape(-1, *kernel.shape[-2:]), "pointwise_kernel")
        raise _cannot(op)

    def _dense(self, op: Op, nodes: np.ndarray) -> _Tensor:
        made = self._group(op.name, self._shape(op, "kernel")[1], "weights")
        self.links.append(Link(self._key(op, "kernel"), nodes, made, self._kernel(op, "kernel")))
        return _Tensor(made)

    def _convolved(self, op: Op, nodes: np.ndarray) -> _Tensor:
        kernel = self._kernel(op, "kernel")
        axis = -2 if op.kind in _TRANSPOSED else -1
        kernel = np.swapaxes(kernel, -1, axis)
        return self._linked(op, nodes, kernel.reshape(-1, *kernel.shape[-2:]), "kernel", axis)

    def _linked(self, op: Op, nodes: np.ndarray, kernel: np.ndarray, name: str, axis: int = -1) -> _Tensor:
        """Full links of a kernel `(positions, inputs of a group, outputs)`."""
        made = self._group(op.name, kernel.shape[2], "weights")
        groups = len(nodes) // kernel.shape[1]
        kept = _summed(kernel)
        ins, outs = len(nodes) // groups, len(made) // groups
        for n in range(groups):
            own = slice(n * outs, (n + 1) * outs)
            rows = nodes[n * ins : (n + 1) * ins]
            self.links.append(
                Link(self._key(op, name), rows, made[own], kept[:, own], kernel.shape[0], n, axis)
            )
        return _Tensor(made)

    def _depthwise(self, op: Op, nodes: np.ndarray, name: str) -> np.ndarray:
        kernel = self._kernel(op, name)
        kept = kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1])
        role = op.name if name == "kernel" else f"{op.name}/depthwise"
        made = self._group(role, kept.shape[1], "weights")
        rows = np.repeat(nodes, kernel.shape[-1])
        self.links.append(Link(self._key(op, name), rows, made, _summed(kept), kept.shape[0]))
        return made

    def _key(self, op: Op, name: str) -> str:
        return "/".join((*op.path, name))

    def _shape(self, op: Op, name: str) -> tuple[int, ...]:
        key = self._key(op, name)
        if key not in self.shapes:
            raise TicketError(
                f"The architecture's layer '{op.name}' has the weight {key}. Received: a ticket without it; its "
                f"keys are {', '.join(sorted(self.shapes)[:6])}."
            )
        return tuple(self.shapes[key])

    def _kernel(self, op: Op, name: str) -> np.ndarray:
        """Which weights of a kernel are kept."""
        shape = self._shape(op, name)
        mask: np.ndarray | None = self.masks.get(self._key(op, name))
        return np.ones(shape, bool) if mask is None else mask


def _seen_by_channel(plan: LayerGraph) -> set[int]:
    """The input tensors that a layer takes channel by channel: those of all others are flattened first."""
    origin = {tensor: tensor for tensor, _ in plan.inputs}
    seen = {tensor for tensor, shape in plan.inputs if len(shape) == 1}
    for op in plan.ops:
        for tensor in op.inputs:
            if tensor in origin and op.kind in _EACH_VALUE:
                origin[op.output] = origin[tensor]
            elif tensor in origin and op.kind not in ("Flatten", "Reshape"):
                seen.add(origin[tensor])
    return seen


def _summed(kernel: np.ndarray) -> np.ndarray:
    """Over all positions: how many are kept, or the sum of numbers that stand in for masks."""
    return kernel.sum(0, dtype=np.int32 if kernel.dtype == bool else np.float64)


def _mixes(op: Op) -> bool:
    """Whether a layer is a softmax, or ends in one."""
    if op.kind in _MIXING or op.activation in _MIXING:
        return True
    if op.activation not in _ACTIVATIONS:
        raise _cannot(op, f"its activation {op.activation} may join channels")
    return False


class _UnfollowedError(TicketError):
    """An operation that cannot be followed, and why not."""

    reason = ""


def _cannot(op: Op, why: str = "") -> _UnfollowedError:
    reason = f": {why}" if why else ""
    error = _UnfollowedError(
        f"Structure is followed through dense layers, convolutions, normalisation, pooling, activations, "
        f"Flatten, Add and Concatenate. Received: '{op.name}', a {op.kind}{reason}."
    )
    error.reason = why
    return error
