"""`kt apply`: make a ticket from others. `kt merge`, `kt flip` and `kt rewind` are shortcuts for some operations."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerastickets import registry
from kerastickets_cli.options import custom_option, force_option, json_option, own_objects
from kerastickets_cli.output import check_file, emit, say
from kerastickets_cli.pairs import pairs, plugin_option

if TYPE_CHECKING:
    from kerastickets.tickets.ticket import Ticket

out_option = click.option("--out", metavar="FILE", required=True, help="The ticket file to write.")


@click.command(
    epilog="\b\nExample:\n  kt apply union seed-0.safetensors seed-1.safetensors --out union.safetensors"
    "\n  kt apply grow ticket.safetensors -o density=0.3 -o by=random --out grown.safetensors"
)
@click.argument("operation", metavar="OPERATION")
@click.argument("tickets", metavar="TICKET...", nargs=-1)
@plugin_option("operation", "OPERATION")
@custom_option
@out_option
@force_option
@json_option
def apply(
    operation: str,
    tickets: tuple[str, ...],
    options: tuple[tuple[str, str], ...],
    custom: tuple[str, ...],
    out: str,
    force: bool,
    as_json: bool,
) -> None:
    """Make a new ticket from one or more TICKETs by OPERATION. `kt plugins operations` lists the operations."""
    operate(operation, tickets, out, force, as_json, pairs("-o", options), custom=custom)


def operate(
    name: str,
    tickets: Sequence[str],
    out: str,
    force: bool,
    as_json: bool,
    options: Mapping[str, Any] = {},
    line: Callable[["Ticket"], str] | None = None,
    custom: Sequence[str] = (),
) -> None:
    """Apply an operation to ticket files, write the resulting ticket, and print what it is.

    Args:
        name: the operation's name. Options may follow it, as in any plugin's spec: `NAME:key=value`.
        tickets: paths, in the order in which the operation takes them.
        out: the file to write.
        force: whether to replace `out` if it exists.
        as_json: whether to print the ticket's facts as JSON instead of one line.
        options: the operation's options.
        line: makes the text that follows the path of the result. By default it says how many weights are kept.
        custom: the own classes that the tickets' models are made of, as `MODULE:NAME` or `MODULE`.
    """
    from kerastickets.errors import TicketError
    from kerastickets.models.trust import trusting
    from kerastickets.tickets.operation import check_count
    from kerastickets.tickets.ticket import Ticket

    operation = registry.create("operations", name, options)
    try:
        check_count(operation, len(tickets))
    except TicketError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error
    check_file(Path(out), force)
    with trusting(own_objects(custom)):
        made = operation(*map(Ticket.load, tickets))
    made.save(out)
    if as_json:
        emit({"ticket": out, **made.facts()})
    else:
        say(f"{out}: {(line or _kept)(made)}")


def _kept(ticket: "Ticket") -> str:
    return f"keeps {ticket.kept} of {ticket.total} weights ({ticket.density:.2%})"
