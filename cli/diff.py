"""`kt diff`: masks compared."""

import itertools
from collections.abc import Mapping
from typing import Any

import click

from kerastickets_cli.options import json_option
from kerastickets_cli.output import emit, table

_COUNTS = ("kept_a", "kept_b", "overlap", "only_a", "only_b")


@click.command(
    epilog="\b\nExample:\n  kt diff runs/seeds/seed-0/level-05.safetensors runs/seeds/seed-1/level-05.safetensors"
)
@click.argument("tickets", metavar="A B [TICKET]...", nargs=-1)
@json_option
def diff(tickets: tuple[str, ...], as_json: bool) -> None:
    """Compare the masks of A and B, layer by layer; of more tickets, every pair.

    overlap counts the weights that both keep, iou is overlap over union.
    """
    from kerastickets.mask import compare
    from kerastickets.ticket import Ticket

    if len(tickets) < 2:
        raise click.UsageError(
            f"Two tickets or more are needed. Received: {len(tickets)}.", click.get_current_context()
        )
    masks = [Ticket.load(path).masks for path in tickets]
    pairs = [
        {"a": tickets[i], "b": tickets[j], **compare(masks[i], masks[j])}
        for i, j in itertools.combinations(range(len(tickets)), 2)
    ]
    if as_json:
        emit({name: pairs[0][name] for name in ("layers", "total")} if len(pairs) == 1 else {"pairs": pairs})
    elif len(pairs) == 1:
        rows = [_cells(row["key"], row) for row in pairs[0]["layers"]]
        click.echo(table(("layer", *_COUNTS, "iou"), [*rows, _cells("total", pairs[0]["total"])]))
    else:
        rows = [[pair["a"], *_cells(pair["b"], pair["total"])] for pair in pairs]
        click.echo(table(("a", "b", *_COUNTS, "iou"), rows, left=2))


def _cells(name: str, row: Mapping[str, Any]) -> list[Any]:
    return [name, *(row[count] for count in _COUNTS), f"{row['iou']:.4f}"]
