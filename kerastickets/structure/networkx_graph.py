"""Turn a ticket's network into a networkx graph, for use with networkx or a graph viewer."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kerastickets.errors import TicketError
from kerastickets.structure.layer_graph import layer_graph, sound_architecture
from kerastickets.structure.neuron_graph import Link
from kerastickets.structure.reachability import Structure
from kerastickets.structure.tracing import Tracer
from kerastickets.tickets import file as ticketfile

if TYPE_CHECKING:
    import networkx as nx

    from kerastickets.tickets.ticket import Ticket

#: Which neurons and weights to include: all that are kept, or only those on a path from input to output.
Part = Literal["unpruned", "active"]


def to_networkx(ticket: "Ticket", part: Part = "unpruned") -> "nx.DiGraph":
    """Convert a ticket's network into a graph with one edge per pair of neurons that a kept weight connects.

    A channel of a convolution is one neuron. An edge between two channels stands for all kept weights between
    them; so does an edge from a channel through a Flatten to a dense neuron. Nodes are numbered from 0, in
    the order of the layers.

    Args:
        ticket: a ticket whose model can be followed (Sequential or Functional, from supported layers).
        part: `unpruned` for all neurons and all kept weights; `active` for only those on a path from an input
            to an output.

    Returns:
        A directed graph. Attributes of each node:

        - `layer`: the name of the layer;
        - `index`: the position in the layer;
        - `category`: `active`, `inactive`, `zombie` or `isolated`. A node of an addition is never isolated.

        Attributes of each edge:

        - `category`: `active`, `inactive` or `zombie`.

        Further attributes of each edge with weights; an edge into an addition has none:

        - `key`: the key of the kernel;
        - `weights`: the number of kept weights that the edge stands for;
        - per snapshot of the ticket, `init`, `final` ...: the value of the weight. If the key has several
          weights between two neurons, `init_l1`, `final_l1` ... instead: the sum of their absolute values;
        - `index`: the position in the kernel, as (input, output); for a depthwise kernel, one number over
          both. It is left out if the edge stands for several such positions.

    Raises:
        TicketError: `part` has another value, or the model has a layer that cannot be followed. The message
            names the layer.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> network = to_networkx(toy_ticket())
        >>> network.number_of_edges() == toy_ticket().kept, network.nodes[64]
        (True, {'layer': 'dense', 'index': 0, 'category': 'active'})
    """
    import networkx as nx

    if part not in ("unpruned", "active"):
        raise TicketError(f"`part` must be 'unpruned' or 'active'. Received: part={part!r}")
    structure = Structure.of(ticket)
    shown = structure.active if part == "active" else np.ones(structure.graph.size, bool)
    categories = _categories(structure)
    network: nx.DiGraph = nx.DiGraph()
    for group in structure.graph.groups:
        for node in range(group.start, group.stop):
            if shown[node]:
                network.add_node(node, layer=group.name, index=node - group.start, category=categories[node])
    sums = {name: _sums(ticket, structure, name) for name in ticket.snapshots}
    for n, link in enumerate(structure.graph.links):
        network.add_edges_from(_edges(structure, link, {name: of[n] for name, of in sums.items()}, shown))
    return network


def save_graphml(ticket: "Ticket", path: str | Path, part: Part = "unpruned") -> Path:
    """Write the network of a ticket as a GraphML file, which Gephi, yEd, Cytoscape and networkx read.

    Args:
        ticket: a ticket whose model can be followed.
        path: the file to write. An existing file is replaced, and missing folders are created.
        part: `unpruned` for all neurons and all kept weights; `active` for only those on a path from an input
            to an output.

    Returns:
        The path of the file.

    Raises:
        TicketError: `part` has another value, the model has a layer that cannot be followed, or the file
            cannot be written.

    Example:
        >>> import tempfile, networkx
        >>> from kerastickets.testing import toy_ticket
        >>> path = save_graphml(toy_ticket(), tempfile.mkdtemp() + "/ticket.graphml")
        >>> networkx.read_graphml(path, node_type=int).number_of_nodes()
        80
    """
    import networkx as nx

    network = to_networkx(ticket, part)
    for _, _, edge in network.edges(data=True):
        if "index" in edge:  # GraphML has no tuples
            edge["index"] = ",".join(map(str, edge["index"]))
    content = io.BytesIO()
    nx.write_graphml_xml(network, content)
    ticketfile.write(Path(path), content.getvalue())
    return Path(path)


def _categories(structure: Structure) -> list[str]:
    fed, needed, linked = structure.fed, structure.needed, structure.linked
    names = np.select([~linked, ~needed, ~fed], ["isolated", "inactive", "zombie"], "active")
    return [str(name) for name in names]


@sound_architecture()
def _sums(ticket: "Ticket", structure: Structure, snapshot: str) -> list[tuple[Link, Link]]:
    """For each link, two copies: one holds sums of kept weights, one holds sums of their absolute values."""
    weights, plan = ticket.weights(snapshot), layer_graph(ticket.architecture)
    shapes = {key: value.shape for key, value in weights.items()}
    keys = {link.key for link in structure.graph.links if link.key is not None}
    kept = {key: np.asarray(weights[key] * ticket.masks.get(key, np.True_), "float64") for key in keys}
    signed = Tracer(kept, shapes, plan).graph().links
    absolute = Tracer({key: np.abs(value) for key, value in kept.items()}, shapes, plan).graph().links
    return list(zip(signed, absolute, strict=True))


def _edges(
    structure: Structure, link: Link, sums: Mapping[str, tuple[Link, Link]], shown: np.ndarray
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The edges of one link between nodes marked in `shown`, as (source, target, attributes)."""
    rows, kept = _merged(link)
    one_place = len(rows) == len(link.rows)
    suffix = "" if one_place and link.size == 1 else "_l1"
    values = {f"{name}{suffix}": _merged(both[bool(suffix)])[1] for name, both in sums.items()}
    for place in zip(*np.nonzero(kept), strict=True):
        source, target = int(rows[place[0]]), int(link.cols[place[-1]])
        if not (shown[source] and shown[target]):
            continue
        edge: dict[str, Any] = {"category": _category(structure, source, target)}
        if link.key is not None:
            edge |= {"key": link.key, "weights": int(kept[place])}
            edge |= {name: float(value[place]) for name, value in values.items()}
            if one_place:
                edge["index"] = _index(link, place)
        yield source, target, edge


def _merged(link: Link) -> tuple[np.ndarray, np.ndarray]:
    """The source nodes of a link without repeats, and the kept weights summed per node."""
    if link.paired or len(link.rows) == len(rows := np.unique(link.rows)):
        return link.rows, link.kept
    kept = np.zeros((len(rows), len(link.cols)), np.int64 if link.kept.dtype == bool else link.kept.dtype)
    np.add.at(kept, np.searchsorted(rows, link.rows), link.kept)
    return rows, kept


def _category(structure: Structure, source: int, target: int) -> str:
    if not structure.needed[target]:
        return "inactive"
    return "active" if structure.fed[source] else "zombie"


def _index(link: Link, place: tuple[np.integer, ...]) -> tuple[int, ...]:
    """Turn a position in a link into one in the kernel. Groups of a convolution share the input axis."""
    if link.paired:
        return (int(place[0]),)
    return int(place[0]), int(place[1]) + link.part * len(link.cols)
