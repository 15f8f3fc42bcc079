"""Which exporters can write a model: try them all, or say what is known without writing."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kerastickets import registry
from kerastickets.cutting.cut_scores import ones
from kerastickets.data.dataset import Data
from kerastickets.errors import KerasTicketsError
from kerastickets.exporting.write import export
from kerastickets.foundations.tree import Tree
from kerastickets.inspection.findings import ExportFinding
from kerastickets.tickets.ticket import Ticket

_SHOWN = 300
NOT_TRIED = "not tried"


def untried(rebuilds_why: str) -> tuple[ExportFinding, ...]:
    """What is known about each format without writing a file.

    Args:
        rebuilds_why: why no ticket can build the model; empty if one can.
    """
    return tuple(_known(name, rebuilds_why) or ExportFinding(name, None, NOT_TRIED) for name in _names())


def tried(
    architecture: Mapping[str, Any],
    weights: Tree,
    shapes: Mapping[str, tuple[int, ...]],
    data: Data | None,
    custom_objects: Mapping[str, Any],
    rebuilds_why: str,
) -> tuple[ExportFinding, ...]:
    """Export a model in every format to a temporary folder, read each file back and compare the outputs.

    Args:
        architecture: the model's config; empty if no config builds it.
        weights: its weights.
        shapes: the shapes of the weights that masks are for, by key.
        data: the data to compare on; None takes random inputs.
        custom_objects: the classes of the model that Keras does not define.
        rebuilds_why: why no ticket can build the model; empty if one can.
    """
    return tuple(
        _known(name, rebuilds_why) or _try(name, architecture, weights, shapes, data, custom_objects)
        for name in _names()
    )


def _names() -> list[str]:
    return sorted(registry.names("exporters"))


def _known(name: str, rebuilds_why: str) -> ExportFinding | None:
    """What makes an export impossible whatever the model computes."""
    try:
        needed = getattr(registry.load("exporters", name), "needs", ())
    except KerasTicketsError as error:
        return ExportFinding(name, False, str(error))
    if missing := [module for module in needed if find_spec(module) is None]:
        return ExportFinding(
            name, False, f"it needs {', '.join(missing)}: pip install 'kerastickets[export]'"
        )
    if rebuilds_why:
        return ExportFinding(
            name, None, "not tried, since no ticket can build the model without its function"
        )
    return None


def _try(
    name: str,
    architecture: Mapping[str, Any],
    weights: Tree,
    shapes: Mapping[str, tuple[int, ...]],
    data: Data | None,
    custom_objects: Mapping[str, Any],
) -> ExportFinding:
    try:
        ticket = Ticket(architecture, ones(shapes), {"init": weights, "final": weights}, {"start": "init"})
        with _quiet(), tempfile.TemporaryDirectory() as folder:
            made = registry.create("exporters", name)
            path = Path(folder) / f"export{made.suffix}"
            export(ticket, made, path, data=data, custom_objects=custom_objects, latency=False)
    except Exception as error:  # an exporter calls other libraries, which may raise anything
        known = isinstance(error, KerasTicketsError)
        text = " ".join(str(error).split())[:_SHOWN]
        return ExportFinding(name, False, text if known else f"{type(error).__name__}: {text}")
    return ExportFinding(name, True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of TensorFlow about tracing one function for several nets, which is what this is for."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
