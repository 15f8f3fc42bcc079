"""Check that an exporter keeps its contract; import `check_exporter` from `kerastickets.testing`."""

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

# Runs a reader, and fails if the reader imports this library.
_ALONE = """import runpy, sys
try:
    runpy.run_path({reader!r}, run_name="__main__")
finally:
    if ours := sorted(name for name in sys.modules if name.partition(".")[0].startswith("kerastickets")):
        sys.exit(f"it imported {{ours[0]}}")
"""


def check_exporter(exporter: Exporter, ticket: Ticket | None = None, data: Data | None = None) -> None:
    """Check that an exporter's reader reproduces the model's outputs without this library.

    The exporter must:

    - build the model itself if none is given, or refuse with a `KerasTicketsError`;
    - write only the path that it is given;
    - return facts that JSON can hold;
    - change neither the ticket nor the model.

    Its reader must be a file that runs in a separate process and does not import kerastickets. The outputs of
    the reader must equal the model's within the exporter's `tolerance`.

    Args:
        exporter: an instance.
        ticket: the ticket to export; a toy ticket by default.
        data: the data set of the ticket; toy data by default.

    Raises:
        AssertionError: names the first requirement that is not met.

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
        expect(changed is None, f"{name} must leave the model unchanged", f"a changed {changed}")
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
            return None  # allowed: the exporter may need data

    facts = called(f"{name} must export", export)
    if facts is None and not given:
        return
    check_json(f"The report of {name}", facts)
    written = sorted(found.name for found in path.parent.iterdir())
    expect(written == [path.name], f"{name} must write {path.name} and nothing beside it", written)


def _check_read(exporter: Exporter, path: Path, x: np.ndarray, expected: np.ndarray, desk: Path) -> None:
    """Read an export back in a process that must not load this library."""
    script = desk / exporter.reader.name
    script.write_text(_ALONE.format(reader=str(exporter.reader.absolute())), encoding="utf-8")
    reading = called(
        f"The reader of {class_name(exporter)} must work alone", read_back, script, path, x, desk
    )
    tolerance = getattr(exporter, "tolerance", 1e-4)
    called(f"{class_name(exporter)} must agree", largest_difference, expected, reading.outputs, tolerance)
    expect(
        bool(reading.runtime) and reading.peak_bytes >= 0,
        f"The reader of {class_name(exporter)} must print its runtime and its peak memory in bytes",
        reading[1:],
    )
