"""`kt ls`: list the tickets in a folder."""

import csv
import operator
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from kerastickets.errors import KerasTicketsError, TicketError
from kerastickets_cli.options import json_option
from kerastickets_cli.output import cell, emit, nearest, note, percent, say, table, yes

Row = dict[str, Any]
_COLUMNS = (
    "file",
    "criterion",
    "level",
    "kept",
    "total",
    "density",
    "val_accuracy",
    "test_accuracy",
    "winning",
)
_SHOWN = ("file", "criterion", "level", "kept", "density", "val_accuracy", "test_accuracy", "winning")
_SHARES = ("density", "val_accuracy", "test_accuracy")
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WHERE = re.compile(r"\s*([\w-]+)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*")


class ColumnType(click.ParamType):
    """The name of a column. A `-` before it means descending order."""

    name = "column"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, bool]:
        """Parse to (column, whether the order is descending)."""
        name = value.removeprefix("-").replace("-", "_")
        if name not in _COLUMNS:
            self.fail(
                f"No column named {name!r}.{nearest(name, _COLUMNS)} Columns: {', '.join(_COLUMNS)}.",
                param,
                ctx,
            )
        return name, value.startswith("-")


class WhereType(click.ParamType):
    """`density<0.3`: a column, one of `= != < <= > >=`, and a value."""

    name = "condition"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str, str | float]:
        """Parse to (column, test, value). The value is a number if the column holds numbers."""
        match = _WHERE.fullmatch(value)
        if match is None:
            self.fail(f"A condition must be written like 'density<0.3'. Received: {value!r}", param, ctx)
        name, _ = ColumnType().convert(match[1], param, ctx)
        if name in ("file", "criterion"):
            return name, match[2], match[3]
        if name == "winning" and match[3] in ("yes", "no"):
            return name, match[2], float(match[3] == "yes")
        try:
            text = match[3]
            return name, match[2], float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{name} must be compared with a number. Received: {value!r}", param, ctx)


@click.command(
    epilog="\b\nExample:\n  kt ls runs --where 'density<0.3' --sort -test_accuracy\n  kt ls runs --csv > tickets.csv"
)
@click.argument("folder", metavar="DIR", default=".")
@click.option(
    "--sort",
    type=ColumnType(),
    metavar="COLUMN",
    help="Sort by this column, or by -COLUMN in descending order.  [default: file]",
)
@click.option(
    "--where",
    type=WhereType(),
    multiple=True,
    metavar="CONDITION",
    help="List only tickets that meet a condition such as 'density<0.3': a column, one of = != < <= > >=, and a "
    "value (repeatable).",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print the list as CSV.")
@json_option
def ls(
    folder: str,
    sort: tuple[str, bool] | None,
    where: tuple[tuple[str, str, str | float], ...],
    as_csv: bool,
    as_json: bool,
) -> None:
    """List the tickets in DIR and its subfolders. Without DIR, list those of the current folder.

    Columns: file, criterion, level, kept, total, density, val_accuracy, test_accuracy and winning (yes or no,
    compared with a dense level 0 in the same folder). A file that is not a valid ticket is listed with the reason,
    and the exit code is then 1.
    """
    if as_csv and as_json:
        raise click.UsageError("Give --csv or --json, not both.", click.get_current_context())
    rows = [row for row in read(Path(folder)) if "error" in row or all(_holds(row, *test) for test in where)]
    name, descending = sort or ("file", False)
    rows = ordered(rows, name, descending)
    broken = [row for row in rows if "error" in row]
    if as_json:
        emit(rows)
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, (*_COLUMNS, "error"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {name: cell(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in rows
        )
        sys.stdout.flush()
    else:
        _show(rows)
    if broken:
        note(f"Error: {len(broken)} of {len(rows)} files are not valid tickets; the list says what is wrong.")
        click.get_current_context().exit(1)


def read(folder: Path) -> Iterable[Row]:
    """Yield one row per file named *.safetensors in `folder` and its subfolders."""
    from kerastickets.tickets.ticket import Ticket

    if not folder.is_dir():
        raise TicketError(f"DIR must be a folder. Received: {folder}")
    dense: dict[Path, Any] = {}
    for path in sorted(folder.rglob("*.safetensors")):
        file = str(path.relative_to(folder))
        try:
            ticket = Ticket.load(path)
        except KerasTicketsError as error:
            yield {"file": file, "error": str(error)}
            continue
        metrics = ticket.provenance.get("metrics") or {}
        facts = {name: getattr(ticket, name) for name in ("kept", "total", "density")}
        names = ("val_accuracy", "test_accuracy")
        yield {
            "file": file,
            **{name: ticket.provenance.get(name) for name in ("criterion", "level")},
            **facts,
            **{name: metrics.get(name) for name in names},
            "winning": _winning(ticket, dense.get(path.parent)),
        }
        # Sorted paths give the files of a run in the order of their levels, so level 0 comes before the others.
        if ticket.density == 1 and ticket.provenance.get("level") == 0:
            dense[path.parent] = metrics


def _winning(ticket: Any, dense: Any) -> bool | None:
    from kerastickets.tickets.winning import is_winning

    return is_winning(ticket, dense) if dense and ticket.provenance.get("level") else None


def ordered(rows: Iterable[Row], name: str, descending: bool) -> list[Row]:
    """Sort rows by one column, and rows with equal values by file. Rows without a value always come last."""
    by_file = sorted(rows, key=lambda row: row["file"])
    known = [row for row in by_file if row.get(name) is not None]
    unknown = [row for row in by_file if row.get(name) is None]
    return sorted(known, key=lambda row: row[name], reverse=descending) + unknown


def _holds(row: Row, name: str, test: str, value: str | float) -> bool:
    return row.get(name) is not None and _TESTS[test](row[name], value)


def _cell(row: Row, name: str) -> Any:
    if name == "winning":
        return yes(row[name])
    return percent(row[name]) if name in _SHARES else row[name]


def _show(rows: list[Row]) -> None:
    sound = [row for row in rows if "error" not in row]
    cells = [[_cell(row, name) for name in _SHOWN] for row in sound]
    say(table(_SHOWN, cells, left=2))
    for row in rows:
        if "error" in row:
            say(f"{row['file']}  Error: {row['error']}")
