"""Draw charts, heat maps, graphs and networks as image files, for papers and for pages without scripts."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerastickets.errors import RecipeError
from kerastickets.figures.chart import Chart, Figure, Graph, Heatmap, Series
from kerastickets.figures.matplotlib_network import draw_network, net_size
from kerastickets.figures.network import Network
from kerastickets.figures.palette import LIGHT
from kerastickets.figures.table import file_stem, shown_number
from kerastickets.figures.ticket_tree import places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

#: Width and height in inches, and dots per inch. The width is that of a paper's column.
_WIDTH, _HEIGHT, _DPI = 3.5, 2.7, 300
_MARKERS = "osD^vPX*"
#: The most letters that fit side by side below an axis.
_LETTERS = 44
#: The most rows or columns of a heat map whose cells have room for numbers.
_MOST_CELLS = 26
#: The most columns of a heat map whose numbers can be written large.
_FEW_CELLS = 8


def draw(figure: Figure, folder: str | Path) -> tuple[Path, Path]:
    """Write a figure as SVG and as PNG. Equal figures give equal bytes.

    Args:
        figure: a chart, a heat map, a graph or a network.
        folder: the folder for `<name>.svg` and `<name>.png`. It is created if missing.

    Returns:
        The paths of the SVG and of the PNG file.

    Raises:
        OSError: a file cannot be written.

    Example:
        >>> import tempfile
        >>> chart = Chart("rise", "A rise", "epoch", "accuracy", (Series("seed 0", [0, 1], [0, 1]),), "It rises.")
        >>> [path.name for path in draw(chart, tempfile.mkdtemp())]
        ['rise.svg', 'rise.png']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stem = file_stem(figure.name)
    return save(figure, folder / f"{stem}.svg"), save(figure, folder / f"{stem}.png")


def save(figure: Figure, file: str | Path) -> Path:
    """Write a figure as one image file. Equal figures give equal bytes.

    Args:
        figure: a chart, a heat map, a graph or a network.
        file: the path of the file. Its folder must exist, and its name must end in `.svg` or `.png`.

    Returns:
        The path.

    Raises:
        RecipeError: the name has another ending.
        OSError: the file cannot be written.
    """
    file = Path(file)
    metadata: dict[str, dict[str, Any]] = {
        ".svg": {"Date": None, "Creator": None},
        ".png": {"Software": None},
    }
    kind = file.suffix.lower()
    if kind not in metadata:
        raise RecipeError(f"A figure must be saved as .svg or .png. Received: {file}")
    with _style(figure.name):
        _canvas(figure).savefig(file, dpi=_DPI if kind == ".png" else "figure", metadata=metadata[kind])
    return file


@contextmanager
def _style(name: str) -> Iterator[None]:
    import matplotlib

    quiet = dict.fromkeys(("xtick.color", "ytick.color", "axes.labelcolor"), LIGHT.quiet)
    settings: Any = {
        "svg.hashsalt": name,  # without it, identifiers in the SVG are random
        "font.family": "DejaVu Sans",  # comes with matplotlib, so text looks the same everywhere
        "font.size": 7,
        "axes.titlesize": 8,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": LIGHT.quiet,
        "axes.linewidth": 0.6,
        "axes.axisbelow": True,
        "grid.color": LIGHT.line,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.2,
        "lines.markersize": 3.2,
        "legend.frameon": False,
        "text.color": LIGHT.text,
        "text.parse_math": False,  # a dollar sign in a name is plain text
        "axes.titlecolor": LIGHT.text,
        **quiet,
    }
    with matplotlib.rc_context(settings):
        yield


def _canvas(figure: Figure) -> "Canvas":
    # Not pyplot: it keeps every figure, and its state belongs to the user.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=_size(figure), layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    axes.set_title(figure.title, wrap=True)
    if isinstance(figure, Chart):
        _draw_chart(canvas, axes, figure)
    elif isinstance(figure, Heatmap):
        _draw_heatmap(canvas, axes, figure)
    elif isinstance(figure, Network):
        draw_network(canvas, axes, figure)
    else:
        _draw_graph(axes, figure)
    return canvas


