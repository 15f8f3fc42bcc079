"""Which weights and neurons of a ticket can matter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from kerastickets.plugin import Chart, Data, Series, Structure as Reached, Takes, Ticket, check_tickets


@dataclass(frozen=True)
class Structure:
    """How many weights and neurons are active, inactive, zombie, pruned or isolated, by layer and in total.

    A kept weight is inactive where no path leads from it to an output, a zombie where a path does but none
    comes from an input, else active. A neuron is isolated where nothing kept leads to it or from it.
    Channels of convolutions are neurons; from channel to channel a path leads over any weight of the kernel.
    `shares` are of the unpruned weights, `dead_inputs` the inputs on no path to an output, and `effective`
    the weights that are left when all that cannot matter is taken away.

    Raises:
        TicketError: the model has a layer that cannot be followed; names it.

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
        """By layer, the categories of the weights that are kept and those of all neurons, as stacked shares."""
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
        "layer, and how many there are",
        f"share of its {what.lower()}",
        tuple(series()),
        f"The shares of {', '.join(categories)} among the {what.lower()} of each layer.",
        "Inactive: no path leads on to an output. Zombie: a path does, but none comes from an input.",
        stacked=True,
        y_format=".0%",
        y_range=(0.0, 1.0),
    )
