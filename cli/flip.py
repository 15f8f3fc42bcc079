"""`kt flip`: make the ticket that keeps exactly the weights that another one pruned."""

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
    """Make the ticket that keeps exactly the weights that TICKET pruned, with the same initial weights."""
    operate("flip", (ticket,), out, force, as_json)
