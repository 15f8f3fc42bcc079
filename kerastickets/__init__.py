"""kerastickets: find, combine, transfer, analyse and ship lottery tickets with Keras 3 and TensorFlow.

Importing it imports nothing heavy; names load on first use, and those that work on tickets alone never
import TensorFlow.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerastickets import callbacks, layers, registry, testing
    from kerastickets.alignment import align
    from kerastickets.analysis import analyze
    from kerastickets.compact import compact
    from kerastickets.data import CROSS_ENTROPY, Data, Task, task_cross_entropy
    from kerastickets.errors import (
        AlignError,
        DataError,
        ExportError,
        KerasTicketsError,
        LayerCollapseError,
        PluginError,
        RecipeError,
        TicketError,
    )
    from kerastickets.evaluation import evaluate
    from kerastickets.export import export
    from kerastickets.extension import extend_network
    from kerastickets.fitting import fit_learning_curve
    from kerastickets.joining import join_data
    from kerastickets.mask import compare, cut
    from kerastickets.masking import masks_of, sparsify, strip
    from kerastickets.networks import save_graphml, to_networkx
    from kerastickets.oneshot import winning_ticket
    from kerastickets.prune import prune
    from kerastickets.run import Level, Run
    from kerastickets.schedule import Schedule, plan
    from kerastickets.scoring import Scoring
    from kerastickets.steps import Duration
    from kerastickets.ticket import Ticket
    from kerastickets.together import train_many
    from kerastickets.train import train
    from kerastickets.transfer import transfer
    from kerastickets.tree import Tree
    from kerastickets.winning import is_winning

_HOMES = {
    "AlignError": "errors",
    "CROSS_ENTROPY": "data",
    "Data": "data",
    "DataError": "errors",
    "Duration": "steps",
    "ExportError": "errors",
    "KerasTicketsError": "errors",
    "LayerCollapseError": "errors",
    "Level": "run",
    "PluginError": "errors",
    "RecipeError": "errors",
    "Run": "run",
    "Schedule": "schedule",
    "Scoring": "scoring",
    "Task": "data",
    "Ticket": "ticket",
    "TicketError": "errors",
    "Tree": "tree",
    "align": "alignment",
    "analyze": "analysis",
    "compact": "compact",
    "compare": "mask",
    "cut": "mask",
    "evaluate": "evaluation",
    "export": "export",
    "extend_network": "extension",
    "fit_learning_curve": "fitting",
    "is_winning": "winning",
    "join_data": "joining",
    "masks_of": "masking",
    "plan": "schedule",
    "prune": "prune",
    "save_graphml": "networks",
    "sparsify": "masking",
    "strip": "masking",
    "task_cross_entropy": "data",
    "to_networkx": "networks",
    "train": "train",
    "train_many": "together",
    "transfer": "transfer",
    "winning_ticket": "oneshot",
}
_MODULES = ("callbacks", "layers", "registry", "testing")

__all__ = [
    "CROSS_ENTROPY",
    "AlignError",
    "Data",
    "DataError",
    "Duration",
    "ExportError",
    "KerasTicketsError",
    "LayerCollapseError",
    "Level",
    "PluginError",
    "RecipeError",
    "Run",
    "Schedule",
    "Scoring",
    "Task",
    "Ticket",
    "TicketError",
    "Tree",
    "align",
    "analyze",
    "callbacks",
    "compact",
    "compare",
    "cut",
    "evaluate",
    "export",
    "extend_network",
    "fit_learning_curve",
    "is_winning",
    "join_data",
    "layers",
    "masks_of",
    "plan",
    "prune",
    "registry",
    "save_graphml",
    "sparsify",
    "strip",
    "task_cross_entropy",
    "testing",
    "to_networkx",
    "train",
    "train_many",
    "transfer",
    "winning_ticket",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"kerastickets.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'kerastickets' has no attribute {name!r}")
    value = getattr(import_module(f"kerastickets.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """This package, in which `prune` and `train` stay functions although modules bear their names.

    Importing a module binds it in its package under its own name, whoever imports it and whenever: after
    `from kerastickets.prune import history` alone, `kerastickets.prune` would be the module.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        shadowed = isinstance(value, ModuleType) and name in _HOMES
        super().__setattr__(name, getattr(value, name) if shadowed else value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted(__all__)
