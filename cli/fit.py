"""`kt fit`: measure how fast each level of a run learned, by fitting a curve to its accuracy."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kerastickets.errors import RecipeError
from kerastickets_cli.options import json_option
from kerastickets_cli.output import emit, number, percent, say, table

_HEADER = ("level", "density", "points", "c", "plateau", "rmse", "flag")
_SEED = re.compile(r"seed-(\d+)")


@click.command(epilog="\b\nExample:\n  kt fit runs/first-ticket\n  kt fit runs/seeds --level 5 --json")
@click.argument("run", metavar="RUN")
@click.option(
    "--metric",
    default="val_accuracy",
    show_default=True,
    metavar="NAME",
    help="The accuracy to fit: a column of the run's metrics.jsonl.",
)
@click.option(
    "--level", type=click.IntRange(min=0), metavar="N", help="Fit this level only.  [default: every level]"
)
@json_option
def fit(run: str, metric: str, level: int | None, as_json: bool) -> None:
    """Measure how fast each level of RUN learned: fit a exp(-c (x - b)) + d to accuracy in percent over epochs x.

    RUN is a folder that `kt prune --out` wrote, or, for `kt prune --seeds`, the folder that holds seed-K. A larger c
    means faster learning. The number after ± is the standard error of c. As in the publication, the evaluation of
    the untrained net is used and the last evaluation is not.

    The flag says why a c should not be used, or that the fit was restarted from the data because the published
    start values led it astray. A fit needs at least five points, so evaluate often enough.
    """
    found = list(runs(Path(run)))
    results = [{"run": str(folder), **seed, **fits(folder, metric, level)} for folder, seed in found]
    many = bool(found[0][1])
    if as_json:
        emit(results if many else results[0])
    elif many:
        rows = [[result["seed"], *cells(row)] for result in results for row in result["levels"]]
        say(table(("seed", *_HEADER), rows, left=0))
    else:
        say(table(_HEADER, map(cells, results[0]["levels"]), left=0))


def runs(folder: Path) -> Iterator[tuple[Path, Mapping[str, int]]]:
    """Yield the run in `folder`, or the runs of its seeds, each with its seed."""
    from kerastickets.runs.folder import RunFolder

    if RunFolder(folder).metrics_file.is_file():
        yield folder, {}
        return
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    seeds = sorted(int(match[1]) for match in map(_SEED.fullmatch, names) if match)
    if not seeds:
        raise RecipeError(
            f"RUN must be a folder with a metrics.jsonl, or with folders seed-K of runs. Received: {folder}. "
            "`kt prune --out DIR` writes one."
        )
    yield from ((folder / f"seed-{seed}", {"seed": seed}) for seed in seeds)


def fits(folder: Path, metric: str, level: int | None) -> dict[str, Any]:
    """The fits of all levels of a run, or of one level."""
    from kerastickets.runs.folder import RunFolder, read_metrics
    from kerastickets.statistics.curve_fitting import fit_learning_curve, learning_curve

    files = RunFolder(folder)
    rows = read_metrics(files.metrics_file)
    known = sorted({row["level"] for row in rows})
    if not known or (level is not None and level not in known):
        shown = ", ".join(map(str, known)) or "none"
        raise RecipeError(
            f"{files.metrics_file} must have rows of the level. Received: level={level}. Levels: {shown}"
        )
    chosen = known if level is None else [level]
    found = {one: fit_learning_curve(*learning_curve(rows, metric, one)) for one in chosen}
    return {
        "metric": metric,
        "levels": [
            {"level": one, "density": density(files.ticket_file(one)), **found[one].facts()} for one in chosen
        ],
    }


def density(file: Path) -> float | None:
    """The density of a level's ticket, or None while the level is not finished."""
    from kerastickets.tickets.ticket import Ticket

    return Ticket.load(file).density if file.exists() else None


def cells(row: Mapping[str, Any]) -> Sequence[Any]:
    """The cells of a fit's row in the table."""
    speed = f"{number(row['c'], 3)} ± {number(row['c_error'], 3)}"
    flag = row["problem"] or ("restarted" if row["restarted"] else "ok")
    plateau, rmse = number(row["d"], 2), number(row["rmse"], 2)
    return row["level"], percent(row["density"]), row["points"], speed, plateau, rmse, flag
