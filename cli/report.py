"""`kt report`: write one HTML page about a run or a study."""

from pathlib import Path

import click

from kerastickets_cli.options import json_option
from kerastickets_cli.output import check_file, emit, say


@click.command(epilog="\b\nExample:\n  kt report runs/first-ticket")
@click.argument("folder", metavar="DIR")
@click.option(
    "--out",
    type=click.Path(),
    metavar="FILE",
    help="The page to write.  [default: DIR/report.html, which is replaced]",
)
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@json_option
def report(folder: str, out: str | None, force: bool, as_json: bool) -> None:
    """Write one HTML page about DIR: a run, several seeds of a run, or a study.

    The page needs no network: it contains all charts, tables and downloads. Any recent browser opens it from disk.
    """
    from kerastickets.reports.write import kind_of, report as write

    kind = kind_of(Path(folder))
    if out is not None:
        check_file(Path(out), force)
    path = write(folder, out)
    if as_json:
        emit({"report": str(path), "kind": kind, "bytes": path.stat().st_size})
    else:
        say(path)
