"""`kt show`: show what is in a ticket."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from kerastickets_cli.options import json_option, ticket_argument
from kerastickets_cli.output import cell, emit, percent, say, table

_FIRST = ("criterion", "options", "level", "model", "dataset", "metrics", "start", "seeds")


@click.command(epilog="\b\nExample:\n  kt show runs/first-ticket/level-03.safetensors")
@ticket_argument
@json_option
def show(ticket: str, as_json: bool) -> None:
    """Show what is in TICKET: how many weights it keeps, where it comes from, and its metrics.

    No code from the file is run, and TensorFlow is not needed.
    """
    from kerastickets.tickets.ticket import Ticket

    facts = Ticket.load(ticket).facts()
    if as_json:
        emit(facts)
        return
    lines = [("ticket", ticket), *_lines(facts)]
    width = max(len(cell(name)) for name, _ in lines)
    for name, text in lines:
        say(f"{cell(name):{width}}  {cell(text)}")
    say()
    say(layers(facts))


def layers(facts: Mapping[str, Any]) -> str:
    """A table of the ticket's layers, as text."""
    rows = [
        (row["key"], "x".join(map(str, row["shape"])), row["kept"], row["total"], percent(row["density"]))
        for row in [*facts["layers"], {**facts, "key": "total", "shape": []}]
    ]
    return table(("layer", "shape", "kept", "total", "density"), rows, left=2)


def _lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, text) per fact. Facts that the ticket does not have are left out."""
    yield "kept", f"{facts['kept']} of {facts['total']} ({percent(facts['density'])})"
    provenance = facts["provenance"]
    for name in sorted(provenance, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST)):
        value = provenance[name]
        if value not in (None, {}, [], ""):
            yield name, _text(value)
    yield "snapshots", " ".join(facts["snapshots"])
    yield "digest", facts["digest"]
    yield "format", f"{facts['format']} {facts['version']}"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = ((name, part) for name, part in value.items() if part not in (None, {}, [], ""))
        return " ".join(f"{name}={_text(part)}" for name, part in pairs)
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)
