"""Charts, heat maps and graphs as values."""

import json

import numpy as np
import pytest

from kerastickets.errors import RecipeError
from kerastickets.figures.chart import Chart, Graph, Heatmap, Node, Series, figure

SERIES = Series("seed 0", np.array([0, 1]), [0.5, float("nan")], [0.4, 0.4], [0.6, 0.6], "line+points", True)
CHART = Chart(
    "c", "Title", "epoch", "accuracy", (SERIES,), "Rises.", x_log=True, y_range=(0.1, np.float32(0.5))
)
HEATMAP = Heatmap("h", "Overlap", (0, 1), ("a",), np.array([[1.0, 0.5]]), "Half.")
GRAPH = Graph(
    "g", "Merged", tuple(Node(key, key) for key in "mab"), (("a", "m"), ("b", "m")), "a and b make m."
)


@pytest.mark.parametrize("value", [CHART, HEATMAP, GRAPH], ids=lambda value: type(value).__name__)
def test_facts_come_back_from_json(value):
    facts = json.loads(json.dumps(value.facts(), allow_nan=False))
    assert figure(facts) == type(value).of(facts) == value


def test_a_series_holds_plain_numbers_and_gaps():
    assert (SERIES.x, SERIES.y) == ((0, 1), (0.5, None))
    assert type(SERIES.x[0]) is int


def test_a_series_takes_the_colour_of_the_one_it_is_like():
    names = [("a", ""), ("a, fit", "a"), ("b", ""), ("b, fit", "b"), ("c", "unknown")]
    chart = Chart("c", "", "", "", tuple(Series(name, [1], [1], like=like) for name, like in names), "")
    assert chart.colours() == [0, 0, 1, 1, 2]


def test_parents_come_before_their_children():
    assert GRAPH.ordered() == ["a", "b", "m"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Series("s", [1], [1, 2]), "as many x as y"),
        (lambda: Series("s", [1], [1], low=[0]), "An interval must have `low` and `high`"),
        (lambda: Series("s", [1], [1], style="band"), "An interval must have `low` and `high`"),
        (lambda: Series("s", [1], [1], style="pie"), "`style` must be one of line, points"),
        (lambda: Series("s", [1], ["high"]), "must be numbers. Received: 'high' in 's'"),
        (lambda: Heatmap("h", "", ("a",), ("b",), [[1, 2]], ""), "`values` must be 1 x 1"),
        (lambda: Graph("g", "", (Node("a", "a"),), (("a", "b"),), ""), "Received: 'b', which is not a node"),
        (lambda: Graph("g", "", (Node("a", "a"),), (("a", "a"),), ""), "Received: a cycle, a > a"),
        (lambda: Chart("c", "", "", "", (), "", x_format="nope"), "A format must be one"),
        (lambda: Chart("c", None, "", "", (), ""), "`title` of a chart must be text"),
        (
            lambda: figure({"kind": "pie"}),
            "A figure must be a chart, a heatmap, a graph or a network. Received: 'pie'",
        ),
        (lambda: figure([]), "Received: 'list'"),
        (lambda: figure({"kind": "chart", "name": "c"}), "The chart must have name, title"),
        (lambda: figure({**CHART.facts(), "series": 3}), "The chart must have name, title"),
        (lambda: figure({**CHART.facts(), "colour": "red"}), "The chart must have name, title"),
    ],
)
def test_refuses(make, said):
    with pytest.raises(RecipeError) as error:
        make()
    assert said in str(error.value)


def test_a_legend_names_one_series_of_each_colour():
    pairs = [
        one
        for n in range(6)
        for one in (
            Series(f"points {n}", [0], [n], style="points"),
            Series(f"fit {n}", [0], [n], like=f"points {n}"),
        )
    ]
    chart = Chart("c", "", "", "", tuple(pairs), "")
    assert chart.named() == [0, 2, 4, 6, 8, 10]
    assert len({*chart.colours()}) == 6
    # Of a family too large for colours of their own, some.
    family = Chart("c", "", "", "", tuple(Series(f"level {n}", [0], [n]) for n in range(22)), "")
    assert family.named() == [0, 4, 8, 13, 17, 21]


def test_a_series_without_x_is_refused():
    facts = Chart("c", "C", "x", "y", (Series("s", [0], [1]),), "One point.").facts()
    facts["series"][0]["x"] = None
    with pytest.raises(RecipeError, match="x and y"):
        Chart.of(facts)
