"""The contract of exporters as a function; `kerastickets.testing` offers it with the others."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kerastickets.data.dataset import Data
from kerastickets.errors import KerasTicketsError
from kerastickets.exporting.protocol import Exporter
from kerastickets.exporting.verification import largest_difference, outputs_of, read_back
from kerastickets.models.trained_model import trained_model
from kerastickets.models.variables import snapshot
from kerastickets.testing.expect import (
    called,
    check_form,
    check_json,
    class_name,
    content,
    difference,
    expect,
)
from kerastickets.testing.toys import toy_data, toy_ticket
from kerastickets.tickets.ticket import Ticket

# Runs a reader, and fails where that has imported this library.
_ALONE = """import runpy, sys
try:
    runpy.run_path({reader!r}, run_name="__main__")
finally:
    if ours := sorted(name for name in sys.modules if name.partition(".")[0].startswith("kerastickets")):
        sys.exit(f"it imported {{ours[0]}}")
"""


def check_exporter(exporter: Exporter, ticket: Ticket | None = None, data: Data | None = None) -> None:
    """Check that an exporter writes what its reader runs, to the model's own outputs, without this library.

    It makes its own model where none is given, or refuses with a `KerasTicketsError`; it writes what it is told
    to and nothing beside it, reports in JSON, and changes neither the ticket nor the model. Its reader is a file
    that runs in a process of its own, imports nothing of kerastickets, and gives the outputs of the model to
    within the exporter's `tolerance`.

    Args:
        exporter: an instance.
        ticket: what to export; a toy ticket by default.
        data: what the ticket was found on; toy data by default.

    Raises:
        AssertionError: the first promise it breaks.

    Example:
        >>> from kerastickets import registry
        >>> check_exporter(registry.create("exporters", "safetensors"))
    """
    check_form(exporter)
    name, ticket, data = class_name(exporter), ticket or toy_ticket(), data or toy_data()
    suffix, reader = (getattr(exporter, part, None) for part in ("suffix", "reader"))
    expect(isinstance(suffix, str), f"{name} must have a `suffix`, a text", repr(suffix))
    expect(isinstance(reader, Path) and reader.is_file(), f"`reader` of {name} must be a file", repr(reader))
    model, before = trained_model(ticket), content(ticket)
    weights, x = snapshot(model), data.test[0]
    expected = outputs_of(model, x)
    with tempfile.TemporaryDirectory() as folder:
        whole, alone, desk = (Path(folder, part) for part in ("whole", "alone", "desk"))
        for place in (whole, alone, desk):
            place.mkdir()
        _check_written(exporter, ticket, whole / f"exported{suffix}", {"model": model, "data": data})
        _check_written(exporter, ticket, alone / f"exported{suffix}", {})
        expect(content(ticket) == before, f"{name} must not change the ticket", "a changed one")
        changed = difference(weights, snapshot(model))
        expect(changed is None, f"{name} must leave the model as it was", f"another {changed}")
        taken = getattr(exporter, "inputs", lambda x, data: x)(x, data)
        _check_read(exporter, whole / f"exported{suffix}", taken, expected, desk)


def _check_written(exporter: Exporter, ticket: Ticket, path: Path, given: dict[str, Any]) -> None:
    name = class_name(exporter)

    def export() -> Any:
        try:
            return exporter(ticket, path, **given)
        except KerasTicketsError:
            if given:
                raise
            return None  # it may need data

    facts = called(f"{name} must export", export)
    if facts is None and not given:
        return
    check_json(f"The report of {name}", facts)
    written = sorted(found.name for found in path.parent.iterdir())
    expect(written == [path.name], f"{name} must write {path.name} and nothing beside it", written)


def _check_read(exporter: Exporter, path: Path, x: np.ndarray, expected: np.ndarray, desk: Path) -> None:
    """Read an export back where nothing of this library is loaded."""
    script = desk / exporter.reader.name
    script.write_text(_ALONE.format(reader=str(exporter.reader.absolute())), encoding="utf-8")
    reading = called(
        f"The reader of {class_name(exporter)} must work alone", read_back, script, path, x, desk
    )
    tolerance = getattr(exporter, "tolerance", 1e-4)
    called(f"{class_name(exporter)} must agree", largest_difference, expected, reading.outputs, tolerance)
    expect(
        bool(reading.runtime) and reading.peak_bytes >= 0,
        f"The reader of {class_name(exporter)} must name its runtime and the bytes that it took",
        reading[1:],
    )
