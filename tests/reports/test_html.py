"""The page itself, without a browser; `test_html_browser.py` opens it in one."""

import csv
import io
import re
from urllib.parse import unquote

import pytest

from kerastickets.figures.chart import Chart, Graph, Heatmap, Node, Series
from kerastickets.figures.table import Column, Table
from kerastickets.reports.html import Section, figure_table, inline, page, prose
from tests.helpers.folders import HOSTILE
from tests.helpers.html_reader import Reader

LINE = Chart(
    "line", "A line", "x", "y", (Series("s", [1, 2], [0.5, None], [0.4, None], [0.6, None]),), "It ends."
)
HEAT = Heatmap("heat", "Heat", ["a", "b"], ["c"], [[0.25, 1.0]], "Warm.", x_label="column", y_label="row")
GRAPH = Graph("graph", "Graph", (Node("a", "A", "12ab"), Node("b", "B")), (("a", "b"),), "A makes B.")
TABLE = Table(
    "t",
    "A table",
    (Column("name"), Column("n", "Number", ".1%")),
    ({"name": "x,y", "n": 1 / 3}, {"name": "z"}),
)


def everything(name=""):
    columns = (Column("name", f"Name {name}"), Column("n", format=".1%"))
    table = Table(f"t {name}", f"T {name}", columns, ({"name": name, "n": 0.5},), name)
    chart = Chart("c", name, name, name, (Series(name, [name], [1]),), name, name)
    heat = Heatmap("h", name, [name], [name], [[1]], name, name, x_label=name, y_label=name)
    graph = Graph("g", name, (Node("a", name, name),), (), name, name)
    items = (table, chart, heat, graph, {name: {name: [name]}}, f"A text. {name}")
    return page(f"Page {name}", [Section(f"Part {number} {name}", name, items) for number in range(3)], name)


def test_a_page_is_well_formed_and_holds_its_parts():
    read = Reader(page("Title", [Section("One", "Intro", (TABLE, LINE, HEAT, GRAPH, {"a": 1}, "more"))]))
    assert len(read.all("table", **{"class": "sortable"})) == 4  # its own, and one of numbers for each figure
    assert len(read.all("figure")) == 3
    assert [a["data-plot"] for a in read.all("script", type="application/json")] == ["plot-2", "plot-3"]
    assert {"Title", "One", "Intro", "more", "x,y", "33.3%", "\N{EN DASH}"} <= {*read.texts}


def test_every_figure_has_a_text_alternative_and_its_numbers():
    read = Reader(page("T", [Section("One", "", (LINE, HEAT, GRAPH))]))
    labels = [a["aria-label"] for tag, a in read.elements if a.get("role") == "img"]
    assert labels == ["A line. It ends.", "Heat. Warm.", "Graph. A makes B."]
    assert len(read.all("figcaption")) == len(read.all("details")) == 3


def test_headers_sort_with_the_keyboard_and_say_so():
    read = Reader(page("T", [Section("One", "", (TABLE,))]))
    assert [a["aria-sort"] for a in read.all("th", scope="col")] == ["none", "none"]
    assert len([t for t, a in read.elements if t == "button" and a == {"type": "button"}]) == 2
    assert [a.get("data-v") for a in read.all("td")] == [None, repr(1 / 3), None, None]


def test_every_table_downloads_as_csv():
    link = Reader(page("T", [Section("One", "", (TABLE,))])).all("a", download="t.csv")[0]
    head, _, text = link["href"].partition(",")
    assert head == "data:text/csv;charset=utf-8"
    assert [*csv.reader(io.StringIO(unquote(text)))] == [["name", "n"], ["x,y", str(1 / 3)], ["z", ""]]


def test_the_page_may_fetch_nothing_and_names_no_address():
    text = everything()
    policy = Reader(text).all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert policy.startswith(
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    )
    assert re.findall(r"https?:|//\w+\.\w+/|url\(|@import|\bfetch\(|src=", text) == []


@pytest.mark.parametrize(
    "hostile", [HOSTILE, "<b>&lt;", "\ud800 half a letter", "a\u2028b", "{{script}}", "-->", "\\u003c"]
)
def test_names_are_text_wherever_they_stand(hostile):
    plain, read = Reader(everything("calm")), Reader(everything(hostile))
    assert [tag for tag, _ in read.elements if tag not in ("code", "strong")] == [
        tag for tag, _ in plain.elements
    ]
    assert [a for _, a in read.elements if any(name.startswith("on") for name in a)] == []
    assert f"T {hostile}".encode("utf-8", "replace").decode() in read.texts


def test_equal_input_gives_equal_bytes():
    assert everything("a") == everything("a")


def test_plotly_is_inside_once_and_only_where_something_is_plotted():
    assert everything().count('id="plotly">H4sI') == 1
    small = page("T", [Section("One", "", (TABLE, GRAPH))])
    assert "H4sI" not in small
    assert len(small) < 40_000


def test_long_data_is_a_download_only():
    chart = Chart("c", "C", "x", "y", (Series("s", range(501), range(501)),), "alt")
    text = page("T", [Section("One", "", (chart,))])
    assert "501 rows: see the CSV." in text
    assert "500%2C500" in text or "500,500" in text


def test_contents_lead_to_the_sections():
    read = Reader(page("T", [Section(f"S{n}") for n in range(3)]))
    targets = [a["href"][1:] for a in read.all("a")]
    assert targets == [a["id"] for a in read.all("section")] == ["section-1", "section-2", "section-3"]


def test_data_of_figures():
    assert figure_table(LINE).rows[0] == {"series": "s", "x": 1, "y": 0.5, "low": 0.4, "high": 0.6}
    assert figure_table(HEAT).rows[1] == {"row": "c", "column": "b", "value": 1.0}
    assert figure_table(GRAPH).rows == ({"name": "A 12ab", "from": None}, {"name": "B", "from": "A 12ab"})


def test_prose():
    assert prose("a\nb\n\n- `x<y`\n- **z**") == (
        "<p>a b</p>\n<ul><li><code>x&lt;y</code></li><li><strong>z</strong></li></ul>"
    )
    assert inline("`**a**` * **") == "<code><strong>a</strong></code> * **"
    assert prose("") == ""
