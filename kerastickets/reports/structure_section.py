"""Build the section of a run's report on the structure of its tickets."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from kerastickets.errors import KerasTicketsError
from kerastickets.figures.chart import Chart, Network, Series
from kerastickets.figures.table import Column, Table
from kerastickets.reports.html import Item, Section
from kerastickets.runs.facts import LevelFacts, RunFacts
from kerastickets.structure.node_link import MOST_EDGES, network_figure, node_link
from kerastickets.structure.summary import StructureSummary
from kerastickets.tickets.ticket import Ticket

_CATEGORIES = ("active", "inactive", "zombie")
_DEFINED = (
    "Active: on a path from an input to an output. Inactive: no path leads from the weight to an output. Zombie: a "
    "path leads to an output, but no path comes from an input."
)


def structure_section(runs: Sequence[RunFacts]) -> Section:
    """The structure of a run's tickets; or, if the network cannot be traced, the reason.

    Args:
        runs: one run, or one run per seed of the same recipe.
    """
    reasons = (level.inside for run in runs for level in run.levels if isinstance(level.inside, str))
    if (reason := next(reasons, None)) is not None:
        return Section("Structure", f"These networks cannot be traced. {reason}")
    network = _network(runs[0])
    items: list[Item] = [shares_chart(runs), structure_table(runs)]
    items += [degree_chart(runs)] if _looked(runs[0].levels[-1]).degree else []
    return Section("Structure", _intro(runs), (*items, network))


def shares_chart(runs: Sequence[RunFacts]) -> Chart:
    """The fraction of kept weights in each category over levels, stacked.

    For several seeds, the chart shows means.
    """
    series = []
    for category in _CATEGORIES:
        found = _means(runs, partial(_share, category))
        series.append(Series(category, list(found), list(found.values()), style="area"))
    last = ", ".join(f"{one.name} {one.y[-1]:.1%}" for one in series)
    return Chart(
        "structure",
        "Active, inactive and zombie weights",
        "level",
        "fraction of the kept weights",
        tuple(series),
        f"Fractions of the kept weights over {len(series[0].x)} levels; at the last level {last}.",
        _DEFINED + (f" Means of {len(runs)} seeds." if len(runs) > 1 else ""),
        y_format=".0%",
        y_range=(0.0, 1.0),
    )


def structure_table(runs: Sequence[RunFacts]) -> Table:
    """One row per level and seed: weight categories, dead inputs and, for multi-task data, the ticket's category."""
    tasks = _looked(runs[0].levels[-1]).separation
    columns = (
        *([Column("seed")] if len(runs) > 1 else []),
        Column("level"),
        *(Column(name, format=",") for name in _CATEGORIES),
        Column("isolated", "isolated neurons", ","),
        Column("dead_inputs", "dead inputs", ","),
        *(
            [Column("category"), Column("subnetworks"), Column("needed", "separations needed")]
            if tasks
            else []
        ),
    )
    rows = [{"seed": run.name, **_row(level)} for run in runs for level in run.levels]
    note = (
        f"Tasks: {', '.join(tasks['tasks'])}. Degraded: a feature that counts lies in no subnetwork. Separated: not "
        "degraded, and no subnetwork contains features of two tasks. Interconnected: all other tickets."
        if tasks
        else ""
    )
    return Table("structure", "Structure of every level", columns, tuple(rows), note)


def degree_chart(runs: Sequence[RunFacts]) -> Chart:
    """The fraction of neurons that belong to one task, over levels, seen from the outputs and from the inputs."""
    sides = {"from the outputs": "from_outputs", "from the inputs": "from_inputs"}
    series = []
    for name, side in sides.items():
        found = _means(runs, partial(_degree, side))
        series.append(Series(name, list(found), list(found.values()), style="line+points"))
    return Chart(
        "separation-degree",
        "Neurons that belong to one task",
        "level",
        "decided / (decided + undecided)",
        tuple(series),
        "From the outputs: the fraction of neurons that reach outputs of one task only. From the inputs: the "
        "fraction of neurons that inputs of one task only reach.",
        f"Means of {len(runs)} seeds." if len(runs) > 1 else "",
        y_format=".0%",
        y_range=(0.0, 1.02),
    )


def _network(run: RunFacts) -> Network | str:
    """The network of the last separated level, or else of the last level.

    If it cannot be drawn, return the reason.
    """
    separated = [level for level in run.levels if _category(level) == "separated"]
    level = (separated or run.levels)[-1]
    edges = _looked(level).edges
    if edges >= MOST_EDGES:
        return (
            f"The network of level {level.row.level} has {edges:,} edges. Only networks with fewer than "
            f"{MOST_EDGES:,} edges are drawn."
        )
    state = f", {_category(level)}" if _category(level) else ""
    try:
        facts = node_link(Ticket.load(level.file), data=run.tasks)
    except KerasTicketsError as error:
        return str(error)
    return network_figure(facts, f"The network of {run.name} at level {level.row.level}{state}")


def _intro(runs: Sequence[RunFacts]) -> str:
    inside = _looked(runs[0].levels[-1])
    totals, shares = inside.structure["totals"], inside.structure["shares"]
    kept = sum(totals[name] for name in _CATEGORIES)
    whose = f" of {runs[0].name}" if len(runs) > 1 else ""
    text = (
        f"The last ticket{whose} keeps **{kept:,}** weights: {totals['active']:,} active ({shares['active']:.1%}), "
        f"{totals['inactive']:,} inactive, {totals['zombie']:,} zombie."
    )
    if inside.separation is None:
        return text
    return " ".join([text, *filter(None, map(_when, runs))])


def _when(run: RunFacts) -> str:
    """The first level of each category in a run, as a sentence."""
    firsts: dict[str, int] = {}
    for level in run.levels:
        firsts.setdefault(_category(level), level.row.level)
    parts = [f"{category} from level {level}" for category, level in firsts.items() if category]
    return f"{run.name.capitalize()}: {', '.join(parts)}." if parts else ""


def _row(level: LevelFacts) -> dict[str, Any]:
    inside = _looked(level)
    facts = inside.separation or {}
    return {
        "level": level.row.level,
        **{name: inside.structure["totals"][name] for name in _CATEGORIES},
        "isolated": sum(row["isolated"] for row in inside.structure["neurons"]),
        "dead_inputs": inside.structure["dead_inputs"],
        "category": facts.get("category"),
        "subnetworks": facts.get("subnetworks"),
        "needed": facts.get("separations_needed"),
    }


def _category(level: LevelFacts) -> str:
    return (_looked(level).separation or {}).get("category", "")


def _looked(level: LevelFacts) -> StructureSummary:
    assert isinstance(level.inside, StructureSummary)
    return level.inside


def _share(category: str, inside: StructureSummary) -> float:
    return float(inside.structure["shares"][category])


def _degree(side: str, inside: StructureSummary) -> float | None:
    return inside.degree["total"][side] if inside.degree else None


def _means(
    runs: Sequence[RunFacts], value: Callable[[StructureSummary], float | None]
) -> dict[int, float | None]:
    """Map each level to the mean over the runs that have a value there; None if no run has one."""
    found: dict[int, list[float]] = {}
    for level in _levels(runs):
        one = value(_looked(level))
        found.setdefault(level.row.level, []).extend([] if one is None else [one])
    return {level: statistics.fmean(many) if many else None for level, many in sorted(found.items())}


def _levels(runs: Sequence[RunFacts]) -> Iterator[LevelFacts]:
    return (level for run in runs for level in run.levels)
