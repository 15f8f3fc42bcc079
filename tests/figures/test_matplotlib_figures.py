"""Figures as files."""

from xml.etree import ElementTree

import numpy as np
import pytest

from kerastickets.errors import RecipeError
from kerastickets.figures.chart import Chart, Graph, Heatmap, Network, Node, Series
from kerastickets.figures.matplotlib_figures import categories_of, draw, save
from tests.helpers.networks import NET

LINES = (
    Series("mean", [1.0, 0.5, 0.1], [0.9, 0.8, None], [0.8, 0.7, None], [1.0, 0.9, None], "line+points"),
    Series("published $x$", [1.0, 0.1], [0.9, 0.7], [0.85, 0.6], [0.95, 0.8], "points"),
    Series("band", [1.0, 0.1], [None, None], [0.5, 0.4], [0.6, 0.5], "band", True),
)
BARS = (
    Series("DTM", ["2", "3"], [0.9, None], [0.8, None], [1.0, None], "bar"),
    Series("ATM", ["3", "4"], [0.7, 0.6], style="bar", dashed=True),
    Series("line", ["2", "4"], [0.5, 0.5]),
)
AREAS = (
    Series("whole", [0, 1, 2], [1.0, 0.5, 0.25], style="area"),
    Series("apart", [0, 1, 2], [0.0, 0.5, 0.75], style="area"),
)
FIGURES = [
    Chart("lines", "Lines", "kept", "accuracy", LINES, "alt", x_log=True, x_reversed=True, x_format=".0%"),
    Chart("bars", "Bars", "tickets", "accuracy", BARS, "alt", y_range=(0.4, 1.0), y_format=".1%"),
    Chart("stacked", "Stacked", "tickets", "count", BARS[:2], "alt", stacked=True),
    Chart(
        "family", "Levels", "it", "loss", tuple(Series(f"{n}", [1, 2], [n, n + 1]) for n in range(12)), "alt"
    ),
    Chart("areas", "Shares", "level", "share", AREAS, "alt", y_range=(0.0, 1.0), y_format=".0%"),
    Chart("empty", "Nothing", "x", "y", (), "alt", y_log=True),
    Heatmap("heat", "Overlap", ("level 10", "b"), ("a", "b"), [[1.0, None], [0.2, 0.4]], "alt"),
    Graph("graph", "Lineage", (Node("a", "a"), Node("b", "b", "12ab")), (("a", "b"),), "alt"),
    NET,
    Network("nothing", "No neurons", (), (), "alt"),
]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_equal_figures_give_equal_bytes(figure, tmp_path):
    files = draw(figure, tmp_path / "a")
    again = draw(figure, tmp_path / "b")
    assert [file.name for file in files] == [f"{figure.name}.svg", f"{figure.name}.png"]
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]
    ElementTree.parse(files[0])
    assert b"<dc:date>" not in files[0].read_bytes()
    assert files[1].read_bytes().startswith(b"\x89PNG")


def test_pyplot_and_the_users_settings_stay_out_of_it(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw(FIGURES[0], tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_categories_are_those_of_all_series_in_order():
    assert categories_of(FIGURES[1]) == ["2", "3", "4"]
    assert categories_of(FIGURES[0]) == []


def test_stacked_bars_stand_on_those_of_their_own_category(tmp_path):
    from kerastickets.figures.matplotlib_figures import _canvas

    axes = _canvas(FIGURES[2]).axes[0]
    boxes = [(bar.get_x() + bar.get_width() / 2, bar.get_y(), bar.get_height()) for bar in axes.patches]
    np.testing.assert_allclose(boxes, [(0, 0, 0.9), (1, 0, np.nan), (1, 0, 0.7), (2, 0, 0.6)])


def test_areas_are_filled_from_the_top_of_those_before(tmp_path):
    from kerastickets.figures.matplotlib_figures import _canvas

    chart = next(figure for figure in FIGURES if figure.name == "areas")
    first, second = (area.get_paths()[0].vertices for area in _canvas(chart).axes[0].collections)
    assert {tuple(point) for point in first} == {(0, 0), (1, 0), (2, 0), (0, 1), (1, 0.5), (2, 0.25)}
    assert {tuple(point) for point in second} == {(0, 1), (1, 0.5), (2, 0.25), (1, 1), (2, 1)}


def test_a_network_has_a_line_an_edge_a_dot_a_neuron_and_a_legend(tmp_path, letters):
    from kerastickets.figures.matplotlib_figures import _canvas

    canvas = _canvas(NET)
    axes = canvas.axes[0]
    assert sum(len(lines.get_segments()) for lines in axes.collections) == 4
    assert sum(len(dots.get_xdata()) for dots in axes.lines) == 6
    assert [text.get_text() for text in canvas.legends[0].get_texts()] == [*NET.kinds()]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["input", "dense", "out"]


def test_the_shades_of_a_heat_map_lie_between_the_ends_it_names():
    from kerastickets.figures.matplotlib_figures import _canvas

    heatmap = Heatmap("h", "H", "ab", "c", [[0.5, 0.7]], "alt", range=(0, 1))
    assert _canvas(heatmap).axes[0].images[0].get_clim() == (0, 1)


def test_no_name_leads_out_of_the_folder(tmp_path):
    figure = Chart("../out", "T", "x", "y", (), "alt")
    assert [file.parent for file in draw(figure, tmp_path / "in")] == [tmp_path / "in"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def texts(path):
    return [element.text for element in ElementTree.parse(path).iter() if element.tag.endswith("text")]


@pytest.fixture
def letters(monkeypatch):
    """SVG with text as text, where tests can read it."""
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")


@pytest.mark.parametrize(("side", "numbers", "last"), [(26, 26 * 26, "25"), (28, 0, "24")])
def test_a_map_of_pixels_has_no_number_in_each_cell(tmp_path, letters, side, numbers, last):
    heatmap = Heatmap("m", "M", range(side), range(side), [[0.5] * side] * side, "Flat.", format=".3f")
    shown = texts(save(heatmap, tmp_path / "m.svg"))
    assert len([text for text in shown if text == "0.500"]) - numbers in (0, 1)  # the colour bar's
    assert [text for text in shown if text.isdigit()][-1] == last


@pytest.mark.parametrize(("names", "slanted"), [("abc", False), (["dense_100/kernel"] * 3, True)])
def test_long_names_of_categories_are_slanted(tmp_path, letters, names, slanted):
    names = [f"{name}{n}" for n, name in enumerate(names)]
    chart = Chart("c", "C", "layer", "y", (Series("a", names, [1, 2, 3], style="bar"),), "Bars.")
    assert ("rotate(-25)" in save(chart, tmp_path / "c.svg").read_text()) == slanted


def test_a_figure_is_saved_as_what_its_file_is_called(tmp_path):
    heatmap = Heatmap("m", "M", "a", "b", [[1]], "One.")
    assert save(heatmap, tmp_path / "m.PNG").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(RecipeError, match=r"saved as \.svg or \.png. Received: .*m\.pdf"):
        save(heatmap, tmp_path / "m.pdf")
