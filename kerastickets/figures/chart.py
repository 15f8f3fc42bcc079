"""Charts, heat maps and graphs as plain values. They say what to draw, not how.

An analyzer's `figure(facts)` and a study return these values. `kerastickets.figures.matplotlib_figures` turns
them into image files, and `kerastickets.reports.html` into interactive figures. This module imports neither.
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
    """One set of points in a chart, drawn in one colour.

    Args:
        name: the name in the legend.
        x: numbers, or names of categories.
        y: numbers, as many as in `x`. None, NaN and infinity leave a gap.
        low: the lower end of an interval around each `y`, such as the mean minus a standard deviation.
        high: the upper end of the interval. Lines show the interval as a band, points and bars as error bars.
        style: `"line"`, `"points"`, `"line+points"`, `"bar"`, `"band"` (only the area between `low` and
            `high`), or `"area"` (filled from the top of the earlier areas).
        dashed: whether to draw a dashed line, such as for a control, a published number or a fit.
        like: the name of an earlier series in the same colour. For example, a fit can take the colour of its
            points.

    Raises:
        RecipeError: lengths differ, one end of an interval is missing, the style is unknown, or `y`, `low` or
            `high` hold values that are not numbers.
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
        if self.x is None or self.y is None:
            raise RecipeError(f"A series must have x and y. Received: {self.name!r} without one of them.")
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
                f"An interval must have `low` and `high`. Received: series {self.name!r} without both."
            )
        lengths = [len(values) for values in (self.x, self.y, self.low, self.high) if values is not None]
        if len({*lengths}) > 1:
            raise RecipeError(f"A series must have as many x as y. Received: {lengths} in {self.name!r}.")


