"""Charts, heat maps, graphs and networks as plain values: what is drawn, not how.

An analyzer's `figure(facts)` and a study return these. `kerastickets.figures.matplotlib_figures` makes image files
of them, `kerastickets.reports.html` interactive figures; neither is imported here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, get_args

from kerastickets.errors import RecipeError
from kerastickets.figures.json_fields import check_numbers, facts_of, made_of
from kerastickets.figures.network import Network
from kerastickets.figures.palette import legible
from kerastickets.figures.table import check_format, check_texts, plain_value

Style = Literal["line", "points", "line+points", "bar", "band", "area"]


@dataclass(frozen=True)
class Series:
    """What a chart draws in one colour.

    Args:
        name: in the legend.
        x: numbers, or names of categories.
        y: numbers; None, NaN and infinity leave a gap.
        low: the lower end of an interval around each `y`, such as the mean minus a standard deviation.
        high: the upper end. Lines get a band, points and bars get error bars.
        style: `line`, `points`, `line+points`, `bar`, `band` (the area between `low` and `high` alone), or `area`
            (filled from the top of the areas before it).
        dashed: draw a dashed line: a control, a published number, a fit.
        like: the name of an earlier series whose colour this one takes, as a fit takes that of its points.

    Raises:
        RecipeError: lengths differ, one end of an interval is missing, the style is unknown, or `y` holds other
            values than numbers.
    """

    name: str
    x: Sequence[Any]
    y: Sequence[Any]
    low: Sequence[Any] | None = None
    high: Sequence[Any] | None = None
    style: Style = "line"
    dashed: bool = False
    like: str = ""

    def __post_init__(self) -> None:
        for name in ("x", "y", "low", "high"):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(plain_value(list(values))))
        check_texts(self, "name", "style", "like")
        check_numbers(self.name, self.y, self.low, self.high)
        if self.style not in get_args(Style):
            raise RecipeError(
                f"`style` must be one of {', '.join(get_args(Style))}. Received: {self.style!r}."
            )
        if (self.low is None) != (self.high is None) or (self.style == "band" and self.low is None):
            raise RecipeError(
                f"An interval has `low` and `high`. Received: series {self.name!r} without both."
            )
        lengths = [len(values) for values in (self.x, self.y, self.low, self.high) if values is not None]
        if len({*lengths}) > 1:
            raise RecipeError(f"A series has as many x as y. Received: {lengths} in {self.name!r}.")


@dataclass(frozen=True)
class Chart:
    """Series over common axes.

    Args:
        name: what its files are called, as `accuracy-by-density`.
        title: a line above it.
        x_label: the horizontal axis, with its unit.
        y_label: the vertical axis, with its unit.
        series: up to eight get colours that colour-blind readers tell apart; more are taken to be an ordered
            family, such as levels, and get shades in their order.
        alt: what the chart shows, in words, for readers who do not see it.
        note: what a reader must know to read it right.
        x_log: a logarithmic horizontal axis.
        y_log: a logarithmic vertical axis.
        stacked: bars stand on each other.
        x_format: how numbers on the axis are shown, as `.0%`; empty lets the plotting library choose.
        y_format: the same of the vertical axis.
        x_reversed: large values at the left, as in charts over falling density.
        y_range: what of the vertical axis is shown at first; everything if left out.

    Example:
        >>> chart = Chart("fit", "A fit", "epoch", "accuracy", (Series("seed 0", [0, 1], [0.1, 0.9]),), "Rises.")
        >>> Chart.of(chart.facts()) == chart
        True
    """

    name: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    alt: str
    note: str = ""
    x_log: bool = False
    y_log: bool = False
    stacked: bool = False
    x_format: str = ""
    y_format: str = ""
    x_reversed: bool = False
    y_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_texts(self, "name", "title", "x_label", "y_label", "alt", "note", "x_format", "y_format")
        object.__setattr__(self, "series", tuple(self.series))
        object.__setattr__(self, "y_range", tuple(plain_value(self.y_range)) if self.y_range else None)
        check_numbers(self.name, self.y_range)
        check_format(self.x_format)
        check_format(self.y_format)

    def colours(self) -> list[int]:
        """Which colour, from 0, each series has: those that are like another share its colour."""
        found: dict[str, int] = {}
        chosen: list[int] = []
        for series in self.series:
            colour = found.get(series.like) if series.like else None
            chosen.append(max(chosen, default=-1) + 1 if colour is None else colour)
            found.setdefault(series.name, chosen[-1])
        return chosen

    def named(self) -> list[int]:
        """Which series a legend names: of those that share a colour the first, and of a large family some."""
        colours = self.colours()
        own = [index for index, colour in enumerate(colours) if colour not in colours[:index]]
        return [own[n] for n in legible(len(own))]

    def facts(self) -> dict[str, Any]:
        """The chart as JSON; `Chart.of` reads it back."""
        return {
            "kind": "chart",
            **facts_of(self, "series"),
            "series": [facts_of(series) for series in self.series],
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Chart":
        """The chart that `facts` describe.

        Raises:
            RecipeError: they describe none.
        """
        return made_of(cls, facts, series=lambda many: tuple(made_of(Series, one) for one in many))


@dataclass(frozen=True)
class Heatmap:
    """Numbers in a grid, as shades.

    Args:
        name: what its files are called.
        title: a line above it.
        x_labels: names of the columns.
        y_labels: names of the rows, from the top down.
        values: one row per `y_labels`, each with one number (or None) per `x_labels`.
        alt: what it shows, in words.
        note: what a reader must know to read it right.
        format: how numbers are shown.
        x_label: what the columns are.
        y_label: what the rows are.
        range: the numbers at both ends of the scale of shades; the least and the greatest if left out.

    Raises:
        RecipeError: rows of other lengths than the labels.

    Example:
        >>> Heatmap("iou", "Overlap", ("a", "b"), ("a",), [[1.0, 0.5]], "Half.").facts()["values"]
        [[1.0, 0.5]]
    """

    name: str
    title: str
    x_labels: Sequence[str]
    y_labels: Sequence[str]
    values: Sequence[Sequence[Any]]
    alt: str
    note: str = ""
    format: str = ".2f"
    x_label: str = ""
    y_label: str = ""
    range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_texts(self, "name", "title", "alt", "note", "format", "x_label", "y_label")
        for name in ("x_labels", "y_labels"):
            object.__setattr__(self, name, tuple(map(str, getattr(self, name))))
        values = tuple(tuple(plain_value(list(row))) for row in self.values)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "range", tuple(plain_value(self.range)) if self.range else None)
        check_numbers(self.name, *values, self.range)
        check_format(self.format)
        if [len(row) for row in values] != [len(self.x_labels)] * len(self.y_labels):
            shape = f"{len(self.y_labels)} x {len(self.x_labels)}"
            raise RecipeError(f"`values` must be {shape}, as the labels. Received: {[*map(len, values)]}.")

    def facts(self) -> dict[str, Any]:
        """The heat map as JSON; `Heatmap.of` reads it back."""
        return {"kind": "heatmap", **facts_of(self)}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Heatmap":
        """The heat map that `facts` describe.

        Raises:
            RecipeError: they describe none.
        """
        return made_of(cls, facts)


@dataclass(frozen=True)
class Node:
    """A box of a graph: `label`, and `detail` below it; `key` is what edges call it."""

    key: str
    label: str
    detail: str = ""

    def __post_init__(self) -> None:
        check_texts(self, "key", "label", "detail")


@dataclass(frozen=True)
class Graph:
    """What comes from what, such as tickets and their parents.

    Args:
        name: what its files are called.
        title: a line above it.
        nodes: the boxes.
        edges: pairs of node keys, from parent to child. Without circles.
        alt: what it shows, in words.
        note: what a reader must know to read it right.

    Raises:
        RecipeError: an edge names no node, or edges lead in a circle.
    """

    name: str
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    alt: str
    note: str = ""

    def __post_init__(self) -> None:
        check_texts(self, "name", "title", "alt", "note")
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "edges", tuple((parent, child) for parent, child in self.edges))
        known = {node.key for node in self.nodes}
        if strange := [key for edge in self.edges for key in edge if key not in known]:
            raise RecipeError(f"An edge leads from node to node. Received: {strange[0]!r}, which is none.")
        try:
            self.ordered()
        except CycleError as error:
            circle = " > ".join(error.args[1])
            raise RecipeError(
                f"Edges lead from parents to children. Received: a circle, {circle}."
            ) from error

    def ordered(self) -> list[str]:
        """The nodes' keys, parents before their children."""
        parents: dict[str, list[str]] = {node.key: [] for node in self.nodes}
        for parent, child in self.edges:
            parents[child].append(parent)
        return [*TopologicalSorter(parents).static_order()]

    def facts(self) -> dict[str, Any]:
        """The graph as JSON; `Graph.of` reads it back."""
        nodes = [facts_of(node) for node in self.nodes]
        edges = [list(edge) for edge in self.edges]
        return {"kind": "graph", **facts_of(self, "nodes", "edges"), "nodes": nodes, "edges": edges}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Graph":
        """The graph that `facts` describe.

        Raises:
            RecipeError: they describe none.
        """
        return made_of(cls, facts, nodes=lambda many: tuple(made_of(Node, one) for one in many))


Figure = Chart | Heatmap | Graph | Network


def figure(facts: Mapping[str, Any]) -> Figure:
    """The chart, heat map, graph or network that `facts` describe, by their `kind` (a chart if left out).

    Raises:
        RecipeError: of another kind, or incomplete.
    """
    kinds: dict[str, Any] = {"chart": Chart, "heatmap": Heatmap, "graph": Graph, "network": Network}
    kind = facts.get("kind", "chart") if isinstance(facts, Mapping) else type(facts).__name__
    if kind not in kinds:
        raise RecipeError(f"A figure is a chart, a heatmap, a graph or a network. Received: {kind!r}.")
    return kinds[kind].of(facts)
