"""All-alive masks: weights that cannot matter are taken away, and what they added as constants stays in biases."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastickets.foundations.tree import Tree, kept, masked, sealed
from kerastickets.structure.layer_graph import LayerGraph, Op, layer_graph
from kerastickets.structure.neuron_graph import Link, NeuronGraph, by_key
from kerastickets.structure.reachability import Structure
from kerastickets.structure.tracing import trace
from kerastickets.tickets.ticket import Ticket

Weights = Mapping[str, np.ndarray]

# What layers do to a constant. A layer that is not here makes what comes out of it unknown, and zombies stay.
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


def alive(ticket: Ticket) -> tuple[dict[str, np.ndarray], dict[str, Tree]]:
    """The masks and snapshots of a ticket without the weights that cannot matter.

    Inactive weights go. So do zombies of dense layers with a bias: each snapshot's bias takes the constant
    that they added. Zombies stay in layers without a bias or with a masked one, in convolutions, and behind
    layers that make of a constant something else at every place or that train what they do to it.

    Args:
        ticket: any; `final` stays zero where the new masks prune.

    Returns:
        Masks, and snapshots by name.

    Raises:
        TicketError: the model has a layer that cannot be followed; names it.

    Example:
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


def alive_masks(ticket: Ticket) -> dict[str, np.ndarray]:
    """The masks that `alive` gives, without the work on weights."""
    return _reduced(ticket, layer_graph(ticket.architecture), trace(ticket))[0]


@dataclass(frozen=True, eq=False)
class Cut:
    """What a cut leaves of a ticket.

    Args:
        masks: what is kept.
        snapshots: of the ticket that was cut, its trained weights among them, with what biases took in.
        facts: for provenance; empty where there is nothing to tell.
    """

    masks: Tree
    snapshots: Mapping[str, Tree]
    facts: Mapping[str, Any]


def largest_alive(ticket: Ticket, cut_to: Callable[[int], Tree], target: int, most: int) -> Cut:
    """The cut that leaves the most alive weights not above a target.

    What a cut keeps in vain is given back: more is kept, of which again some is in vain.

    Args:
        ticket: what to cut.
        cut_to: masks that keep so many weights; of two counts the larger keeps all that the smaller does.
        target: alive weights to have at most.
        most: the largest count that can be kept, at least the target.

    Returns:
        The masks of the alive weights, all snapshots with constants folded, and facts: `target`, the weights
        that were `cut_to`, those `alive`, and the `shortfall`, target less alive.
    """
    # At the target nothing above it can be alive; above `most` there is nothing to keep.
    low, high = min(target, most), most + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = kept(alive_masks(_bare(ticket, cut_to(middle)))) <= target
        low, high = (middle, high) if fits else (low, middle)
    masks = cut_to(low)
    trees = {name: _trained(name, weights, masks) for name, weights in ticket.snapshots.items()}
    left, snapshots = alive(ticket.replace(masks=masks, snapshots=trees))
    count = kept(left)
    return Cut(
        left, snapshots, {"target": target, "cut_to": low, "alive": count, "shortfall": target - count}
    )


def _trained(name: str, weights: Tree, masks: Tree) -> Tree:
    """A snapshot as it is under masks that keep less."""
    return masked(weights, masks) if name == "final" else weights


def _bare(ticket: Ticket, masks: Tree) -> Ticket:
    """The ticket under other masks, with no weights that only fit its own."""
    return ticket.replace(masks=masks, snapshots={"init": ticket.weights()}, provenance={})


def _bias(key: str) -> str:
    return key.removesuffix("kernel") + "bias"


def _reduced(
    ticket: Ticket, plan: LayerGraph, graph: NeuronGraph
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The new masks, and by key of a dense layer with a bias the rows whose constants it takes."""
    folding = _foldable(plan, graph, ticket)
    masks = {key: np.array(mask) for key, mask in ticket.masks.items()}
    for key, rows in folding.items():
        masks[key][rows] = False
    # Only now: what fed a zombie that a bias has taken in is of no more use itself.
    structure = Structure.of(_bare(ticket, masks))
    for key, own in by_key(structure.graph.links, masks).items():
        masks[key] &= _needed(structure, masks[key].shape, own)
    return {key: sealed(mask) for key, mask in masks.items()}, folding


def _needed(structure: Structure, shape: tuple[int, ...], links: list[Link]) -> np.ndarray:
    """Which weights lead to something needed, in a shape that a kernel's mask can be multiplied with."""
    calls = [np.concatenate([structure.needed[one.cols] for one in call]) for call in _by_call(links)]
    needed = np.any(calls, axis=0)
    if links[0].paired:
        return needed.reshape(shape[-2:])
    return needed if links[0].axis == -1 else needed[:, None]


def _by_call(links: list[Link]) -> list[list[Link]]:
    """Links of one key, by the call of the layer that they belong to: each call goes through all its parts."""
    parts = max(link.part for link in links) + 1
    return [links[n : n + parts] for n in range(0, len(links), parts)]


def _foldable(plan: LayerGraph, graph: NeuronGraph, ticket: Ticket) -> dict[str, np.ndarray]:
    """By key, the rows of dense layers whose value is a constant that the layer's bias can take."""
    weights = ticket.weights("init")
    found: dict[str, np.ndarray] = {}
    for op, value in _constants(plan, graph, ticket.masks, weights):
        key = "/".join((*op.path, "kernel"))
        bias = _bias(key)
        if key in ticket.masks and bias in weights and bias not in ticket.masks:
            # Of a layer that is called twice, with two constants, a bias cannot take both.
            found[key] = ~np.isnan(value) if key not in found else np.zeros(len(value), bool)
    return {key: rows for key, rows in found.items() if rows.any()}


def _folds(
    plan: LayerGraph, graph: NeuronGraph, masks: Tree, weights: Weights, folding: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Key, rows and their constants of every dense layer that takes constants into its bias."""
    for op, value in _constants(plan, graph, masks, weights):
        key = "/".join((*op.path, "kernel"))
        if key in folding:
            yield key, folding[key], value


def _constants(
    plan: LayerGraph, graph: NeuronGraph, masks: Tree, weights: Weights
) -> Iterator[tuple[Op, np.ndarray]]:
    """Every dense layer and what it takes: numbers where that is constant, NaN where it varies or is not known."""
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
    """What a dense layer makes of what it takes."""
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
    """Whether a layer that is an activation does what its name says and no more."""
    dials: Any = op.config
    if op.kind == "Activation":
        return op.activation in _ACTIVATIONS
    return not dials.get("max_value") and not dials.get("negative_slope") and not dials.get("threshold")