@dataclass(frozen=True)
class Chart:
    """A chart: one or more series over common axes.

    Args:
        name: the name of its files, such as `accuracy-by-density`.
        title: the line above the chart.
        x_label: the label of the horizontal axis, with the unit.
        y_label: the label of the vertical axis, with the unit.
        series: the series to draw. Up to eight colours are distinct for colour-blind readers. More series are
            treated as an ordered family, such as levels, and get shades in their order.
        alt: what the chart shows, in words, for readers who cannot see it.
        note: what a reader must know to read the chart correctly.
        x_log: whether the horizontal axis is logarithmic.
        y_log: whether the vertical axis is logarithmic.
        stacked: whether bars are stacked on each other.
        x_format: the number format of the horizontal axis, such as `.0%`. If empty, the plotting library
            chooses.
        y_format: the number format of the vertical axis, in the same form.
        x_reversed: whether large values are at the left, as in charts over falling density.
        y_range: the `(low, high)` range of the vertical axis that is shown at first. If left out, everything
            is shown.

    Raises:
        RecipeError: a text field is not text, `y_range` does not hold numbers, or a format is invalid.

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
        """The colour of each series, as an index from 0. A series with `like` shares another's colour."""
        found: dict[str, int] = {}
        chosen: list[int] = []
        for series in self.series:
            colour = found.get(series.like) if series.like else None
            chosen.append(max(chosen, default=-1) + 1 if colour is None else colour)
            found.setdefault(series.name, chosen[-1])
        return chosen

    def named(self) -> list[int]:
        """The indices of the series that the legend names.

        If several series share a colour, the legend names the first. Of a large family it names only some.
        """
        colours = self.colours()
        own = [index for index, colour in enumerate(colours) if colour not in colours[:index]]
        return [own[n] for n in legible(len(own))]

    def facts(self) -> dict[str, Any]:
        """The chart as JSON. `Chart.of` reads it back."""
        return {
            "kind": "chart",
            **facts_of(self, "series"),
            "series": [facts_of(series) for series in self.series],
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Chart":
        """Make a chart from the JSON that `Chart.facts` returned.

        Raises:
            RecipeError: `facts` do not describe a chart.
        """
        return made_of(cls, facts, series=lambda many: tuple(made_of(Series, one) for one in many))


@dataclass(frozen=True)
class Heatmap:
    """A heat map: a grid of numbers, drawn as shades.

    Args:
        name: the name of its files.
        title: the line above the heat map.
        x_labels: the names of the columns.
        y_labels: the names of the rows, from the top down.
        values: one row per entry of `y_labels`. Each row has one number (or None) per entry of `x_labels`.
        alt: what the heat map shows, in words, for readers who cannot see it.
        note: what a reader must know to read it correctly.
        format: the number format of the values, as in `format(value, ".2f")`.
        x_label: what the columns stand for.
        y_label: what the rows stand for.
        range: the `(low, high)` ends of the colour scale. If left out, the smallest and the largest value.

    Raises:
        RecipeError: the shape of `values` does not fit the labels, a value is not a number, a text field is
            not text, or the format is invalid.

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
        """The heat map as JSON. `Heatmap.of` reads it back."""
        return {"kind": "heatmap", **facts_of(self)}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Heatmap":
        """Make a heat map from the JSON that `Heatmap.facts` returned.

        Raises:
            RecipeError: `facts` do not describe a heat map.
        """
        return made_of(cls, facts)


@dataclass(frozen=True)
class Node:
    """A box of a graph. It shows `label`, and `detail` below it. Edges refer to the node by `key`."""

    key: str
    label: str
    detail: str = ""

    def __post_init__(self) -> None:
        check_texts(self, "key", "label", "detail")


@dataclass(frozen=True)
class Graph:
    """A directed graph without cycles, such as tickets and their parents.

    Args:
        name: the name of its files.
        title: the line above the graph.
        nodes: the boxes.
        edges: pairs `(parent, child)` of node keys. They must not form a cycle.
        alt: what the graph shows, in words, for readers who cannot see it.
        note: what a reader must know to read it correctly.

    Raises:
        RecipeError: an edge names an unknown node, edges form a cycle, or a text field is not text.
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
            raise RecipeError(f"An edge must join two nodes. Received: {strange[0]!r}, which is not a node.")
        try:
            self.ordered()
        except CycleError as error:
            circle = " > ".join(error.args[1])
            raise RecipeError(
                f"Edges lead from parents to children and must not form a cycle. Received: a cycle, {circle}."
            ) from error

    def ordered(self) -> list[str]:
        """The keys of the nodes, sorted so that parents come before their children."""
        parents: dict[str, list[str]] = {node.key: [] for node in self.nodes}
        for parent, child in self.edges:
            parents[child].append(parent)
        return [*TopologicalSorter(parents).static_order()]

    def facts(self) -> dict[str, Any]:
        """The graph as JSON. `Graph.of` reads it back."""
        nodes = [facts_of(node) for node in self.nodes]
        edges = [list(edge) for edge in self.edges]
        return {"kind": "graph", **facts_of(self, "nodes", "edges"), "nodes": nodes, "edges": edges}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Graph":
        """Make a graph from the JSON that `Graph.facts` returned.

        Raises:
            RecipeError: `facts` do not describe a graph.
        """
        return made_of(cls, facts, nodes=lambda many: tuple(made_of(Node, one) for one in many))


Figure = Chart | Heatmap | Graph | Network


def figure(facts: Mapping[str, Any]) -> Figure:
    """Make a chart, heat map, graph or network from its JSON.

    The entry `kind` says which of them it is. Without it, it is a chart.

    Raises:
        RecipeError: the kind is unknown, or `facts` are incomplete.
    """
    kinds: dict[str, Any] = {"chart": Chart, "heatmap": Heatmap, "graph": Graph, "network": Network}
    kind = facts.get("kind", "chart") if isinstance(facts, Mapping) else type(facts).__name__
    if not isinstance(kind, str) or kind not in kinds:
        raise RecipeError(f"A figure must be a chart, a heatmap, a graph or a network. Received: {kind!r}.")
    return kinds[kind].of(facts)
