"""Measure whether a ticket has separated into subnetworks that each serve one task."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from kerastickets.data.dataset import Task
from kerastickets.errors import DataError, TicketError
from kerastickets.structure.reachability import Structure, mark_sources, mark_targets

#: The features that count: inputs and outputs, or only one side.
Counts = Literal["both", "inputs", "outputs"]


class Tasked(Protocol):
    """The part of a data set that this module uses: name, tasks, and numbers of inputs and outputs."""

    @property
    def name(self) -> str: ...
    @property
    def tasks(self) -> Mapping[str, Task]: ...
    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def outputs(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Sides:
    """The nodes of each task's features in a ticket's network.

    Args:
        tasks: the names of the tasks.
        inputs: for each task, its input nodes.
        outputs: for each task, its output nodes.
    """

    tasks: tuple[str, ...]
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, structure: Structure, data: Tasked | None) -> "Sides":
        """Find the nodes of each task's inputs and outputs.

        Raises:
            DataError: there is no data set, or it names no tasks.
            TicketError: the network and the data set differ in the number of inputs or outputs.
        """
        if data is None or not data.tasks:
            received = "none" if data is None else f"'{data.name}', which has a single task"
            raise DataError(
                "Separation needs a data set with several tasks, such as moons-circles or mnist-fashion. "
                f"Received: {received}. Name one with `--dataset`, or with `data=` in Python."
            )
        graph = structure.graph
        ins, outs = np.concatenate(graph.inputs), np.concatenate(graph.outputs)
        expected = int(np.prod(data.input_shape)), data.outputs
        if (len(ins), len(outs)) != expected:
            raise TicketError(
                f"The ticket's network must have the {expected[0]} inputs and {expected[1]} outputs of data set "
                f"'{data.name}'. Received: {len(ins)} and {len(outs)}."
            )
        return cls(
            tuple(data.tasks),
            tuple(np.unique(ins[list(task.inputs)]) for task in data.tasks.values()),
            tuple(np.unique(outs[list(task.outputs)]) for task in data.tasks.values()),
        )

    def counted(self, counts: Counts) -> list[np.ndarray]:
        """For each task, the nodes of its features that count."""
        sides = {"both": (self.inputs, self.outputs), "inputs": (self.inputs,), "outputs": (self.outputs,)}
        return [np.concatenate(parts) for parts in zip(*sides[counts], strict=True)]


def separation(structure: Structure, data: Tasked | None, counts: Counts = "both") -> dict[str, Any]:
    """Measure how a ticket's subnetworks cover the tasks of its data.

    A ticket is *degraded* if a feature that counts lies in no subnetwork. Otherwise it is *separated* if no
    subnetwork holds features of two tasks. Otherwise it is *interconnected*.

    Args:
        structure: the structure of the ticket.
        data: a data set that names its tasks.
        counts: the features that count: `both` (inputs and outputs), `inputs` or `outputs`.

    Returns:
        A JSON-ready dict:

        - `category`: `degraded`, `separated` or `interconnected`;
        - `as_published`: the category by the rule of the thesis; `undecided` if that rule does not decide;
        - `subnetworks`: the number of subnetworks;
        - `coverage_inputs`, `coverage_outputs`: one row per subnetwork, one column per task: the fraction of
          the task's inputs (outputs) that lie in the subnetwork, in [0, 1];
        - `coverage`: the matrix for the side that counts; for `both`, the product of the two, entry by entry;
        - `tasks`: the names of the tasks;
        - `separations_needed`: for each subnetwork, the number of tasks that it touches minus one (at least
          0), summed over subnetworks;
        - `fragments`: the number of subnetworks minus the number of tasks.

    Raises:
        DataError: there is no data set, or it names no tasks.
        TicketError: the network and the data set differ in the number of inputs or outputs.

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 3.5.
    """
    sides = Sides.of(structure, data)
    components = structure.components
    number = int(components.max(initial=-1)) + 1
    inputs = _coverage(components, number, sides.inputs)
    outputs = _coverage(components, number, sides.outputs)
    coverage = {"both": inputs * outputs, "inputs": inputs, "outputs": outputs}[counts]
    features = sides.counted(counts)
    touched = np.array([np.bincount(components[own] + 1, minlength=number + 1)[1:] > 0 for own in features])
    lost = any((components[own] < 0).any() for own in features)
    tasks = touched.sum(0)
    category = "degraded" if lost else "separated" if tasks.max(initial=0) < 2 else "interconnected"
    return {
        "category": category,
        "as_published": _as_published(coverage),
        "subnetworks": number,
        "coverage": coverage.tolist(),
        "coverage_inputs": inputs.tolist(),
        "coverage_outputs": outputs.tolist(),
        "tasks": list(sides.tasks),
        "separations_needed": int(np.maximum(tasks - 1, 0).sum()),
        "fragments": number - len(sides.tasks),
    }


def _coverage(components: np.ndarray, number: int, tasks: tuple[np.ndarray, ...]) -> np.ndarray:
    counts = [np.bincount(components[own] + 1, minlength=number + 1)[1:] / len(own) for own in tasks]
    return np.stack(counts, axis=1)


def _as_published(coverage: np.ndarray) -> str:
    """The category by the rule of the thesis, from the coverage's sum and the number of subnetworks."""
    subnetworks, tasks = coverage.shape
    if not np.isclose(coverage.sum(), tasks):
        return "degraded"
    if subnetworks > tasks:
        return "undecided"
    return "separated" if subnetworks == tasks else "interconnected"


