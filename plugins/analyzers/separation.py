"""Analyzers that tell whether a ticket has separated into one subnetwork per task, and to what degree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from kerastickets.plugin import (
    Chart,
    Counts,
    Data,
    Heatmap,
    Series,
    Structure,
    Takes,
    Ticket,
    check_tickets,
    separation,
    separation_degree,
)


@dataclass(frozen=True)
class Separation:
    """Tell whether the tasks of a data set have separate subnetworks: interconnected, separated or degraded.

    Subnetworks are the connected components of the active part. Degraded: a feature that counts lies in no
    subnetwork. Separated: not degraded, and no subnetwork contains features of two tasks. Interconnected: all
    other tickets. `as_published` is the category by the thesis's own rule, which depends on the number of
    subnetworks.

    Args:
        counts: the features that count: `both` (inputs and outputs), `inputs` or `outputs`. Use `outputs` for
            images, for example, if no task needs their border.

    Raises:
        DataError: the data set has no named tasks.
        TicketError: the network's inputs or outputs do not fit the data set, or a layer cannot be traced.

    Example:
        >>> from kerastickets import prune
        >>> from kerastickets.plugin import data_of
        >>> run = prune("mlp:4-4", "moons-circles", levels=1, rate=0.1, train="1ep", jit="off")
        >>> Separation()(run.tickets[0], data=data_of("moons-circles"))["category"]
        'interconnected'

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 3.5.
    """

    counts: Counts = "both"
    takes: ClassVar[Takes] = Takes(1, 1)
    needs_data: ClassVar[bool] = True

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> Mapping[str, Any]:
        return separation(Structure.of(check_tickets(self, tickets)), data, self.counts)

    def figure(self, facts: Mapping[str, Any]) -> Heatmap:
        """A heat map of how much of each task each subnetwork covers."""
        rows = facts["coverage"] or [[0.0] * len(facts["tasks"])]
        names = [str(n) for n in range(1, len(facts["coverage"]) + 1)] or ["none"]
        features = {"both": "inputs x fraction of outputs", "inputs": "inputs", "outputs": "outputs"}
        return Heatmap(
            "coverage",
            f"Coverage of the tasks: {facts['category']}",
            facts["tasks"],
            names,
            rows,
            f"How much of {len(facts['tasks'])} tasks each of {facts['subnetworks']} subnetworks covers: "
            f"the network is {facts['category']}.",
            f"Fraction of the task's {features[self.counts]} in the subnetwork.",
            x_label="task",
            y_label="subnetwork",
            range=(0.0, 1.0),
        )


@dataclass(frozen=True)
class SeparationDegree:
    """The fraction of each layer's neurons that belong to one task, seen from the outputs and from the inputs.

    Raises:
        DataError: the data set has no named tasks.
        TicketError: the network's inputs or outputs do not fit the data set, or a layer cannot be traced.

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 4.2.4.
    """

    takes: ClassVar[Takes] = Takes(1, 1)
    needs_data: ClassVar[bool] = True

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> Mapping[str, Any]:
        return separation_degree(Structure.of(check_tickets(self, tickets)), data)

    def figure(self, facts: Mapping[str, Any]) -> Chart:
        """A bar chart of the degree of each layer, from the outputs and from the inputs."""
        rows = [*facts["layers"], {**facts["total"], "layer": "all"}]
        layers = [f"{row['layer']} ({row['neurons']:,})" for row in rows]
        sides = {"from the outputs": "from_outputs", "from the inputs": "from_inputs"}
        series = (
            Series(name, layers, [row[side] for row in rows], style="bar") for name, side in sides.items()
        )
        return Chart(
            "separation-degree",
            "Neurons that belong to one task",
            "layer (number of neurons that any task reaches)",
            "decided / (decided + undecided)",
            tuple(series),
            "From the outputs: the fraction of a layer's neurons that reach outputs of one task only. From the inputs: "
            "the fraction that inputs of one task only reach.",
            y_format=".0%",
            y_range=(0.0, 1.0),
        )
