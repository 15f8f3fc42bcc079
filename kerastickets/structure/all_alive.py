"""Remove weights on no path from input to output, and fold the constants that they added into biases."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from kerastickets.foundations.tree import Tree, masked, sealed
from kerastickets.structure.layer_graph import LayerGraph, Op, layer_graph, sound_architecture
from kerastickets.structure.neuron_graph import Link, NeuronGraph, by_key
from kerastickets.structure.reachability import Structure
from kerastickets.structure.tracing import trace
from kerastickets.tickets.ticket import Ticket

Weights = Mapping[str, np.ndarray]

# How activations change a constant. The output of other layers counts as unknown: zombies behind them stay.
_ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 0.5 * (1 + np.tanh(x / 2)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.logaddexp(x, 0),
    "silu": lambda x: x * 0.5 * (1 + np.tanh(x / 2)),
}
_UNCHANGED = {"Flatten", "Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "Identity"}


@sound_architecture()
def alive(ticket: Ticket) -> tuple[dict[str, np.ndarray], dict[str, Tree]]:
    """Remove the weights of a ticket that lie on no path from input to output.

    Inactive weights, from which no path leads to an output, are removed. Zombie weights have a path to an
    output, but none from an input, so they only add a constant. They are removed from dense layers with a
    bias, and the bias in each snapshot takes over the constant. Zombie weights stay in:

    - layers without a bias, or with a masked bias;
    - convolutions;
    - dense layers behind a layer whose effect on a constant is unknown, varies between positions, or is
      trained.

    Args:
        ticket: any ticket.

    Returns:
        The new masks by key, and the new snapshots by name. `final` is zero where the new masks prune.

    Raises:
        TicketError: the model has a layer that cannot be followed. The message names it.

    Example:
        >>> from kerastickets.foundations.tree import kept
        >>> from kerastickets.testing import toy_ticket
        >>> masks, snapshots = alive(toy_ticket())
        >>> kept(masks) <= toy_ticket().kept, [*snapshots] == [*toy_ticket().snapshots]
        (True, True)

    Reference:
        D. Kim, H. Shim, J. Lee, Waste Not, Want Not: All-Alive Pruning for Extremely Sparse Networks (2021).
    """
    plan, graph = layer_graph(ticket.architecture), trace(ticket)
    reduced, folding = _reduced(ticket, plan, graph)
    snapshots: dict[str, Tree] = {}
    for name, weights in ticket.snapshots.items():
        changed = dict(weights)
        for key, rows, values in _folds(plan, graph, ticket.masks, weights, folding):
            bias = _bias(key)
            added = values[rows] @ np.where(ticket.masks[key], weights[key], 0)[rows].astype("float64")
            whole = (weights[bias] + added).astype(weights[bias].dtype)
            changed[bias] = sealed(np.where(added == 0, weights[bias], whole))
        if name == "final":
            changed |= masked(changed, reduced)
        snapshots[name] = changed
    return reduced, snapshots


@sound_architecture()
def alive_masks(ticket: Ticket) -> dict[str, np.ndarray]:
    """The masks that `alive` returns, without computing its snapshots."""
    return _reduced(ticket, layer_graph(ticket.architecture), trace(ticket))[0]


def bare(ticket: Ticket, masks: Tree) -> Ticket:
    """The ticket with other masks and only its `init` weights: other snapshots may fit only its own masks."""
    return ticket.replace(masks=masks, snapshots={"init": ticket.weights()}, provenance={})


def _bias(key: str) -> str:
    return key.removesuffix("kernel") + "bias"


def _reduced(
    ticket: Ticket, plan: LayerGraph, graph: NeuronGraph
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The new masks; and per key of a dense layer, which kernel rows its bias replaces by a constant."""
    folding = _foldable(plan, graph, ticket)
    masks = {key: np.array(mask) for key, mask in ticket.masks.items()}
    for key, rows in folding.items():
        masks[key][rows] = False
    # Search for needed nodes only now: weights that fed a folded zombie are no longer needed either.
    structure = Structure.of(bare(ticket, masks))
    for key, own in by_key(structure.graph.links, masks).items():
        masks[key] &= _needed(structure, masks[key].shape, own)
    return {key: sealed(mask) for key, mask in masks.items()}, folding


