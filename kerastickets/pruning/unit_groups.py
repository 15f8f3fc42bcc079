"""Decide which weights a run by channels prunes together, and which it leaves alone.

`kerastickets.models.units` says which axis of a weight is a unit's. Here the graph of the model says which units make
one: channels that are added or multiplied elementwise, and the part of a depthwise kernel that takes a channel.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastickets.compaction.layer_calls import graph_of, plan_of
from kerastickets.cutting.groups import Groups, LayerUnits, UnitAxis
from kerastickets.foundations.tree import Tree
from kerastickets.models.units import model_units
from kerastickets.models.variables import variables
from kerastickets.structure.neuron_graph import NeuronGraph
from kerastickets.structure.unit_tracing import UnitTracer

_TIED = "its channels are joined with an input, an output or other channels that cannot go"


@dataclass(frozen=True, eq=False)
class UnitGroups:
    """What a run by channels prunes.

    Args:
        groups: the units of each weight that is pruned.
        left_alone: the other weights, and why each is left alone.
    """

    groups: Groups
    left_alone: Mapping[str, str]

    @classmethod
    def of(cls, model: Any, masks: Tree, spared: Collection[str] = ()) -> "UnitGroups":
        """Find the groups of a live model.

        Args:
            model: a built model.
            masks: the weights to prune, by key.
            spared: keys among them that the run leaves alone for a reason of its own. Units with a part in them stay.
        """
        found = model_units(model, masks.keys())
        own = {key: tuple(variable.shape) for key, variable in variables(model).items()}
        ties = _Ties(model, found.layers, found.followers, own)
        for units in found.layers:
            if any(key in spared for key in units.axes):
                ties.fix(units)
        numbers, fixed = ties.numbers()
        groups: dict[str, tuple[UnitAxis, ...]] = {}
        for units in found.layers:
            names = np.where(fixed[numbers[ties.units(units)]], -1, numbers[ties.units(units)])
            for key, axes in units.axes.items():
                if key in masks or units.stateful:
                    groups[key] = tuple(UnitAxis(axis.axis, names[axis.units]) for axis in axes)
        for key, nodes in ties.followed.items():
            names = np.where(fixed[numbers[nodes]], -1, numbers[nodes])
            groups[key] = (UnitAxis(found.followers[key], names),)
        free = {key for key, axes in groups.items() if any((axis.units >= 0).any() for axis in axes)}
        free -= set(spared)
        why = {key: found.unknown.get(key, _TIED) for key in masks.keys() - free - set(spared)}
        return cls({key: groups[key] for key in sorted(free)}, dict(sorted(why.items())))

    def warn(self) -> None:
        """Say which weights are left alone."""
        if self.left_alone:
            shown = "; ".join(f"{key}: {why}" for key, why in self.left_alone.items())
            warnings.warn(
                f"Channels of {len(self.left_alone)} weights are not pruned, because their units are not known or "
                f"cannot go. {shown}. Prune them with granularity=weight, or exclude them.",
                RuntimeWarning,
                stacklevel=2,
            )


class _Ties:
    """Numbers units and nodes of the graph, and finds which belong together. Nodes come after all units."""

    def __init__(
        self,
        model: Any,
        layers: Sequence[LayerUnits],
        followers: Mapping[str, int],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        starts = np.cumsum([0, *(units.count for units in layers)])
        self._start = {id(units): int(start) for units, start in zip(layers, starts, strict=False)}
        self._nodes = int(starts[-1])
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._fixed: list[np.ndarray] = []
        #: For each follower the number of the node of each of its parts.
        self.followed: dict[str, np.ndarray] = {}
        self._size = self._nodes
        if graph_of(model) is not None:
            plan = plan_of(model)
            graph = UnitTracer({}, shapes, plan, layers).graph()
            self._size += graph.size
            self._read(graph, [*self._made(plan, graph, layers)], followers, shapes)

    def units(self, units: LayerUnits) -> np.ndarray:
        """The numbers of the units of a layer."""
        return np.arange(units.count) + self._start[id(units)]

    def fix(self, units: LayerUnits) -> None:
        """Let the units of a layer stay, and all that belongs to them."""
        self._fixed.append(self.units(units))

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of the group of each unit and node, and which groups stay."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        ends = np.concatenate(self._pairs, axis=1) if self._pairs else np.zeros((2, 0), int)
        ties = coo_array((np.ones(ends.shape[1], bool), tuple(ends)), shape=(self._size, self._size))
        numbers = np.asarray(connected_components(ties, directed=False)[1])
        fixed = np.zeros(self._size, bool)
        for some in self._fixed:
            fixed[numbers[some]] = True
        return numbers, fixed

    def _made(
        self, plan: Any, graph: NeuronGraph, layers: Sequence[LayerUnits]
    ) -> Iterator[tuple[LayerUnits, np.ndarray]]:
        """The layers whose units are the channels of an operation's output, and the nodes of these channels."""
        for op in plan.ops:
            name = "/".join(op.path)
            own = [one for one in layers if one.layer == name or one.layer.startswith(f"{name}/")]
            nodes = graph.tensors[op.output]
            if len(own) == 1 and own[0].channels and own[0].count == len(nodes):
                yield own[0], nodes

    def _read(
        self,
        graph: NeuronGraph,
        made: Sequence[tuple[LayerUnits, np.ndarray]],
        followers: Mapping[str, int],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        derived = np.zeros(graph.size, bool)
        for units, nodes in made:
            derived[nodes] = True
            self._pairs.append((self.units(units), nodes + self._nodes))
        for link in graph.links:
            if link.paired:
                derived[link.cols] = True
                self._pairs.append((link.rows + self._nodes, link.cols + self._nodes))
            key = str(link.key)
            if key in followers and link.paired:
                # The channels of the input, each as often as it has outputs.
                nodes = link.rows.reshape(shapes[key][followers[key]], -1)[:, 0] + self._nodes
                self._pairs.append((self.followed.setdefault(key, nodes), nodes))
        self._fixed.append(np.flatnonzero(~derived | graph.is_output) + self._nodes)
