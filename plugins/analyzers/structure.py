"""Analyzer that counts which weights and neurons of a ticket can affect its outputs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from kerastickets.plugin import Chart, Data, Series, Structure as Reached, Takes, Ticket, check_tickets


@dataclass(frozen=True)
class Structure:
    """Count weights and neurons that are active, inactive, zombie, pruned or isolated, per layer and in total.

    A kept weight is inactive if no path leads from it to an output. It is a zombie if a path leads to an
    output, but no path comes from an input. Otherwise it is active. A neuron is isolated if no kept weight
    leads to it or from it. The channels of a convolution count as neurons; any kept weight of the kernel
    between two channels connects them. `shares` are fractions of the unpruned weights. `dead_inputs` is the
    number of inputs on no path to an output. `effective` is the number of weights that remain after removing
    all weights that cannot matter.

    Raises:
        TicketError: the model has a layer that cannot be traced; the message names it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> Structure()(toy_ticket())["totals"]["pruned"] == toy_ticket().total - toy_ticket().kept
        True

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 3.4.2.
    """

    takes: ClassVar[Takes] = Takes(1, 1)

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> Mapping[str, Any]:
        return Reached.of(check_tickets(self, tickets)).facts()

    def figure(self, facts: Mapping[str, Any]) -> tuple[Chart, Chart]:
        """Two charts: per layer, the stacked fractions of the categories among kept weights and among neurons."""
        kept = [{**row, "layer": row["key"].removesuffix("/kernel")} for row in facts["layers"]]
        whole = {**facts["totals"], "layer": "all"}
        return (
            _bars("structure-weights", "Kept weights", [*kept, whole], ("active", "inactive", "zombie")),
            _bars(
                "structure-neurons",
                "Neurons",
                facts["neurons"],
                ("active", "inactive", "zombie", "isolated"),
            ),
        )


def _bars(name: str, what: str, rows: Sequence[Mapping[str, Any]], categories: Sequence[str]) -> Chart:
    counts = [sum(row[category] for category in categories) for row in rows]
    layers = [f"{row['layer']} ({count:,})" for row, count in zip(rows, counts, strict=True)]

    def series() -> Iterator[Series]:
        for category in categories:
            shares = [
                row[category] / count if count else None for row, count in zip(rows, counts, strict=True)
            ]
            yield Series(category, layers, shares, style="bar")

    return Chart(
        name,
        f"{what} of each layer by category",
        f"layer (number of {what.lower()})",
        f"fraction of the layer's {what.lower()}",
        tuple(series()),
        f"The fractions of {', '.join(categories)} among the {what.lower()} of each layer.",
        "Inactive: no path leads to an output. Zombie: a path leads to an output, but no path comes from an input.",
        stacked=True,
        y_format=".0%",
        y_range=(0.0, 1.0),
    )