def separation_degree(structure: Structure, data: Tasked | None) -> dict[str, Any]:
    """Measure the fraction of each layer's neurons that belong to only one task.

    Seen from the outputs, a neuron belongs to a task if it reaches outputs of that task. Seen from the
    inputs, it belongs to a task if inputs of that task reach it. Neurons that belong to no task are left out.

    Args:
        structure: the structure of the ticket.
        data: a data set that names its tasks.

    Returns:
        A JSON-ready dict:

        - `layers`: per input and per layer with weights: its name `layer`; `neurons`, how many neurons belong
          to a task as seen from either end; and `from_outputs` and `from_inputs`, the fractions of neurons
          with only one task, in [0, 1], null if no neuron belongs to a task;
        - `total`: the same over all layers;
        - `tasks`: the names of the tasks.

    Raises:
        DataError: there is no data set, or it names no tasks.
        TicketError: the network and the data set differ in the number of inputs or outputs.

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 4.2.4.
    """
    sides = Sides.of(structure, data)
    graph = structure.graph
    forward, backward = list(structure.links), list(reversed(structure.links))
    tasks = {
        "from_outputs": _tasks(graph.size, sides.outputs, backward, mark_sources),
        "from_inputs": _tasks(graph.size, sides.inputs, forward, mark_targets),
    }
    neurons = [group for group in graph.groups if group.role != "joint"]
    layers = [{"layer": group.name} | _decided(tasks, group.nodes) for group in neurons]
    whole = np.concatenate([np.arange(group.start, group.stop) for group in neurons])
    return {"layers": layers, "total": _decided(tasks, whole), "tasks": list(sides.tasks)}


def _tasks(size: int, sides: tuple[np.ndarray, ...], links: list[Any], step: Any) -> np.ndarray:
    """How many tasks each node belongs to, found by following links from each task's features."""
    found = np.zeros(size, int)
    for features in sides:
        nodes = np.zeros(size, bool)
        nodes[features] = True
        for link in links:
            step(link, nodes)
        found += nodes
    return found


def _decided(tasks: Mapping[str, np.ndarray], nodes: slice | np.ndarray) -> dict[str, Any]:
    def shares() -> Iterator[tuple[str, float | None]]:
        for name, counts in tasks.items():
            own = counts[nodes]
            some = int((own > 0).sum())
            yield name, int((own == 1).sum()) / some if some else None

    reached = np.any([counts[nodes] > 0 for counts in tasks.values()], axis=0)
    return {"neurons": int(reached.sum())} | dict(shares())
