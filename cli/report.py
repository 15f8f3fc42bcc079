"""`kt report`: one HTML page of a run or a study."""

from pathlib import Path

import click

from kerastickets_cli.options import json_option
from kerastickets_cli.output import check_file, emit


@click.command(epilog="\b\nExample:\n  kt report runs/first-ticket")
@click.argument("folder", metavar="DIR")
@click.option(
    "--out", type=click.Path(), metavar="FILE", help="The page.  [default: DIR/report.html, replaced]"
)
@click.option("--force", is_flag=True, help="Replace a --out that exists.")
@json_option
def report(folder: str, out: str | None, force: bool, as_json: bool) -> None:
    """Write one HTML page of DIR: a run, several seeds of one, or a study.

    The page needs no network: charts, tables and what they download are inside it. It opens from disk in any
    browser of the last years.
    """
    from kerastickets.reports.write import kind_of, report as write

    kind = kind_of(Path(folder))
    if out is not None:
        check_file(Path(out), force)
    path = write(folder, out)
    if as_json:
        emit({"report": str(path), "kind": kind, "bytes": path.stat().st_size})
    else:
        click.echo(path)
