"""`kt rewind`: choose where a ticket's training starts."""

from pathlib import Path

import click

from kerastickets import registry
from kerastickets_cli.options import StartType, force_option, json_option, ticket_argument
from kerastickets_cli.output import check_file, emit


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
@click.option("--out", metavar="FILE", required=True, help="The file to write.")
@force_option
@json_option
def rewind(ticket: str, to: str, out: str, force: bool, as_json: bool) -> None:
    """Make a ticket like TICKET whose training starts elsewhere; what came later is dropped."""
    from kerastickets.ticket import Ticket

    loaded = Ticket.load(ticket)
    made = registry.create("operations", "rewind", {"to": to})(loaded)
    check_file(Path(out), force)
    made.save(out)
    if as_json:
        emit({"ticket": out, **made.facts()})
    else:
        click.echo(f"{out}: starts from {made.start}, has {' '.join(made.snapshots)}")
