"""Place the neurons of a network: one column per layer, few crossings, isolated neurons apart."""

import math
from collections.abc import Sequence

from kerastickets.figures.network import Network

#: How many times neurons are sorted by the positions of their neighbours.
_SWEEPS = 4
#: For isolated neurons: the top of their block, the distance between its rows, and the most height it takes.
#: The height of a column is 1.
_BELOW, _ROW, _MOST = 1.1, 0.035, 0.2


def net_places(network: Network) -> list[tuple[float, float]]:
    """The position `(x, y)` of each neuron.

    `x` is the neuron's column, from 0. `y` is 0 at the top and 1 at the bottom.

    The groups of active neurons stand one above the other. Zombies follow below them, then inactive neurons.
    Isolated neurons form a block below the column, at `y` above 1. Within each group, neurons stand near the
    neurons they are linked with.

    Example:
        >>> from kerastickets.figures.network import Edge, Neuron
        >>> neurons = tuple(Neuron(layer, n, "active") for layer in "ab" for n in (0, 1))
        >>> crossed = (Edge(0, 3, "active"), Edge(1, 2, "active"))
        >>> net_places(Network("n", "N", neurons, crossed, "Two lines."))
        [(0.0, 0.25), (0.0, 0.75), (1.0, 0.75), (1.0, 0.25)]
    """
    columns = _columns(network)
    near = _neighbours(network)
    ranks = _ranks(network)
    y: dict[int, float] = {}
    linked = [[n for n in column if network.neurons[n].category != "isolated"] for column in columns]
    tallest = max(map(len, linked), default=0)
    for column in linked:
        y |= _spaced(sorted(column, key=lambda n: (ranks[n], network.neurons[n].index)), tallest)
    for sweep in range(_SWEEPS):
        for column in linked if sweep % 2 else reversed(linked):
            y |= _spaced(sorted(column, key=lambda n: (ranks[n], _mean(near[n], y), y[n])), tallest)
    places = {n: (float(x), y[n]) for x, column in enumerate(linked) for n in column}
    for x, (column, own) in enumerate(zip(columns, linked, strict=True)):
        places |= _block([n for n in column if n not in set(own)], x)
    return [places[n] for n in range(len(network.neurons))]


def _columns(network: Network) -> list[list[int]]:
    columns: dict[str, list[int]] = {}
    for n, neuron in enumerate(network.neurons):
        columns.setdefault(neuron.layer, []).append(n)
    return list(columns.values())


def _neighbours(network: Network) -> list[list[int]]:
    near: list[list[int]] = [[] for _ in network.neurons]
    for edge in network.edges:
        near[edge.source].append(edge.target)
        near[edge.target].append(edge.source)
    return near


def _ranks(network: Network) -> list[int]:
    """The rank of each neuron from the top down: active groups (by first neuron), zombies, inactive."""
    groups = list(dict.fromkeys(neuron.kind for neuron in network.neurons if neuron.category == "active"))
    order = {kind: rank for rank, kind in enumerate([*groups, "zombie", "inactive", "isolated"])}
    return [order[neuron.kind] for neuron in network.neurons]


def _spaced(column: Sequence[int], tallest: int) -> dict[int, float]:
    """Positions evenly spaced around the middle. A short column has more room per neuron than the tallest."""
    height = math.sqrt(len(column) / tallest) if tallest else 0.0
    top = (1 - height) / 2
    return {n: top + height * (row + 0.5) / len(column) for row, n in enumerate(column)}


def _mean(near: Sequence[int], y: dict[int, float]) -> float:
    return sum(y[n] for n in near) / len(near) if near else 0.5


def _block(isolated: Sequence[int], x: int) -> dict[int, tuple[float, float]]:
    """Positions in rows below the column. Each row has enough neurons to keep the block low."""
    across = max(6, math.ceil(math.sqrt(3 * len(isolated))))
    rows = math.ceil(len(isolated) / across)
    row = min(_ROW, _MOST / max(1, rows))
    step = 0.56 / across
    wide = min(across, len(isolated)) - 1
    return {
        n: (x + step * (i % across - wide / 2), _BELOW + row * (i // across)) for i, n in enumerate(isolated)
    }
