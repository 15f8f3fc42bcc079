"""`kt diff`: compare the masks of tickets."""

import itertools
from collections.abc import Mapping
from typing import Any

import click

from kerastickets_cli.options import json_option
from kerastickets_cli.output import emit, percent, say, table

_COUNTS = ("kept_a", "kept_b", "overlap", "only_a", "only_b")


@click.command(
    epilog="\b\nExample:\n  kt diff runs/seeds/seed-0/level-05.safetensors runs/seeds/seed-1/level-05.safetensors"
)
@click.argument("tickets", metavar="A B [TICKET]...", nargs=-1)
@json_option
def diff(tickets: tuple[str, ...], as_json: bool) -> None:
    """Compare the masks of tickets A and B, layer by layer.

    With more than two tickets, compare every pair, and then all of them together.

    overlap is the number of weights that both tickets keep. iou is overlap divided by union. union is the number of
    weights that at least one of the tickets keeps, and intersection the number that all of them keep.
    """
    from kerastickets.cutting.cut_scores import compare
    from kerastickets.tickets.operation import coverage
    from kerastickets.tickets.ticket import Ticket

    if len(tickets) < 2:
        raise click.UsageError(
            f"Two tickets or more are needed. Received: {len(tickets)}.", click.get_current_context()
        )
    masks = [Ticket.load(path).masks for path in tickets]
    pairs = [
        {"a": tickets[i], "b": tickets[j], **compare(masks[i], masks[j])}
        for i, j in itertools.combinations(range(len(tickets)), 2)
    ]
    if len(pairs) == 1:
        facts = {name: pairs[0][name] for name in ("layers", "total")}
    else:
        facts = {"pairs": pairs, **coverage(*masks)}
    if as_json:
        emit(facts)
    elif len(pairs) == 1:
        rows = [_cells(row["key"], row) for row in facts["layers"]]
        say(table(("layer", *_COUNTS, "iou"), [*rows, _cells("total", facts["total"])]))
    else:
        say(_many(facts))


def _many(facts: Mapping[str, Any]) -> str:
    """Two tables: one line per pair, and one line per layer for all tickets together."""
    rows = [[pair["a"], *_cells(pair["b"], pair["total"])] for pair in facts["pairs"]]
    layers = [_covered(row["key"], row) for row in facts["layers"]]
    header = ("layer", "total", "union", "density", "intersection", "density")
    return "\n\n".join(
        [
            table(("a", "b", *_COUNTS, "iou"), rows, left=2),
            table(header, [*layers, _covered("total", facts["total"])]),
        ]
    )


def _cells(name: str, row: Mapping[str, Any]) -> list[Any]:
    return [name, *(row[count] for count in _COUNTS), f"{row['iou']:.4f}"]


def _covered(name: str, row: Mapping[str, Any]) -> list[Any]:
    both = [
        cell for part in ("union", "intersection") for cell in (row[part], percent(row[f"{part}_density"]))
    ]
    return [name, row["total"], *both]
