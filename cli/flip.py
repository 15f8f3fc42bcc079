"""`kt flip`: the weights that a ticket pruned."""

import click

from kerastickets_cli.apply import operate, out_option
from kerastickets_cli.options import force_option, json_option, ticket_argument


@click.command(
    epilog="\b\nExample:\n  kt flip runs/first-ticket/level-03.safetensors --out flipped.safetensors"
)
@ticket_argument
@out_option
@force_option
@json_option
def flip(ticket: str, out: str, force: bool, as_json: bool) -> None:
    """Make the ticket that keeps exactly what TICKET pruned, on the same initial weights."""
    operate("flip", (ticket,), out, force, as_json)
