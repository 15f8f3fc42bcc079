"""Build one self-contained HTML page of tables and figures that needs no network.

The page may show text from a stranger's file. Therefore all text is escaped. The page's content security
policy forbids the browser to fetch anything, or to run anything except the scripts written here.
"""

import base64
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.metadata import version
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from kerastickets.figures.chart import Chart, Figure, Graph, Heatmap, Network
from kerastickets.figures.palette import DARK, LIGHT, Palette
from kerastickets.figures.table import Column, Table, file_stem, plain_value
from kerastickets.figures.ticket_tree import svg
from kerastickets.reports.network_plot import net_data, net_plot

Item = Table | Chart | Heatmap | Graph | Network | Mapping[str, Any] | str

#: The most rows to show as the numbers of a figure. Longer tables would outgrow the figure; their CSV remains.
_MOST_ROWS = 500
#: Cells with more characters than this break into several lines.
_LONG = 40
#: Headers with more characters than this break into several lines.
_WIDE = 16


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Args:
        title: heading of the section.
        intro: text under the heading. Empty lines separate paragraphs; lines that start with `- ` form a
            list; `` `code` `` and `**bold**` are marked up; all other text appears unchanged.
        items: contents: tables, charts, heat maps, graphs, networks, mappings from names to values, and more
            text.
    """

    title: str
    intro: str = ""
    items: tuple[Item, ...] = ()


def page(title: str, sections: Iterable[Section], subtitle: str = "") -> str:
    """Build a self-contained HTML page.

    Readers can sort tables by their headers and download them as CSV. Figures are interactive. Each figure
    has a text alternative and a table of its numbers. The page follows the reader's choice of a light or dark
    theme and fits narrow screens.

    Args:
        title: heading of the page.
        sections: the sections, from top to bottom.
        subtitle: a line under the heading.

    Returns:
        HTML. With the same version of Plotly, equal arguments give equal text.

    Example:
        >>> text = page("Tickets", [Section("Densities", "All of `them`.")])
        >>> text.startswith("<!DOCTYPE html>"), "<code>them</code>" in text
        (True, True)
    """
    sections = list(sections)
    plots = any(isinstance(item, Chart | Heatmap | Network) for section in sections for item in section.items)
    anchors = [f"section-{number}" for number in range(1, len(sections) + 1)]
    counter = iter(range(1, 1 + sum(len(section.items) for section in sections)))
    body = [_section(section, anchor, counter) for section, anchor in zip(sections, anchors, strict=True)]
    parts = {
        "title": escape(title),
        "subtitle": f'<p class="subtitle">{inline(subtitle)}</p>' if subtitle else "",
        "style": _themes() + _asset("page.css"),
        "contents": _contents(sections, anchors) if len(sections) > 2 else "",
        "body": "\n".join(body),
        "made_by": f"kerastickets {escape(version('kerastickets'))}",
        "plotly": f'<script type="text/plain" id="plotly">{_plotly()}</script>' if plots else "",
        "script": _asset("page.js"),
    }
    text = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("page.html"))
    return text.encode(
        "utf-8", "replace"
    ).decode()  # JSON may contain half of a surrogate pair, but a UTF-8 file cannot


def prose(text: str) -> str:
    """Render text as HTML: paragraphs, lists, code and bold words; all other text is escaped.

    Example:
        >>> prose("See `run.json`.\\n\\n- **1** <b>")
        '<p>See <code>run.json</code>.</p>\\n<ul><li><strong>1</strong> &lt;b&gt;</li></ul>'
    """
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
    return "\n".join(_block(block) for block in blocks)


def inline(text: str) -> str:
    """Render a line of text as HTML: code and bold words; all other text is escaped."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked)


def figure_table(figure: Figure) -> Table:
    """A table of the numbers that a figure shows.

    Example:
        >>> figure_table(Heatmap("iou", "Overlap", ("a",), ("b",), [[0.5]], "Half.")).rows
        ({'row': 'b', 'column': 'a', 'value': 0.5},)
    """
    if isinstance(figure, Heatmap):
        columns = (
            Column("row", figure.y_label),
            Column("column", figure.x_label),
            Column("value", "", figure.format),
        )
        cells = [
            {"row": row, "column": column, "value": value}
            for row, values in zip(figure.y_labels, figure.values, strict=True)
            for column, value in zip(figure.x_labels, values, strict=True)
        ]
        return Table(figure.name, figure.title, columns, tuple(cells))
    if isinstance(figure, Network):
        return net_data(figure)
    if isinstance(figure, Graph):
        parents = {node.key: [a for a, b in figure.edges if b == node.key] for node in figure.nodes}
        labels = {node.key: f"{node.label} {node.detail}".strip() for node in figure.nodes}
        rows = [
            {"name": labels[key], "from": ", ".join(labels[parent] for parent in parents[key]) or None}
            for key in figure.ordered()
        ]
        return Table(figure.name, figure.title, (Column("name"), Column("from")), tuple(rows))
    return _chart_data(figure)


def _chart_data(chart: Chart) -> Table:
    ends = any(series.low is not None for series in chart.series)
    columns = [
        Column("series"),
        Column("x", chart.x_label, chart.x_format),
        Column("y", chart.y_label, chart.y_format),
    ]
    columns += [Column("low", "", chart.y_format), Column("high", "", chart.y_format)] if ends else []
    rows = [
        {"series": series.name, "x": x, "y": y}
        | ({"low": series.low[n], "high": series.high[n]} if series.low and series.high else {})
        for series in chart.series
        for n, (x, y) in enumerate(zip(series.x, series.y, strict=True))
    ]
    return Table(chart.name, chart.title, tuple(columns), tuple(rows))


