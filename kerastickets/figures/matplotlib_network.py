"""Draw a `Network` with matplotlib, for the image files of `kerastickets.figures.matplotlib_figures`."""

from typing import TYPE_CHECKING

from kerastickets.figures.network import Network
from kerastickets.figures.network_layout import net_places
from kerastickets.figures.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

#: The kinds of lines that are drawn first, in this order. All other kinds are drawn on top of them.
_ORDER = ("inactive", "zombie")
#: If there are more lines than this, they are drawn thin and pale so that each stays visible.
_MANY = 300


def net_size(network: Network) -> tuple[float, float]:
    """Width and height in inches. A small network fits a column; more or wider layers make it larger."""
    tallest = max((_linked(network, layer) for layer in network.layers), default=0)
    legend = 0.13 * ((len(network.kinds()) + 1) // 2)
    return max(3.5, 1.0 + 1.1 * len(network.layers)), min(6.0, max(2.2, 1.0 + 0.11 * tallest)) + legend


def draw_network(canvas: "Canvas", axes: "Axes", network: Network) -> None:
    """Draw a network with a legend of its categories and groups."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    places = net_places(network)
    colours = {kind: LIGHT.series[slot] for kind, slot in network.kinds().items()}
    few = len(network.edges) <= _MANY
    for kind in sorted(colours, key=lambda kind: (*_ORDER, kind).index(kind)):
        lines = [
            (places[edge.source], places[edge.target]) for edge in network.edges if network.kind(edge) == kind
        ]
        look = {"linewidths": 0.6 if few else 0.35, "alpha": 0.8 if few else 0.5, "zorder": 1}
        axes.add_collection(LineCollection(lines, colors=colours[kind], **look))
        dots = [place for place, neuron in zip(places, network.neurons, strict=True) if neuron.kind == kind]
        size = _dot(network) * (0.6 if kind == "isolated" else 1.0)
        fill = LIGHT.page if kind == "isolated" else colours[kind]
        x, y = zip(*dots, strict=True) if dots else ((), ())
        axes.plot(
            x,
            y,
            "o",
            color=fill,
            markeredgecolor=colours[kind],
            markersize=size,
            markeredgewidth=0.5,
            zorder=2,
        )
    axes.set_xticks(range(len(network.layers)), network.layers)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.4, max(1, len(network.layers)) - 0.6)
    axes.set_ylim(max([1.0, *(y for _, y in places)]) + 0.03, -0.03)
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=3.2, linewidth=0 if kind == "isolated" else 1.0,
               markerfacecolor=LIGHT.page if kind == "isolated" else colour, label=kind)
        for kind, colour in colours.items()
    ]  # fmt: skip
    canvas.legend(
        handles=handles, loc="outside lower center", ncols=min(4, len(handles) or 1), handlelength=1.6
    )


def _linked(network: Network, layer: str) -> int:
    return sum(neuron.layer == layer and neuron.category != "isolated" for neuron in network.neurons)


def _dot(network: Network) -> float:
    """The diameter of a neuron in points: as large as the tallest column allows, but from 1 to 5."""
    tallest = max((_linked(network, layer) for layer in network.layers), default=1)
    return min(5.0, max(1.0, 0.55 * 72 * (net_size(network)[1] - 0.8) / max(1, tallest)))