def _needed(structure: Structure, shape: tuple[int, ...], links: list[Link]) -> np.ndarray:
    """Which weights lead to a needed node, in a shape that broadcasts with the kernel's mask."""
    calls = [np.concatenate([structure.needed[one.cols] for one in call]) for call in _by_call(links)]
    needed = np.any(calls, axis=0)
    if links[0].paired:
        return needed.reshape(shape[-2:])
    return needed if links[0].axis == -1 else needed[:, None]


def _by_call(links: list[Link]) -> list[list[Link]]:
    """Group the links of one key by the call of the layer. Each call has one link per part, in order."""
    parts = max(link.part for link in links) + 1
    return [links[n : n + parts] for n in range(0, len(links), parts)]


def _foldable(plan: LayerGraph, graph: NeuronGraph, ticket: Ticket) -> dict[str, np.ndarray]:
    """Per key of a dense layer: the kernel rows with a constant input that the layer's bias can take over."""
    weights = ticket.weights("init")
    found: dict[str, np.ndarray] = {}
    for op, value in _constants(plan, graph, ticket.masks, weights):
        key = "/".join((*op.path, "kernel"))
        bias = _bias(key)
        if key in ticket.masks and bias in weights and bias not in ticket.masks:
            # A layer called twice may receive two different constants, and one bias cannot take over both.
            found[key] = ~np.isnan(value) if key not in found else np.zeros(len(value), bool)
    return {key: rows for key, rows in found.items() if rows.any()}


def _folds(
    plan: LayerGraph, graph: NeuronGraph, masks: Tree, weights: Weights, folding: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """For every dense layer whose bias takes over constants: its key, the rows, and all its input values."""
    for op, value in _constants(plan, graph, masks, weights):
        key = "/".join((*op.path, "kernel"))
        if key in folding:
            yield key, folding[key], value


def _constants(
    plan: LayerGraph, graph: NeuronGraph, masks: Tree, weights: Weights
) -> Iterator[tuple[Op, np.ndarray]]:
    """Every dense layer with its input values: numbers where constant, NaN where varying or unknown."""
    values = {number: np.full(len(nodes), np.nan) for number, nodes in graph.tensors.items()}
    for op in plan.ops:
        if op.kind == "Dense":
            key = "/".join((*op.path, "kernel"))
            taken = np.resize(values[op.inputs[0]], weights[key].shape[0])
            yield op, taken
            values[op.output] = _dense(op, taken, weights, masks.get(key))
        elif op.kind in _UNCHANGED:
            values[op.output] = values[op.inputs[0]]
        elif op.kind in ("Activation", "ReLU") and _plain(op):
            name = "relu" if op.kind == "ReLU" else op.activation
            values[op.output] = _ACTIVATIONS[name](values[op.inputs[0]])


def _dense(op: Op, taken: np.ndarray, weights: Weights, mask: np.ndarray | None) -> np.ndarray:
    """The output values of a dense layer: numbers where constant, NaN where varying or unknown."""
    kernel = weights["/".join((*op.path, "kernel"))].astype("float64")
    linked = np.ones(kernel.shape, bool) if mask is None else mask
    varying = np.isnan(taken)
    made = np.where(varying, 0, taken) @ np.where(linked, kernel, 0)
    bias = weights.get("/".join((*op.path, "bias")))
    made = made if bias is None else made + bias
    made[linked[varying].any(0)] = np.nan
    activation = _ACTIVATIONS.get(op.activation)
    return np.full(len(made), np.nan) if activation is None else activation(made)


def _plain(op: Op) -> bool:
    """Whether an activation layer computes exactly one of `_ACTIVATIONS`, without further settings."""
    dials: Any = op.config
    if op.kind == "Activation":
        return op.activation in _ACTIVATIONS
    return not dials.get("max_value") and not dials.get("negative_slope") and not dials.get("threshold")
