"""Prepare a network for a page: the data from which the page's script draws it, and a table of its numbers."""

from typing import Any

from kerastickets.figures.network import Edge, Network
from kerastickets.figures.network_layout import net_places
from kerastickets.figures.palette import DARK, LIGHT
from kerastickets.figures.table import Column, Table


def net_plot(network: Network) -> dict[str, Any]:
    """The data that the page's script draws a network from: positions, kinds, hover texts and colours of both themes.

    Example:
        >>> from kerastickets.figures.network import Neuron
        >>> plot = net_plot(Network("n", "N", (Neuron("dense", 3, "active", "moons"),), (), "One neuron."))
        >>> plot["kinds"], plot["neurons"][0]["text"]
        (['active, moons'], 'dense 3\\nactive, moons')
    """
    kinds = network.kinds()
    position = {kind: n for n, kind in enumerate(kinds)}
    names = _names(network)
    neurons = [
        {
            "x": round(x, 4),
            "y": round(y, 4),
            "kind": position[neuron.kind],
            "text": f"{name}\n{neuron.kind}",
        }
        for neuron, name, (x, y) in zip(network.neurons, names, net_places(network), strict=True)
    ]
    edges = [
        {
            "source": edge.source,
            "target": edge.target,
            "kind": position[network.kind(edge)],
            "text": _text(network, edge, names),
        }
        for edge in network.edges
    ]
    linked = [neuron.layer for neuron in network.neurons if neuron.category != "isolated"]
    return {
        "kind": "network",
        "layers": network.layers,
        "kinds": list(kinds),
        "neurons": neurons,
        "edges": edges,
        "tallest": max(map(linked.count, network.layers), default=0),
        "light": [LIGHT.series[slot] for slot in kinds.values()],
        "dark": [DARK.series[slot] for slot in kinds.values()],
    }


def net_data(network: Network) -> Table:
    """A table of the edges of a network."""
    names = _names(network)
    columns = (
        Column("from"),
        Column("to"),
        Column("category"),
        Column("key"),
        Column("weight", format=".4g"),
        Column("weights"),
    )
    rows = [
        {
            "from": names[edge.source],
            "to": names[edge.target],
            "category": network.kind(edge),
            "key": edge.key,
            "weight": edge.weight,
            "weights": edge.weights,
        }
        for edge in network.edges
    ]
    return Table(network.name, network.title, columns, tuple(rows))


def _names(network: Network) -> list[str]:
    return [f"{neuron.layer} {neuron.index}" for neuron in network.neurons]


def _text(network: Network, edge: Edge, names: list[str]) -> str:
    what = f"sum of {edge.weights} magnitudes" if edge.weights > 1 else "weight"
    value = "" if edge.weight is None else f"\n{what}: {edge.weight:.4g}"
    ends = f"{names[edge.source]} to {names[edge.target]}"
    return f"{ends}\n{edge.key or 'no weight'}, {network.kind(edge)}{value}"
