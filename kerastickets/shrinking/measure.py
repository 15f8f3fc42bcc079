"""The size of a ticket's exported file, and the time that its compacted model takes for one example."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerastickets.data.dataset import Data
from kerastickets.data.splits import rows
from kerastickets.errors import KerasTicketsError
from kerastickets.exporting.latency import latencies
from kerastickets.exporting.protocol import Exporter
from kerastickets.exporting.report import size_of
from kerastickets.models.trained_model import trained_model
from kerastickets.tickets.ticket import Ticket

if TYPE_CHECKING:
    import keras

_SECONDS = 2.0


def size_of_export(
    exporter: Exporter | None, data: Data, compact: bool, custom_objects: Mapping[str, Any] | None
) -> Callable[[Ticket], int]:
    """A function that writes a ticket's export into a temporary folder, and gives its size in bytes.

    Args:
        exporter: the exporter.
        data: the data set, for exporters that calibrate on it.
        compact: whether the model is compacted before.
        custom_objects: the caller's classes by name.
    """

    def size(ticket: Ticket) -> int:
        assert exporter is not None
        model = _model(ticket, data, compact, custom_objects)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"net{exporter.suffix}")
            exporter(ticket, path, model=model, data=data)
            return size_of(path)

    return size


def latency_of(data: Data, custom_objects: Mapping[str, Any] | None) -> Callable[[Ticket], float]:
    """A function that gives the median time of a ticket's compacted model for one example, in milliseconds."""

    def latency(ticket: Ticket) -> float:
        models = {"compacted": _model(ticket, data, True, custom_objects)}
        x = rows(data.validation[0], slice(1))
        return latencies(models, x, batches=(1,), seconds=_SECONDS)["compacted"]["1"]["p50"]

    return latency


def _model(
    ticket: Ticket, data: Data, compact: bool, custom_objects: Mapping[str, Any] | None
) -> "keras.Model":
    from kerastickets.compaction.compact_model import compact as compacted

    net = trained_model(ticket, custom_objects)
    if not compact:
        return net
    try:
        return compacted(net, custom_objects, rows(data.validation[0], slice(1))).model
    except KerasTicketsError:  # what cannot be compacted is exported as it is
        return net
