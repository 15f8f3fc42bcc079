"""Analyse a ticket's network, without Keras: which weights and neurons lie on a path from input to output."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.structure.analysis import (
        Analyzer as Analyzer,
        analyze as analyze,
    )
    from kerastickets.structure.networkx_graph import (
        save_graphml as save_graphml,
        to_networkx as to_networkx,
    )
    from kerastickets.structure.reachability import Structure as Structure
    from kerastickets.structure.tracing import trace as trace

__getattr__, __dir__, __all__ = offered(__name__)