def _section(section: Section, anchor: str, counter: Iterator[int]) -> str:
    items = "\n".join(_item(item, next(counter)) for item in section.items)
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n<h2 id="{anchor}-title">'
        f"{inline(section.title)}</h2>\n{prose(section.intro)}\n{items}\n</section>"
    )


def _item(item: Item, number: int) -> str:
    if isinstance(item, str):
        return prose(item)
    if isinstance(item, Table):
        return table_html(item)
    if isinstance(item, Mapping):
        pairs = "".join(f"<dt>{inline(name)}</dt><dd>{_value(value)}</dd>" for name, value in item.items())
        return f"<dl>{pairs}</dl>"
    return _figure(item, number)


def table_html(table: Table) -> str:
    """Render a table with headers that sort it, its note and a CSV download."""
    return (
        f'<div class="table"><div class="above"><h3>{inline(table.title)}</h3>{_download(table)}</div>'
        f"{_grid(table)}{_note(table.note)}</div>"
    )


def _grid(table: Table) -> str:
    numeric = {column.key: table.numeric(column) for column in table.columns}
    head = "".join(
        f'<th scope="col" aria-sort="none"{_head_class(column, numeric[column.key])}>'
        f'<button type="button">{inline(column.label)}</button></th>'
        for column in table.columns
    )
    rows = "".join(
        f"<tr>{''.join(_cell(column, row[column.key], numeric[column.key]) for column in table.columns)}</tr>\n"
        for row in table.rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">'
        f'<table class="sortable"><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>'
    )


def _cell(column: Column, value: Any, numeric: bool) -> str:
    sorts = f' data-v="{value!r}"' if numeric and value is not None else ""
    text = column.show(value)
    kind = _class(numeric) or (' class="long"' if len(text) > _LONG else "")
    return f"<td{kind}{sorts}>{escape(text)}</td>"


def _head_class(column: Column, numeric: bool) -> str:
    names = [*(["number"] if numeric else []), *(["wide"] if len(column.label) > _WIDE else [])]
    return f' class="{" ".join(names)}"' if names else ""


def _class(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _download(table: Table) -> str:
    address = f"data:text/csv;charset=utf-8,{quote(table.csv(), safe=',;:!*()', errors='replace')}"
    return (
        f'<a class="csv" download="{file_stem(table.name)}.csv" href="{address}" '
        f'aria-label="Download {escape(table.title)} as CSV">CSV</a>'
    )


def _note(text: str) -> str:
    return f'<p class="note">{inline(text)}</p>' if text else ""


def _figure(figure: Figure, number: int) -> str:
    label = f"{figure.title}. {figure.alt}"
    data = figure_table(figure)
    shown = _grid(data) if len(data.rows) <= _MOST_ROWS else f"<p>{len(data.rows):,} rows: see the CSV.</p>"
    if isinstance(figure, Graph):
        drawn = (
            f'<div class="scroll" tabindex="0" role="img" aria-label="{escape(label)}">{svg(figure)}</div>'
        )
    else:
        drawn = (
            f'<div class="plot" id="plot-{number}" role="img" aria-label="{escape(label)}"></div>'
            f'<script type="application/json" data-plot="plot-{number}">{_json(_plot(figure))}</script>'
        )
    return (
        f'<figure><div class="above"><h3>{inline(figure.title)}</h3>{_download(data)}</div>{drawn}'
        f"<figcaption>{inline(figure.alt)}{' ' + inline(figure.note) if figure.note else ''}</figcaption>"
        f"<details><summary>Numbers</summary>{shown}</details></figure>"
    )


def _plot(figure: Chart | Heatmap | Network) -> dict[str, Any]:
    if isinstance(figure, Network):
        return net_plot(figure)
    facts = figure.facts()
    if isinstance(figure, Chart):
        chosen = figure.colours()
        light, dark = (theme.colours(max(chosen, default=0) + 1) for theme in (LIGHT, DARK))
        facts |= {
            "light": [light[index] for index in chosen],
            "dark": [dark[index] for index in chosen],
            "named": figure.named(),
        }
    else:
        facts |= {"light": LIGHT.heat, "dark": DARK.heat}
    return facts


def _json(value: Any) -> str:
    """JSON for a script element, without any `<` that could end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _block(block: str) -> str:
    lines = block.splitlines()
    if all(line.lstrip().startswith("- ") for line in lines):
        return "<ul>" + "".join(f"<li>{inline(line.lstrip()[2:])}</li>" for line in lines) + "</ul>"
    return f"<p>{inline(' '.join(lines))}</p>"


def _value(value: Any) -> str:
    value = plain_value(value)
    if isinstance(value, dict) and value:
        pairs = "".join(
            f"<li><span>{escape(name)}</span> {_value(part)}</li>" for name, part in value.items()
        )
        return f'<ul class="pairs">{pairs}</ul>'
    if isinstance(value, list) and value:
        return ", ".join(map(_value, value))
    return escape(Column("value").show(value or None if isinstance(value, dict | list) else value))


def _contents(sections: Iterable[Section], anchors: Iterable[str]) -> str:
    links = "".join(
        f'<li><a href="#{anchor}">{inline(section.title)}</a></li>'
        for section, anchor in zip(sections, anchors, strict=True)
    )
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _themes() -> str:
    dark = _variables(DARK)
    return (
        f":root{{color-scheme:light;{_variables(LIGHT)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
    )


def _variables(palette: Palette) -> str:
    names = ("page", "text", "quiet", "line", "panel", "accent")
    return "".join(f"--{name}:{getattr(palette, name)};" for name in names)


def _asset(name: str) -> str:
    return (files("kerastickets.reports") / "assets" / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """Plotly's offline bundle, compressed to a third of its size; its text cannot end a script element."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()
