"""`kt rewind`: choose where a ticket's training starts."""

import click

from kerastickets_cli.apply import operate, out_option
from kerastickets_cli.options import StartType, force_option, json_option, ticket_argument


@click.command(
    epilog="\b\nExample:\n  kt rewind level-03.safetensors --to rewind@500 --out rewound.safetensors"
)
@ticket_argument
@click.option(
    "--to",
    type=StartType(controls=False),
    default="rewind",
    show_default=True,
    help="init, rewind (the latest step that it has, else init), rewind@K or final.",
)
@out_option
@force_option
@json_option
def rewind(ticket: str, to: str, out: str, force: bool, as_json: bool) -> None:
    """Make a ticket like TICKET whose training starts elsewhere; what came later is dropped."""
    operate(
        "rewind",
        (ticket,),
        out,
        force,
        as_json,
        {"to": to},
        lambda made: f"starts from {made.start}, has {' '.join(made.snapshots)}",
    )
