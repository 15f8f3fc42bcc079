"""A ticket's network as nodes and links: neurons and channels, and the weights between them.

A node is a neuron of a dense layer, a channel of a convolution, a feature (or channel) of an input. A link is
what one call of a layer puts between two lists of nodes: how many weights are kept from each node to each.
Layers that keep channels apart (activations, BatchNorm, pooling) hand on the nodes of what they take.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

# Below one weight in so many, their places take less memory than booleans for all.
_FEW = 16


@dataclass(frozen=True, eq=False)
class LayerNodes:
    """The nodes that one layer makes.

    Args:
        name: the layer, as its keys name it; an input is `input`, or `input_0`, `input_1` ...
        start: its first node.
        stop: the node after its last.
        role: `input`; `weights`, where nodes have incoming weights; `joint`, where they join others by
            adding, or what else needs no weights.
    """

    name: str
    start: int
    stop: int
    role: str

    @property
    def nodes(self) -> slice:
        """Its nodes, to index arrays over all nodes with."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, eq=False)
class Link:
    """What one call of a layer puts between nodes.

    Args:
        key: the weight; None where nodes are joined without weights.
        rows: the nodes it leads from; a node may be there more than once.
        cols: the nodes it leads to.
        kept: weights that are kept: `(rows, cols)`, or `(rows,)` where row n leads to column n alone.
            Booleans where there is one weight from node to node.
        size: weights of the key from a node to a node.
        part: which part of the key's weights, where a grouped convolution has several.
        axis: of the key's weights, the one that leads to the columns: -2 of a transposed convolution.
    """

    key: str | None
    rows: np.ndarray
    cols: np.ndarray
    kept: np.ndarray
    size: int = 1
    part: int = 0
    axis: int = -1

    @property
    def paired(self) -> bool:
        """Whether row n leads to column n alone."""
        return self.kept.ndim == 1

    def narrowed(self) -> "Link":
        """The same from row to row alone where few weights are kept: quicker to go through than a matrix."""
        if self.paired or np.count_nonzero(self.kept) * _FEW > self.kept.size:
            return self
        flat = np.flatnonzero(self.kept)
        above, left = np.divmod(flat, max(self.kept.shape[1], 1))
        kept = self.kept.ravel()[flat]
        return replace(self, rows=self.rows[above], cols=self.cols[left], kept=kept)

    def pairs(self, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nodes at both ends of what is kept between nodes chosen by booleans over all nodes."""
        if self.paired:
            chosen = rows[self.rows] & cols[self.cols] & (self.kept > 0)
            return self.rows[chosen], self.cols[chosen]
        ours, theirs = np.flatnonzero(rows[self.rows]), np.flatnonzero(cols[self.cols])
        part = self.kept if len(ours) == len(self.rows) else self.kept[ours]
        part = part if len(theirs) == len(self.cols) else part[:, theirs]
        # One number a weight instead of two: `nonzero` of a dense layer takes 16 bytes a weight.
        flat = np.flatnonzero(part)
        above, left = np.divmod(flat, max(part.shape[1], 1))
        return self.rows[ours[above]], self.cols[theirs[left]]


def by_key(links: Iterable[Link], keys: Collection[str]) -> dict[str, list[Link]]:
    """The links of each of `keys`, in their order: one for each call of its layer and part of its weights."""
    found: dict[str, list[Link]] = {}
    for link in links:
        if link.key in keys:
            found.setdefault(str(link.key), []).append(link)
    return found


@dataclass(frozen=True, eq=False)
class NeuronGraph:
    """A ticket's network.

    Args:
        groups: layers, in the order they run; their nodes are numbered from 0 on without gaps.
        links: in the order they run, so that all that leads to a node comes before what leads from it.
        inputs: for each input tensor, the node of every position of one flattened example.
        outputs: for each output tensor, its nodes.
        tensors: for each tensor by its number in the layer graph, the nodes of its last axis, once each where they are
            repeated for every position.
        held: the nodes that an operation takes and makes which could not be followed, by what it is and why.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> from kerastickets.structure.tracing import trace
        >>> graph = trace(toy_ticket())
        >>> [(group.name, group.stop - group.start) for group in graph.groups]
        [('input', 64), ('dense', 6), ('dense_1', 10)]
    """

    groups: tuple[LayerNodes, ...]
    links: tuple[Link, ...]
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    tensors: Mapping[int, np.ndarray]
    held: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of nodes."""
        return self.groups[-1].stop if self.groups else 0

    @cached_property
    def is_input(self) -> np.ndarray:
        """Which nodes are inputs."""
        return self._marked(self.inputs)

    @cached_property
    def is_output(self) -> np.ndarray:
        """Which nodes are outputs."""
        return self._marked(self.outputs)

    def _marked(self, nodes: Sequence[np.ndarray]) -> np.ndarray:
        marked = np.zeros(self.size, bool)
        for some in nodes:
            marked[some] = True
        return marked
