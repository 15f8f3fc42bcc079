"""`kt merge`: several tickets made one."""

import click

from kerastickets_cli.apply import operate, out_option
from kerastickets_cli.options import force_option, json_option


@click.command(
    epilog="\b\nExample:\n  kt merge --method dtm dominant.safetensors second.safetensors --out merged.safetensors"
)
@click.argument("tickets", metavar="A B [TICKET]...", nargs=-1)
@click.option(
    "--method",
    type=click.Choice(["dtm", "atm"]),
    required=True,
    help="dtm: the first ticket dominates; its mask stays, and what the others keep there is added. atm: all that any "
    "ticket keeps, each weight the mean of the tickets that keep it.",
)
@out_option
@force_option
@json_option
def merge(tickets: tuple[str, ...], method: str, out: str, force: bool, as_json: bool) -> None:
    """Merge the initial weights of A, B and more tickets of one model.

    With dtm their order matters: the first is the most dominant, the last the least. Both work on
    initial weights and drop later snapshots: train the result with `kt train`.
    """
    operate(method, tickets, out, force, as_json)
