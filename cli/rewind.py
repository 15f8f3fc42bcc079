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
    help="The weights to start from: init, rewind (the latest step in the ticket, or else init), rewind@K or final.",
)
@out_option
@force_option
@json_option
def rewind(ticket: str, to: str, out: str, force: bool, as_json: bool) -> None:
    """Choose where training starts: make a copy of TICKET that starts from --to, and drop later snapshots."""
    operate(
        "rewind",
        (ticket,),
        out,
        force,
        as_json,
        {"to": to},
        lambda made: f"starts from {made.start}, has {' '.join(made.snapshots)}",
    )
