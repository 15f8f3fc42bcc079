"""Whether a ticket has come apart into subnetworks of its own for each task."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from kerastickets.data.dataset import Task
from kerastickets.errors import DataError, TicketError
from kerastickets.structure.reachability import Structure, mark_sources, mark_targets

#: Which features count: inputs and outputs, or one side only.
Counts = Literal["both", "inputs", "outputs"]


class Tasked(Protocol):
    """What is asked of a data set: its `name`, its `tasks` and how many inputs and outputs it has."""

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
        """Find the features of the tasks of a data set.

        Raises:
            DataError: no data set, or one that names no tasks.
            TicketError: the network has not the data set's inputs and outputs.
        """
        if data is None or not data.tasks:
            received = "none" if data is None else f"'{data.name}', which has a single task"
            raise DataError(
                "Separation is about a data set of several tasks, such as moons-circles or mnist-fashion. "
                f"Received: {received}. Name one by `--dataset`, or `data=` in Python."
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
        """For each task, the nodes of the features that count."""
        sides = {"both": (self.inputs, self.outputs), "inputs": (self.inputs,), "outputs": (self.outputs,)}
        return [np.concatenate(parts) for parts in zip(*sides[counts], strict=True)]


def separation(structure: Structure, data: Tasked | None, counts: Counts = "both") -> dict[str, Any]:
    """How a ticket's subnetworks cover the tasks of its data.

    A ticket is *degraded* where a feature that counts lies in no subnetwork, else *separated* where no
    subnetwork holds features of two tasks, else *interconnected*.

    Args:
        structure: of the ticket.
        data: a data set that names its tasks.
        counts: the features that count: `both` sides, `inputs` or `outputs`.

    Returns:
        `category`; `as_published`, the thesis's own verdict (`undecided` where its rule says nothing);
        `subnetworks`, how many there are; `coverage`, `coverage_inputs` and `coverage_outputs`, a row a
        subnetwork and a column a task, the share of the task's features that lie in it; `tasks`;
        `separations_needed`, the sum over subnetworks of the tasks they touch less one; `fragments`,
        subnetworks less tasks.

    Raises:
        DataError: the data set names no tasks.
        TicketError: the network has other inputs or outputs.

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
    """The thesis's rule: by the sum of the coverage matrix and the number of subnetworks."""
    subnetworks, tasks = coverage.shape
    if not np.isclose(coverage.sum(), tasks):
        return "degraded"
    if subnetworks > tasks:
        return "undecided"
    return "separated" if subnetworks == tasks else "interconnected"


def separation_degree(structure: Structure, data: Tasked | None) -> dict[str, Any]:
    """The share of each layer's neurons that belong to one task, seen from either end.

    A neuron is decided from the outputs where it reaches outputs of one task only, from the inputs where
    inputs of one task only reach it; undecided where of several. Those of no task are left out.

    Args:
        structure: of the ticket.
        data: a data set that names its tasks.

    Returns:
        `layers`: `layer`, `neurons` (how many reach or are reached), `from_outputs`, `from_inputs`, each in
        [0, 1], null where no neuron is of any task; `total`, the same over all of them.

    Raises:
        DataError: the data set names no tasks.
        TicketError: the network has other inputs or outputs.

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
    """How many tasks each node is of, going over links from the features of each."""
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
