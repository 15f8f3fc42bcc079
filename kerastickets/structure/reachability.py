"""Classify a ticket's weights and neurons by whether they lie on a path from an input to an output.

- Active: on a path from an input to an output.
- Inactive: no path leads from it to an output.
- Zombie: a path leads to an output, but none comes from an input, so it only adds a constant.
- Pruned (weights): not kept.
- Isolated (neurons): no kept weight on either side.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.structure.neuron_graph import Link, NeuronGraph, by_key
from kerastickets.structure.tracing import trace

if TYPE_CHECKING:
    from kerastickets.tickets.ticket import Ticket

# Connections per step of the component search: few enough to take little memory compared with the masks.
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class Structure:
    """Which nodes of a ticket's network can be reached from its inputs and outputs.

    Args:
        graph: the network.
        links: its links, each as `Link.narrowed` returns it.
        masks: the ticket's masks by key.
        fed: booleans over all nodes: a path from an input leads to the node. True for inputs.
        needed: booleans over all nodes: a path from the node leads to an output. True for outputs.
        linked: booleans over all nodes: the node has a kept weight, or a connection without weights, on
            either side.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> structure = Structure.of(toy_ticket())
        >>> int(structure.active[structure.graph.groups[1].nodes].sum())  # of the six hidden neurons
        6

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 3.4.2.
    """

    graph: NeuronGraph
    links: tuple[Link, ...]
    masks: Mapping[str, np.ndarray]
    fed: np.ndarray
    needed: np.ndarray
    linked: np.ndarray

    @classmethod
    def of(cls, ticket: "Ticket") -> "Structure":
        """The structure of a ticket.

        Raises:
            TicketError: the model has a layer that cannot be followed. The message names it.
        """
        return cls.of_graph(trace(ticket), ticket.masks)

    @classmethod
    def of_graph(cls, graph: NeuronGraph, masks: Mapping[str, np.ndarray]) -> "Structure":
        """The structure of a graph that was traced with these masks."""
        links = tuple(link.narrowed() for link in graph.links)
        fed, needed = graph.is_input.copy(), graph.is_output.copy()
        linked = np.zeros(graph.size, bool)
        for link in links:
            mark_targets(link, fed)
            rows, cols = _ends(link)
            linked[rows] = linked[cols] = True
        for link in reversed(links):
            mark_sources(link, needed)
        return cls(graph, links, masks, fed, needed, linked)

    @property
    def active(self) -> np.ndarray:
        """Booleans over all nodes: which are on a path from an input to an output."""
        return self.fed & self.needed

    @cached_property
    def weights(self) -> dict[str, dict[str, int]]:
        """Per key with a mask: how many weights are active, inactive, zombie and pruned."""
        return {key: self._counted(key, own) for key, own in by_key(self.links, self.masks).items()}

    def _counted(self, key: str, links: list[Link]) -> dict[str, int]:
        size = self.masks[key].size
        kept = int(np.count_nonzero(self.masks[key]))
        found = [self._of_calls(calls) for calls in _calls(links)]
        active, zombie = sum(one for one, _ in found), sum(one for _, one in found)
        return {"active": active, "inactive": kept - active - zombie, "zombie": zombie, "pruned": size - kept}

    def _of_calls(self, calls: list[Link]) -> tuple[int, int]:
        """Count active and zombie weights over all calls of a layer. Active in any call counts as active."""
        if len(calls) == 1:
            return total(calls[0], self.fed, self.needed), total(calls[0], ~self.fed, self.needed)
        kept = calls[0].kept
        fed = np.zeros(kept.shape, bool)
        dead = np.zeros(kept.shape, bool)
        for link in calls:
            rows, needed = self.fed[link.rows], self.needed[link.cols]
            fed |= rows & needed if link.paired else rows[:, None] & needed
            dead |= ~rows & needed if link.paired else ~rows[:, None] & needed
        return int(kept[fed].sum()), int(kept[dead & ~fed].sum())

    @cached_property
    def components(self) -> np.ndarray:
        """The number of each node's subnetwork; -1 for nodes that are not active.

        Subnetworks are the connected components of the active nodes and the kept connections between them.
        They are numbered from 0, in the order of their first nodes.
        """
        labels = np.arange(self.graph.size, dtype=np.int32)
        for block in _gathered(self._pairs()):
            labels = _united(labels, *np.concatenate(block, axis=1))
        labels = np.where(self.active, labels, -1)
        names, first = np.unique(labels, return_index=True)
        own = names >= 0
        order = np.full(self.graph.size + 1, -1)
        order[names[own][np.argsort(first[own])]] = np.arange(own.sum())
        return order[labels]

    def _pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The source and target nodes of kept connections between active nodes, in blocks."""
        active = self.active
        for link in self.links:
            rows = max(1, _BLOCK // max(1, len(link.cols))) if not link.paired else _BLOCK
            for start in range(0, len(link.rows), rows):
                part = slice(start, start + rows)
                cols = link.cols[part] if link.paired else link.cols
                yield Link(link.key, link.rows[part], cols, link.kept[part]).pairs(active, active)

    def neurons(self) -> list[dict[str, Any]]:
        """Per input and layer with weights: how many neurons are active, inactive, zombie and isolated."""
        return [
            {"layer": group.name} | self._neurons(group.nodes)
            for group in self.graph.groups
            if group.role != "joint"
        ]

    def _neurons(self, nodes: slice) -> dict[str, int]:
        fed, needed, linked = self.fed[nodes], self.needed[nodes], self.linked[nodes]
        return {
            "active": int((linked & fed & needed).sum()),
            "inactive": int((linked & ~needed).sum()),
            "zombie": int((linked & needed & ~fed).sum()),
            "isolated": int((~linked).sum()),
        }

    def facts(self) -> dict[str, Any]:
        """The facts that the analyzer `structure` reports: counts of weights and neurons by category.

        `shares` are fractions of the unpruned weights, `dead_inputs` counts inputs that are not active, and
        `effective` is the number of active weights.
        """
        layers = [{"key": key} | counts for key, counts in self.weights.items()]
        names = ("active", "inactive", "zombie", "pruned")
        totals = {name: sum(layer[name] for layer in layers) for name in names}  # type: ignore[misc]
        unpruned = totals["active"] + totals["inactive"] + totals["zombie"]
        return {
            "layers": layers,
            "totals": totals,
            "neurons": self.neurons(),
            "shares": {name: totals[name] / unpruned if unpruned else 0.0 for name in names[:3]},
            "dead_inputs": int((self.graph.is_input & ~self.active).sum()),
            "effective": totals["active"],
        }


def mark_targets(link: Link, nodes: np.ndarray) -> None:
    """Mark in `nodes`, booleans over all nodes, the nodes that a link leads to from marked nodes."""
    if link.paired:
        nodes[link.cols[nodes[link.rows] & (link.kept > 0)]] = True
        return
    from_ = nodes[link.rows]
    part = link.kept if from_.all() else link.kept[from_]
    nodes[link.cols[part.any(0)]] = True


def mark_sources(link: Link, nodes: np.ndarray) -> None:
    """Mark in `nodes`, booleans over all nodes, the nodes from which a link leads to marked nodes."""
    if link.paired:
        nodes[link.rows[nodes[link.cols] & (link.kept > 0)]] = True
        return
    to = nodes[link.cols]
    part = link.kept if to.all() else link.kept[:, to]
    nodes[link.rows[part.any(1)]] = True


def total(link: Link, rows: np.ndarray, cols: np.ndarray) -> int:
    """The number of kept weights from nodes marked in `rows` to nodes marked in `cols`."""
    from_, to = rows[link.rows], cols[link.cols]
    if link.paired:
        return int(link.kept[from_ & to].sum())
    part = link.kept if from_.all() else link.kept[from_]
    part = part if to.all() else part[:, to]
    return int(np.count_nonzero(part) if part.dtype == bool else part.sum())


def _ends(link: Link) -> tuple[np.ndarray, np.ndarray]:
    """The source nodes and the target nodes of the connections that a link keeps."""
    if link.paired:
        return link.rows[link.kept > 0], link.cols[link.kept > 0]
    return link.rows[link.kept.any(1)], link.cols[link.kept.any(0)]


def _calls(links: list[Link]) -> list[list[Link]]:
    """Group the links of one key by part. Several calls of a shared layer use the same part."""
    parts: dict[int, list[Link]] = {}
    for link in links:
        parts.setdefault(link.part, []).append(link)
    return list(parts.values())


def _gathered(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[list[Any]]:
    """Collect short blocks of pairs into longer ones, because each search step has a fixed cost."""
    waiting: list[Any] = []
    for some in pairs:
        waiting.append(some)
        if sum(len(rows) for rows, _ in waiting) >= _BLOCK // 2:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _united(labels: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """New labels, in which the nodes at both ends of every given connection have the same label."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(rows):
        return labels
    ones = np.ones(len(rows), np.int8)
    links = coo_array((ones, (labels[rows], labels[cols])), shape=(len(labels), len(labels)))
    return connected_components(links, directed=False)[1][labels]
