"""Whether a ticket has come apart, and how far on the way it is."""

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
    """Whether the tasks of a data set have subnetworks of their own: interconnected, separated or degraded.

    Subnetworks are the connected parts of what is active. Degraded: a feature that counts lies in none of
    them. Separated: not degraded, and none holds features of two tasks. Interconnected: otherwise.
    `as_published` is the verdict of the thesis's own rule, which goes by the number of subnetworks.

    Args:
        counts: the features that count: `both` inputs and outputs, `inputs`, or `outputs` alone, as for images
            whose border no task needs.

    Raises:
        DataError: the data set names no tasks.
        TicketError: the network has other inputs or outputs, or a layer that cannot be followed.

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
        """How much of each task each subnetwork covers."""
        rows = facts["coverage"] or [[0.0] * len(facts["tasks"])]
        names = [str(n) for n in range(1, len(facts["coverage"]) + 1)] or ["none"]
        features = {"both": "inputs x share of outputs", "inputs": "inputs", "outputs": "outputs"}
        return Heatmap(
            "coverage",
            f"Coverage of the tasks: {facts['category']}",
            facts["tasks"],
            names,
            rows,
            f"How much of {len(facts['tasks'])} tasks each of {facts['subnetworks']} subnetworks covers: "
            f"the network is {facts['category']}.",
            f"Share of the task's {features[self.counts]} that lies in the subnetwork.",
            x_label="task",
            y_label="subnetwork",
            range=(0.0, 1.0),
        )


@dataclass(frozen=True)
class SeparationDegree:
    """The share of each layer's neurons that belong to one task, seen from the outputs and from the inputs.

    Raises:
        DataError: the data set names no tasks.
        TicketError: the network has other inputs or outputs, or a layer that cannot be followed.

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 4.2.4.
    """

    takes: ClassVar[Takes] = Takes(1, 1)
    needs_data: ClassVar[bool] = True

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> Mapping[str, Any]:
        return separation_degree(Structure.of(check_tickets(self, tickets)), data)

    def figure(self, facts: Mapping[str, Any]) -> Chart:
        """The degree of each layer, from the outputs and from the inputs."""
        rows = [*facts["layers"], {**facts["total"], "layer": "all"}]
        layers = [f"{row['layer']} ({row['neurons']:,})" for row in rows]
        sides = {"from the outputs": "from_outputs", "from the inputs": "from_inputs"}
        series = (
            Series(name, layers, [row[side] for row in rows], style="bar") for name, side in sides.items()
        )
        return Chart(
            "separation-degree",
            "Neurons that belong to one task",
            "layer, and its neurons that any task reaches",
            "decided / (decided + undecided)",
            tuple(series),
            "The share of the neurons of each layer that reach the outputs of one task only, and that inputs of one "
            "task only reach.",
            y_format=".0%",
            y_range=(0.0, 1.0),
        )
