"""Tables, charts, graphs and networks as plain values, and as image files.

Only `save` imports a drawing library; the values do not.
"""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.figures.chart import (
        Chart as Chart,
        Figure as Figure,
        Graph as Graph,
        Heatmap as Heatmap,
        Node as Node,
        Series as Series,
        figure as figure,
    )
    from kerastickets.figures.matplotlib_figures import save as save
    from kerastickets.figures.network import (
        Edge as Edge,
        Network as Network,
        Neuron as Neuron,
    )
    from kerastickets.figures.table import (
        Column as Column,
        Table as Table,
    )

__getattr__, __dir__, __all__ = offered(__name__)