def _size(figure: Figure) -> tuple[float, float]:
    if isinstance(figure, Heatmap):
        rows, columns = len(figure.y_labels), len(figure.x_labels)
        if _fine(figure):
            # Several pictures side by side may fill the width of a page. A single one stays within a column.
            scale = max(2.6 / max(rows, columns), min(0.05, 6.0 / columns))
            return max(_WIDTH, 1.1 + scale * columns), 0.7 + scale * rows
        return max(_WIDTH, 1.4 + 0.26 * columns), max(_HEIGHT, 1.0 + 0.22 * rows)
    if isinstance(figure, Network):
        return net_size(figure)
    if isinstance(figure, Graph):
        where = places(figure).values()
        columns, rows = (max((place[n] for place in where), default=0) + 1 for n in (0, 1))
        return max(_WIDTH, 1.0 * columns), max(1.0, 0.4 + 0.45 * rows)
    return _WIDTH, _HEIGHT + 0.13 * (len(figure.named()) // 2)


def _draw_chart(canvas: "Canvas", axes: "Axes", chart: Chart) -> None:
    categories = categories_of(chart)
    bars = [series for series in chart.series if series.style == "bar"]
    named = chart.named()
    floor: dict[Any, float] = defaultdict(float)
    chosen = chart.colours()
    colours = LIGHT.colours(max(chosen, default=0) + 1)
    for index, (series, slot) in enumerate(zip(chart.series, chosen, strict=True)):
        colour = colours[slot]
        label = series.name if index in named else "_nolegend_"
        x: list[Any] = [categories.index(str(one)) for one in series.x] if categories else list(series.x)
        if series.style == "bar" and chart.stacked:
            _draw_bars(axes, series, x, 0.8, colour, label, [floor[n] for n in x])
            _pile(floor, x, series)
        elif series.style == "area":
            low = [floor[at] for at in x]
            _pile(floor, x, series)
            axes.fill_between(x, low, [floor[at] for at in x], color=colour, lw=0, label=label)
        elif series.style == "bar":
            width = 0.8 / len(bars)
            places = [n + (bars.index(series) - (len(bars) - 1) / 2) * width for n in x]
            _draw_bars(axes, series, places, width, colour, label, [0.0] * len(x))
        else:
            _draw_line(axes, series, x, colour, label, _MARKERS[slot % len(_MARKERS)])
    _draw_axes(axes, chart, categories)
    if len(chart.series) > 1:
        columns = 2 if max(len(series.name) for series in chart.series) > 10 else 3
        canvas.legend(loc="outside lower center", ncols=columns, handlelength=1.6, columnspacing=1.2)


def _pile(floor: dict[Any, float], x: list[Any], series: Series) -> None:
    """Add the series' heights to `floor`, the height at which the next bar or area begins."""
    for at, height in zip(x, series.y, strict=True):
        floor[at] += height or 0.0


def categories_of(chart: Chart) -> list[str]:
    """The category names along the horizontal axis, in order. Empty if the axis is numeric."""
    named = any(series.style == "bar" or isinstance(x, str) for series in chart.series for x in series.x)
    return list(dict.fromkeys(str(x) for series in chart.series for x in series.x)) if named else []


def _draw_line(axes: "Axes", series: Series, x: list[Any], colour: str, label: str, marker: str) -> None:
    y = _floats(series.y)
    line = "" if series.style == "points" else ("--" if series.dashed else "-")
    mark = marker if "points" in series.style else ""
    if series.style == "points":
        axes.errorbar(x, y, yerr=_ends(series), fmt="none", ecolor=colour, elinewidth=0.8, capsize=2)
    elif series.low is not None and series.high is not None:
        alone: dict[str, Any] = {"label": label} if series.style == "band" else {}
        axes.fill_between(
            x, _floats(series.low), _floats(series.high), color=colour, alpha=0.18, lw=0, **alone
        )
    if series.style != "band":
        axes.plot(x, y, linestyle=line, marker=mark, color=colour, label=label)


def _draw_bars(
    axes: "Axes", series: Series, x: list[Any], width: float, colour: str, label: str, floor: list[float]
) -> None:
    look: dict[str, Any] = {
        "color": colour,
        "edgecolor": LIGHT.page,
        "hatch": "///" if series.dashed else None,
    }
    ends = {"elinewidth": 0.8, "ecolor": LIGHT.text}
    axes.bar(
        x, _floats(series.y), width, bottom=floor, label=label, yerr=_ends(series), error_kw=ends, **look
    )


def _ends(series: Series) -> list[list[float]] | None:
    """The length of each error bar below and above its value."""
    if series.low is None or series.high is None:
        return None
    y, low, high = _floats(series.y), _floats(series.low), _floats(series.high)
    return [[b - a for a, b in zip(*pair, strict=True)] for pair in ((low, y), (y, high))]


def _draw_axes(axes: "Axes", chart: Chart, categories: list[str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    axes.grid(axis="y")
    for axis, log, spec in (
        (axes.xaxis, chart.x_log, chart.x_format),
        (axes.yaxis, chart.y_log, chart.y_format),
    ):
        if log:
            (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_formatter(NullFormatter())
            axis.set_major_formatter(FuncFormatter(lambda value, _, spec=spec: _tick(value, spec)))
        elif spec:
            axis.set_major_formatter(FuncFormatter(lambda value, _, spec=spec: _tick(value, spec)))
    if all(isinstance(x, int) for series in chart.series for x in series.x) and not chart.x_log:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    if categories:
        # Slant the names if they would overlap.
        slant: dict[str, Any] = (
            {"rotation": 25, "ha": "right"} if sum(map(len, categories)) > _LETTERS else {}
        )
        axes.set_xticks(range(len(categories)), categories, **slant)
    if chart.y_range:
        axes.set_ylim(*chart.y_range)
    if chart.x_reversed:
        axes.invert_xaxis()


def _tick(value: float, spec: str) -> str:
    """The text of a tick. Ticks can lie anywhere, so a percentage keeps its digits: 97.5 % stays 97.5 %."""
    return f"{value * 100:g}%" if spec.endswith("%") else shown_number(value, spec or "g")


def _fine(heatmap: Heatmap) -> bool:
    """Whether there are too many cells for numbers. Such a heat map is drawn as an image of pixels."""
    return max(len(heatmap.y_labels), len(heatmap.x_labels)) > _MOST_CELLS


def _draw_heatmap(canvas: "Canvas", axes: "Axes", heatmap: Heatmap) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    fine = _fine(heatmap)
    colours = LinearSegmentedColormap.from_list("heat", LIGHT.heat)
    values = [_floats(row) for row in heatmap.values]
    image = axes.imshow(values, cmap=colours, aspect="equal" if fine else "auto", interpolation="nearest")
    if heatmap.range:
        image.set_clim(*heatmap.range)
    columns, rows = (_ticks(labels, fine) for labels in (heatmap.x_labels, heatmap.y_labels))
    axes.set_xticks(
        columns, [heatmap.x_labels[n] for n in columns], rotation=60 if _long(heatmap) and not fine else 0
    )
    axes.set_yticks(rows, [heatmap.y_labels[n] for n in rows])
    axes.set_xlabel(heatmap.x_label)
    axes.set_ylabel(heatmap.y_label)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = canvas.colorbar(
        image, ax=axes, format=lambda value, _: shown_number(value, heatmap.format), pad=0.02
    )
    bar.outline.set_visible(False)
    if not fine:
        _write_numbers(axes, values, heatmap.format, image.get_clim())


def _ticks(labels: Sequence[str], fine: bool) -> list[int]:
    """The indices of the labels to write: all, or about seven evenly spaced ones if `fine`."""
    return list(range(0, len(labels), max(1, len(labels) // 7) if fine else 1))


def _write_numbers(axes: "Axes", values: Sequence[list[float]], spec: str, ends: tuple[float, float]) -> None:
    low, high = ends
    size = 4.5 if max(map(len, values), default=0) > _FEW_CELLS else 6.5
    for row, numbers in enumerate(values):
        for column, number in enumerate(numbers):
            if number == number:
                dark = number > low + 0.78 * (high - low)  # black text would be hard to read here
                color = LIGHT.page if dark else LIGHT.text
                text = format(number, spec)
                axes.text(column, row, text, ha="center", va="center", color=color, fontsize=size)


def _long(heatmap: Heatmap) -> bool:
    return max(map(len, heatmap.x_labels), default=0) > 4


def _draw_graph(axes: "Axes", graph: Graph) -> None:
    where = places(graph)
    for parent, child in graph.edges:
        (x, y), (to_x, to_y) = where[parent], where[child]
        axes.plot([x, to_x], [-y, -to_y], color=LIGHT.quiet, linewidth=0.7)  # boxes cover the line's ends
    for node in graph.nodes:
        x, y = where[node.key]
        text = f"{node.label}\n{node.detail}" if node.detail else node.label
        box = {
            "boxstyle": "round,pad=0.4",
            "facecolor": LIGHT.panel,
            "edgecolor": LIGHT.quiet,
            "linewidth": 0.6,
        }
        axes.text(x, -y, text, ha="center", va="center", bbox=box, fontsize=5.5)
    axes.set_xlim(-0.6, max((x for x, _ in where.values()), default=0) + 0.6)
    axes.set_ylim(-max((y for _, y in where.values()), default=0) - 0.6, 0.6)
    axes.set_axis_off()


def _floats(values: Any) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]
