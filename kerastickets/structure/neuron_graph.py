"""Represent a ticket's network as nodes (neurons and channels) and links (the weights between them).

A node is a neuron of a dense layer, a channel of a convolution, or a feature (or channel) of an input. A link
belongs to one call of a layer. It says how many weights are kept from each of its source nodes to each of its
target nodes. Layers that keep channels apart (activations, BatchNorm, pooling) make no nodes: their outputs
have the nodes of their inputs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

# If fewer than one weight in this many is kept, a list of positions takes less memory than booleans.
_FEW = 16


@dataclass(frozen=True, eq=False)
class LayerNodes:
    """The nodes that one layer makes.

    Args:
        name: the layer, as its keys name it. An input is called `input`, or `input_0`, `input_1` ... if there
            are several.
        start: the number of its first node.
        stop: the number after its last node.
        role: `input` for inputs; `weights` for nodes with incoming weights; `joint` for nodes that join other
            nodes without weights, as in an addition.
    """

    name: str
    start: int
    stop: int
    role: str

    @property
    def nodes(self) -> slice:
        """A slice that selects its nodes from an array over all nodes."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, eq=False)
class Link:
    """The connections that one call of a layer makes between nodes.

    Args:
        key: the key of the kernel; None if nodes are joined without weights.
        rows: the source nodes. A node may appear more than once.
        cols: the target nodes.
        kept: the number of kept weights per pair of nodes. Its shape is `(rows, cols)`, or `(rows,)` if row n
            leads only to column n. Booleans if there is one weight per pair.
        size: the number of weights per pair of nodes, kept or not.
        part: the number of the group, from 0, if the layer is a grouped convolution; else 0.
        axis: the kernel axis of the target nodes: -1, or -2 for a transposed convolution.
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
        """Whether row n leads only to column n."""
        return self.kept.ndim == 1

    def narrowed(self) -> "Link":
        """An equal link in paired form if few weights are kept, which is faster to search; else this link."""
        if self.paired or np.count_nonzero(self.kept) * _FEW > self.kept.size:
            return self
        flat = np.flatnonzero(self.kept)
        above, left = np.divmod(flat, max(self.kept.shape[1], 1))
        kept = self.kept.ravel()[flat]
        return replace(self, rows=self.rows[above], cols=self.cols[left], kept=kept)

    def pairs(self, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The source and target nodes of kept connections from nodes in `rows` to nodes in `cols`.

        Args:
            rows: booleans over all nodes: the sources to include.
            cols: booleans over all nodes: the targets to include.

        Returns:
            Two arrays of equal length: source and target of each connection.
        """
        if self.paired:
            chosen = rows[self.rows] & cols[self.cols] & (self.kept > 0)
            return self.rows[chosen], self.cols[chosen]
        ours, theirs = np.flatnonzero(rows[self.rows]), np.flatnonzero(cols[self.cols])
        part = self.kept if len(ours) == len(self.rows) else self.kept[ours]
        part = part if len(theirs) == len(self.cols) else part[:, theirs]
        # `flatnonzero` makes one number per weight; `nonzero` would make two, which is 16 bytes per weight.
        flat = np.flatnonzero(part)
        above, left = np.divmod(flat, max(part.shape[1], 1))
        return self.rows[ours[above]], self.cols[theirs[left]]


def by_key(links: Iterable[Link], keys: Collection[str]) -> dict[str, list[Link]]:
    """Group links by key, for the keys in `keys`: one link per call of the layer and part of its weights."""
    found: dict[str, list[Link]] = {}
    for link in links:
        if link.key in keys:
            found.setdefault(str(link.key), []).append(link)
    return found


@dataclass(frozen=True, eq=False)
class NeuronGraph:
    """A ticket's network.

    Args:
        groups: the layers, in the order in which they run. Their nodes are numbered from 0 without gaps.
        links: all links, in the order in which they run. All links to a node come before all links from it.
        inputs: for each input tensor, the node of every position of one flattened example.
        outputs: for each output tensor, its nodes.
        tensors: by tensor number in the layer graph: the nodes of the tensor's last axis. If they repeat for
            every position, as after a Flatten, each is listed once.
        held: for each operation that could not be followed: its input and output nodes, by a text that names
            the operation and the reason. Only a `UnitTracer` finds any.
        axes: the axis of the nodes, counted from the last as -1, of each tensor whose nodes are not on its last axis.

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
    axes: Mapping[int, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of nodes."""
        return self.groups[-1].stop if self.groups else 0

    @cached_property
    def is_input(self) -> np.ndarray:
        """Booleans over all nodes: which are inputs."""
        return self._marked(self.inputs)

    @cached_property
    def is_output(self) -> np.ndarray:
        """Booleans over all nodes: which are outputs."""
        return self._marked(self.outputs)

    def _marked(self, nodes: Sequence[np.ndarray]) -> np.ndarray:
        marked = np.zeros(self.size, bool)
        for some in nodes:
            marked[some] = True
        return marked
