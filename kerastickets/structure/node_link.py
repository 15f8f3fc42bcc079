"""A ticket's network as neurons and edges in JSON, and as a figure, where it is small enough to be looked at."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.errors import TicketError
from kerastickets.figures.network import Edge, Network, Neuron
from kerastickets.structure.networkx_graph import Part, to_networkx
from kerastickets.structure.neuron_graph import Link
from kerastickets.structure.reachability import Structure
from kerastickets.structure.task_separation import Sides, Tasked

if TYPE_CHECKING:
    from kerastickets.tickets.ticket import Ticket

#: A network with as many edges, or more, is a smear.
MOST_EDGES = 2000


def edge_count(structure: Structure, part: Part = "unpruned") -> int:
    """How many edges the network has: pairs of neurons, or channels, with a kept weight between them.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> edge_count(Structure.of(toy_ticket())) == toy_ticket().kept
        True
    """
    shown = structure.active if part == "active" else np.ones(structure.graph.size, bool)
    return sum(_pairs(link, shown) for link in structure.links)


def node_link(
    ticket: "Ticket", part: Part = "unpruned", data: Tasked | None = None, below: int = MOST_EDGES
) -> dict[str, Any]:
    """The neurons of a ticket and the edges between them.

    Args:
        ticket: of a model that can be followed.
        part: `unpruned`, all neurons and all kept weights; `active`, those on a path from an input to an output.
        data: what names the tasks that subnetworks are called by; they get numbers if left out.
        below: the network must have fewer edges.

    Returns:
        `neurons`: `layer`, `index`, `category`, and as `group` the subnetwork that an active one belongs to, empty
        where there is only one and no tasks; `edges`: `source` and `target` (positions in `neurons`), `category`,
        `key`, `weight` (the value of the last snapshot, of several weights the sum of their magnitudes) and `weights`
        (how many it stands for); `subnetworks`, how many there are.

    Raises:
        TicketError: as many edges as `below`, or more; or a layer that cannot be followed.
        DataError: the data set names no tasks.
    """
    structure = Structure.of(ticket)
    if (count := edge_count(structure, part)) >= below:
        raise TicketError(
            f"A network can be shown with fewer than {below:,} edges. Received: {count:,}. "
            "Take a sparser ticket, or part=active; to_networkx gives any network."
        )
    network = to_networkx(ticket, part)
    groups = _groups(structure, data)
    snapshot = "final" if "final" in ticket.snapshots else "init"
    place = {node: n for n, node in enumerate(network)}
    edges = [
        {
            "source": place[source],
            "target": place[target],
            "category": edge["category"],
            "key": edge.get("key", ""),
            "weight": _number(edge.get(snapshot, edge.get(f"{snapshot}_l1"))),
            "weights": edge.get("weights", 1),
        }
        for source, target, edge in network.edges(data=True)
    ]
    neurons = [{**facts, "group": groups[node]} for node, facts in network.nodes(data=True)]
    return {"neurons": neurons, "edges": edges, "subnetworks": len({*structure.components.tolist()} - {-1})}


def network_figure(facts: Mapping[str, Any], title: str = "The network of the ticket") -> Network:
    """The figure of what `node_link` says.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> network_figure(node_link(toy_ticket())).layers
        ['input', 'dense', 'dense_1']
    """
    neurons = tuple(Neuron(**row) for row in facts["neurons"])
    edges = tuple(Edge(**row) for row in facts["edges"])
    return Network("network", title, neurons, edges, _said(neurons, edges), _NOTE)


_NOTE = (
    "Inactive: no path leads on to an output. Zombie: a path does, but none comes from an input. Isolated neurons, "
    "with nothing kept at either side, stand below their layer. Neurons are ordered so that few lines cross."
)


def _said(neurons: tuple[Neuron, ...], edges: tuple[Edge, ...]) -> str:
    counts = Counter(edge.category for edge in edges)
    parts = [f"{counts[name]:,} {name}" for name in ("active", "inactive", "zombie") if counts[name]]
    isolated = sum(neuron.category == "isolated" for neuron in neurons)
    layers = len({neuron.layer for neuron in neurons})
    apart = f"; {isolated:,} neurons are isolated" if isolated else ""
    return f"{' and '.join(parts) or 'No'} edges between {len(neurons) - isolated:,} neurons of {layers} layers{apart}."


def _pairs(link: Link, shown: np.ndarray) -> int:
    rows, cols = link.pairs(shown, shown)
    if len(np.unique(link.rows)) == len(link.rows):
        return len(rows)
    return np.unique(np.stack([rows, cols]), axis=1).shape[1]


def _groups(structure: Structure, data: Tasked | None) -> list[str]:
    """The name of each node's subnetwork; empty of nodes in none."""
    components = structure.components
    count = int(components.max(initial=-1)) + 1
    names = _task_names(components, count, Sides.of(structure, data)) if data else _numbers(count)
    return [names[label] if label >= 0 else "" for label in components.tolist()]


def _numbers(count: int) -> list[str]:
    return [f"subnetwork {n}" for n in range(1, count + 1)] if count > 1 else [""] * count


def _task_names(components: np.ndarray, count: int, sides: Sides) -> list[str]:
    """The tasks that each subnetwork touches; a second one of the same tasks gets a number."""
    touched: list[list[str]] = [[] for _ in range(count)]
    for task, inputs, outputs in zip(sides.tasks, sides.inputs, sides.outputs, strict=True):
        for label in np.unique(components[np.concatenate([inputs, outputs])]):
            if label >= 0:
                touched[label].append(task)
    seen: Counter[str] = Counter()
    names = []
    for name in map(" and ".join, touched):
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _number(value: float | None) -> float | None:
    """JSON has neither NaN nor infinity, which a ticket of a training that failed may hold."""
    return value if value is not None and math.isfinite(value) else None
