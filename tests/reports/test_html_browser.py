"""Reports in a real browser: `make test-browser`."""

import pytest

from kerastickets.reports.html import Section, page
from kerastickets.reports.write import report
from tests.helpers import browser
from tests.helpers.folders import HOSTILE, make_run, make_study
from tests.helpers.networks import NET

PROGRAM = browser.find()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        PROGRAM is None, reason=f"none of {', '.join(browser.NAMES)} is installed; set CHROMIUM"
    ),
]


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser.opened(PROGRAM, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for seed in (0, 1):
        make_run(folder / "seeds" / f"seed-{seed}", seed=seed)
    folders = {
        "run": make_run(folder / "run"),
        "seeds": folder / "seeds",
        "study": make_study(folder / "study"),
        "hostile": make_study(folder / "hostile", HOSTILE),
        "many": make_run(folder / "many", levels=4, name=HOSTILE, environment={HOSTILE: HOSTILE}),
    }
    return {name: report(path) for name, path in folders.items()}


@pytest.mark.parametrize(("width", "theme"), [(1200, "light"), (400, "dark")])
@pytest.mark.parametrize("name", ["run", "seeds", "study", "hostile", "many"])
def test_opens_without_a_complaint_and_fetches_nothing(tab, pages, name, width, theme):
    tab.open(pages[name], width, theme=theme)
    assert tab.complaints() == []
    assert tab.requests() == []
    assert tab.run("performance.getEntriesByType('resource').length") == 0
    assert tab.run("document.documentElement.scrollWidth <= innerWidth"), "the page itself scrolls sideways"


MARKS = """[...document.querySelectorAll('.plot')].map(plot => plot.querySelectorAll(
    '.scatterlayer .js-line, .scatterlayer .point, .barlayer .point path, .heatmaplayer image').length)"""


def test_every_chart_has_marks(tab, pages):
    tab.open(pages["run"])
    accuracy, curves, densities, overlap = tab.run(MARKS)
    assert accuracy == 2 * (1 + 4)  # validation and test: a line and a point for each of four levels
    assert curves == 4
    assert densities == 2 * (1 + 4)
    assert overlap == 1
    tab.open(pages["study"])
    assert tab.run(MARKS) == [2 + 3 + 1, 4, 1]  # two lines, three points and a band; bars; an image


def test_boxes_of_the_lineage_are_drawn(tab, pages):
    tab.open(pages["run"])
    assert tab.run("document.querySelectorAll('svg.graph rect').length") == 4


def test_hovering_shows_values(tab, pages):
    tab.open(pages["study"])
    tab.hover("#plot-2 .scatterlayer .point:nth-of-type(2)")
    text = tab.until("document.querySelector('#plot-2 .hovertext')?.textContent")
    assert "merging: 1" in text
    assert "accuracy: 50.0%" in text
    assert "40.0% to 60.0%" in text
    tab.hover("#plot-4 .heatmaplayer image")
    text = tab.until("document.querySelector('#plot-4 .hovertext')?.textContent")
    assert "row: " in text
    assert any(value in text for value in ("1.00", "0.50"))


def test_a_network_is_drawn_and_tells_of_what_the_mouse_is_on(tab, tmp_path):
    file = tmp_path / "net.html"
    file.write_text(page("Net", [Section("Drawn", items=(NET,))]), encoding="utf-8")
    tab.open(file)
    assert tab.complaints() == []
    lines, dots = "'.plot .js-line'", "'.plot .points path'"
    assert tab.run(f"document.querySelectorAll({lines}).length") == 4
    legend = tab.run("[...document.querySelectorAll('.legendtext')].map(text => text.textContent)")
    assert legend == [*NET.kinds()]
    assert (
        tab.run(f"document.querySelectorAll({dots}).length") == 4 + 6
    )  # a point for the mouse on each edge, and a dot a neuron
    tab.hover(".plot .trace:last-child .points path")
    text = tab.until("document.querySelector('.plot .hovertext')?.textContent")
    assert "input 0" in text or "dense 2" in text


COLUMN = "[...document.querySelectorAll('.table tbody')[0].rows].map(row => row.cells[{}].textContent)"
SORTED = "document.querySelectorAll('.table th')[{}].getAttribute('aria-sort')"


def test_a_table_sorts_by_mouse_and_keyboard(tab, pages):
    tab.open(pages["study"])
    assert tab.run(COLUMN.format(0)) == ["10", "2", "3"]
    tab.click(".table th:nth-child(1) button")
    assert tab.run(COLUMN.format(0)) == ["2", "3", "10"], "by value, not by letter"
    assert tab.run(SORTED.format(0)) == "ascending"
    tab.press("Enter")
    assert tab.run(COLUMN.format(0)) == ["10", "3", "2"]
    assert tab.run(SORTED.format(0)) == "descending"
    tab.press("Tab")
    tab.press("Enter")
    assert tab.run(COLUMN.format(1)) == ["ATM", "DTM", "merging"]
    assert [tab.run(SORTED.format(n)) for n in range(3)] == ["none", "ascending", "none"]
    tab.press("Tab")
    for order in (["25.0%", "90.0%", "\N{EN DASH}"], ["90.0%", "25.0%", "\N{EN DASH}"]):
        tab.press("Enter")
        assert tab.run(COLUMN.format(2)) == order, "what is missing comes last"


def test_the_theme_follows_the_system_and_the_button(tab, pages):
    background = "getComputedStyle(document.body).backgroundColor"
    ink = "document.querySelector('#plot-2 .xtick text').style.fill"
    light, dark = ("rgb(255, 255, 255)", "rgb(22, 25, 29)"), ("rgb(18, 21, 25)", "rgb(230, 233, 238)")

    def shown():
        return tab.run(background), tab.run(ink)

    tab.open(pages["study"], theme="dark")
    assert shown() == dark
    tab.theme("light")
    tab.until(f"{ink} === '{light[1]}'")
    assert shown() == light
    for expected in (light, dark, light):  # light, dark, and the system's again
        tab.click("#theme")
        tab.until(f"{ink} === '{expected[1]}'")
        assert shown() == expected


def test_charts_fit_a_window_that_narrows(tab, pages):
    tab.open(pages["run"])
    tab.resize(400)
    tab.until("[...document.querySelectorAll('.plot .main-svg')].every(svg => svg.clientWidth <= 400)")
    assert tab.run("document.documentElement.scrollWidth") == 400


def test_names_of_strangers_are_shown_as_they_are(tab, pages):
    tab.open(pages["hostile"])
    assert tab.run("document.querySelector('h1').textContent") == f"Merging {HOSTILE}"
    assert tab.run("document.querySelectorAll('img, main a:not(.csv)').length") == 0
    legend = tab.run("document.querySelector('#plot-2 .legendtext').textContent")
    assert "<script>alert(1)</script>" in legend


def test_a_csv_is_downloaded(tab, pages):
    tab.open(pages["study"])
    link = "document.querySelector('.table a.csv').href"
    assert (
        tab.run(f"decodeURIComponent({link}.replace(/^[^,]*,/, ''))")
        == "tickets,method,accuracy\n10,DTM,0.9\n2,merging,\n3,ATM,0.25\n"
    )


def test_an_old_browser_shows_the_numbers_instead(tab, pages, tmp_path):
    text = pages["study"].read_text(encoding="utf-8")
    old = tmp_path / "old.html"
    old.write_text(text.replace("new DecompressionStream(", "new NoSuchStream("), encoding="utf-8")
    tab.call("Page.navigate", url=old.as_uri())
    shown = tab.until("document.querySelector('.plot')?.textContent")
    assert shown.startswith("This browser cannot draw the chart")
    assert tab.run("[...document.querySelectorAll('figure:has(.plot) details')].every(part => part.open)")
