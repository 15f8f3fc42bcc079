"""Turn a small ticket's network into JSON (neurons and edges) and into a figure."""

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

#: A figure of a network with this many edges or more is unreadable.
MOST_EDGES = 2000


def edge_count(structure: Structure, part: Part = "unpruned") -> int:
    """The number of edges in the network: pairs of neurons or channels with a kept weight between them.

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
    """List the neurons of a ticket and the edges between them, ready for JSON.

    Args:
        ticket: a ticket whose model can be followed.
        part: `unpruned` for all neurons and all kept weights; `active` for only those on a path from an input
            to an output.
        data: a data set whose tasks name the subnetworks. None gives the subnetworks numbers instead.
        below: the network must have fewer edges than this.

    Returns:
        A dict of three entries.

        - `neurons`: per neuron `layer`, `index`, `category` and `group`. `group` is the name of the
          subnetwork that an active neuron belongs to. It is empty for other neurons, and without `data` if
          there is only one subnetwork.
        - `edges`: per edge `source` and `target` (positions in `neurons`), `category`, `key`, `weight` and
          `weights`. `weights` is how many weights the edge stands for. `weight` is the value in snapshot
          `final`, or `init` if the ticket is not trained; for several weights, the sum of their magnitudes;
          null without a finite value.
        - `subnetworks`: how many subnetworks there are.

    Raises:
        TicketError: the network has `below` edges or more, or the model has a layer that cannot be followed.
        DataError: `data` names no tasks.
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
    """Make a figure from the result of `node_link`.

    Args:
        facts: the dict that `node_link` returned.
        title: the title of the figure.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> network_figure(node_link(toy_ticket())).layers
        ['input', 'dense', 'dense_1']
    """
    neurons = tuple(Neuron(**row) for row in facts["neurons"])
    edges = tuple(Edge(**row) for row in facts["edges"])
    return Network("network", title, neurons, edges, _said(neurons, edges), _NOTE)


_NOTE = (
    "Inactive: no path leads from it to an output. Zombie: a path leads to an output, but none comes from an input. "
    "Isolated neurons have no kept weights and stand below their layer. Neurons are ordered so that few lines cross."
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
    """The name of each node's subnetwork; empty for nodes in no subnetwork."""
    components = structure.components
    count = int(components.max(initial=-1)) + 1
    names = _task_names(components, count, Sides.of(structure, data)) if data else _numbers(count)
    return [names[label] if label >= 0 else "" for label in components.tolist()]


def _numbers(count: int) -> list[str]:
    return [f"subnetwork {n}" for n in range(1, count + 1)] if count > 1 else [""] * count


def _task_names(components: np.ndarray, count: int, sides: Sides) -> list[str]:
    """Name each subnetwork after the tasks that it touches; a second with the same tasks gets a number."""
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
    """None instead of NaN or infinity, which JSON lacks and which a failed training may leave in a ticket."""
    return value if value is not None and math.isfinite(value) else None
