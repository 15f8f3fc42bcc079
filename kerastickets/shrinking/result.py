"""The result of a search: as a value, in words and as a figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerastickets.exporting.report import Exported, kib
from kerastickets.figures.chart import Chart, Series
from kerastickets.shrinking.goal import Goal
from kerastickets.shrinking.search import Try
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.recipe import Recipe


@dataclass(frozen=True)
class Shrunk:
    """The result of `shrink`.

    Args:
        ticket: the ticket that was chosen.
        tried: everything that the search looked at, per criterion from the densest on.
        chosen: the try that was chosen.
        met: whether the chosen ticket keeps all that was asked for.
        goal: what was asked for.
        test: the metrics on the test split of the `given` model and of the `chosen` ticket, measured once, at the end.
        exported: the report of the verified export; None if none was asked for.
        monitor: the metric that was judged.
        confidence: the probability with which the drop is below its bound.
    """

    ticket: Ticket
    tried: tuple[Try, ...]
    chosen: Try
    met: bool
    goal: Goal
    test: Mapping[str, Mapping[str, float]]
    exported: Exported | None
    monitor: str
    confidence: float

    def facts(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "goal": self.goal.facts(),
            "met": self.met,
            "monitor": self.monitor,
            "confidence": self.confidence,
            "chosen": self.chosen.facts(),
            "tried": [one.facts() for one in self.tried],
            "test": {name: dict(metrics) for name, metrics in self.test.items()},
            "export": self.exported.facts() if self.exported else None,
            "summary": sentences(self),
        }


def sentences(shown: Shrunk) -> str:
    """Say in a few sentences what was chosen, how sure it is, and what was not reached."""
    one, goal = shown.chosen, shown.goal
    ticket, unit = one.ticket, _unit(shown.monitor)
    said = [
        f"Chosen: {one.criterion}, {one.name}, with {ticket.kept:,} of {ticket.total:,} weights ({ticket.density:.1%})."
    ]
    if one.drop is None:
        said.append("It is the given model: no pruned ticket keeps what is asked for.")
    else:
        said.append(
            f"On validation data {shown.monitor} drops by {one.drop.estimate:.3g} {unit}; with "
            f"{shown.confidence:.0%} confidence by at most {one.drop.bound:.3g} ({one.drop.method})."
        )
    better = [other for other in shown.tried if other.drop and other.drop.bound < 0]
    if better:
        said.append(
            f"{len(better)} tickets are better than the given model beyond chance, since fine-tuning goes on training: "
            "check that the given model was trained to its end on this data."
        )
    if goal.max_size is not None and one.size is not None:
        sizes = kib(one.size), kib(goal.max_size)
        said.append(_reached("Its file takes", *sizes, one.size <= goal.max_size, goal.max_drop))
    if goal.max_latency is not None and one.latency is not None:
        times = f"{one.latency:.3g} ms", f"{goal.max_latency:.3g} ms"
        said.append(_reached("One example takes", *times, one.latency <= goal.max_latency, goal.max_drop))
    name = shown.monitor.removeprefix("val_")
    given, chosen = (shown.test[which].get(name) for which in ("given", "chosen"))
    if given is not None and chosen is not None:
        said.append(f"On test data, measured once, {name} is {chosen:.4g}; of the given model {given:.4g}.")
    return " ".join(said)


def _reached(what: str, found: str, asked: str, reached: bool, drop: float | None) -> str:
    if reached:
        return f"{what} {found}, at most the {asked} that were asked for."
    within = "no ticket that was tried" if drop is None else "no ticket within the drop"
    return f"{what} {found}, more than the {asked} that were asked for: {within} takes less."


def _unit(monitor: str) -> str:
    minimise = Recipe(monitor=monitor).minimise
    return "" if minimise else "points"


def chart(shown: Shrunk) -> Chart:
    """The monitored drop of every try over the weights that it keeps, with the bound that decides."""
    series = []
    for criterion in dict.fromkeys(one.criterion for one in shown.tried):
        own = sorted(
            (one for one in shown.tried if one.criterion == criterion and one.drop),
            key=lambda one: -one.ticket.density,
        )
        drops = [one.drop for one in own if one.drop]
        series.append(
            Series(
                criterion,
                [100 * one.ticket.density for one in own],
                [drop.estimate for drop in drops],
                low=[drop.estimate for drop in drops],
                high=[drop.bound for drop in drops],
                style="line+points",
            )
        )
    if shown.goal.max_drop is not None:
        ends = [100 * one.ticket.density for one in shown.tried if one.drop] or [100.0]
        limit = shown.goal.max_drop
        series.append(Series("largest drop", [min(ends), max(ends)], [limit, limit], dashed=True))
    unit = _unit(shown.monitor)
    return Chart(
        "tried",
        "How much worse each ticket is on validation data, up to the bound that decides",
        "weights kept (%)",
        f"drop of {shown.monitor}" + (f" ({unit})" if unit else ""),
        tuple(series),
        "A line per criterion: the drop grows as fewer weights are kept. Its band ends at the bound, and a dashed "
        "line shows the largest drop.",
        x_log=True,
        x_reversed=True,
    )
