"""`kt merge`: merge several tickets into one."""

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
    help="dtm (dominant): keep the mask of the first ticket, and add to its weights what the other tickets keep at "
    "the same places. atm (average): keep every weight that any ticket keeps, as the mean over the tickets that keep "
    "it.",
)
@out_option
@force_option
@json_option
def merge(tickets: tuple[str, ...], method: str, out: str, force: bool, as_json: bool) -> None:
    """Merge two or more tickets of one model, A, B and so on, into one.

    With dtm the order of the tickets matters: the first one is the most dominant, the last one the least. Both
    methods merge the initial weights and drop later snapshots, so train the result with `kt train`.
    """
    operate(method, tickets, out, force, as_json)
