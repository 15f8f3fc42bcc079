"""`kt analyze`: run an analyzer on tickets, and print or draw what it finds."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerastickets import registry
from kerastickets.errors import TicketError
from kerastickets_cli.facts import by_ticket, shown
from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import json_option
from kerastickets_cli.output import check_file, emit, note, say
from kerastickets_cli.pairs import pairs, plugin_option

if TYPE_CHECKING:
    from kerastickets.figures.chart import Figure
    from kerastickets.structure.analysis import Analyzer

Facts = dict[str, Any]
_FORMATS = (".png", ".svg", ".html")


@click.command(
    epilog="\b\nExample:\n  kt analyze structure runs/first-ticket/level-05.safetensors"
    "\n  kt analyze weights runs/first-ticket --plot signs.png"
    "\n  kt analyze separation ticket.safetensors -o counts=outputs --dataset moons-circles --json"
)
@click.argument("analyzer", metavar="ANALYZER")
@click.argument("tickets", metavar="TICKET...", nargs=-1)
@click.option(
    "--dataset",
    metavar="DATASET",
    help="Data set whose tasks or pixels the analyzer looks at.  [default: the one the ticket was found on]",
)
@plugin_option("analyzer", "ANALYZER")
@click.option(
    "--plot", type=click.Path(), metavar="FILE", help="Draw the figures to a .png, .svg or .html file."
)
@click.option("--force", is_flag=True, help="Replace the --plot file if it exists.")
@json_option
def analyze(
    analyzer: str,
    tickets: tuple[str, ...],
    dataset: str | None,
    options: tuple[tuple[str, str], ...],
    plot: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Run ANALYZER on TICKETs, and print what it finds. `kt plugins analyzers` lists the analyzers.

    A TICKET may be the folder of a run, which stands for all its levels. An analyzer of single tickets runs on each
    ticket by itself, and --json then prints a list. If there are several figures, each gets its own file, whose name
    starts with the name of FILE.

    TensorFlow is not needed. Data are read only if the analyzer looks at tasks or pixels.
    """
    from kerastickets.structure.analysis import analyzer_takes

    asked = registry.create("analyzers", analyzer, pairs("-o", options))
    file = _plot_file(asked, analyzer, plot, force)
    many = len(tickets) > 1 or any(Path(path).is_dir() for path in tickets)
    files = [one for path in tickets for one in _levels(path)]
    each = many and analyzer_takes(asked).most == 1
    if not each and len(files) not in analyzer_takes(asked):
        raise click.UsageError(
            f"{analyzer} takes {analyzer_takes(asked)}. Received: {len(files)}.", click.get_current_context()
        )
    with interruptible(""):
        groups = [[one] for one in files] if each else [files]
        found = list(_facts(asked, groups, dataset))
    if file:
        _draw(asked, analyzer, dict(zip(_stems(files) if each else [""], found, strict=True)), file)
    if each:
        found = [{"ticket": str(one), **facts} for one, facts in zip(files, found, strict=True)]
    if as_json:
        emit(found if each else found[0])
    else:
        say(by_ticket(found) if each else shown(found[0]))


def _facts(asked: "Analyzer", groups: Sequence[Sequence[Path]], dataset: str | None) -> Iterator[Facts]:
    """Run an analyzer on each group of tickets, and yield its facts. Each data set is read only once."""
    from kerastickets.data.spec import data_of, find_data
    from kerastickets.structure.analysis import analyze as ask

    if dataset:
        find_data(dataset)
    read = cache(data_of)
    for group in groups:
        yield ask(asked, *group, data=dataset, read=read)


def _levels(path: str) -> Iterator[Path]:
    """Yield the file itself, or the tickets of a run's folder in the order of their levels."""
    from kerastickets.runs.folder import RunFolder

    if not Path(path).is_dir():
        yield Path(path)
        return
    folder = RunFolder(path)
    if not folder.finished:
        raise TicketError(
            f"A folder must be that of a run, with tickets level-00 on. Received: {path}. `kt ls {path}` lists tickets."
        )
    yield from map(folder.ticket_file, range(folder.finished))


def _plot_file(asked: "Analyzer", name: str, plot: str | None, force: bool) -> Path | None:
    """Check --plot before anything slow begins, and return it as a path (None if it was not given)."""
    if plot is None:
        return None
    path = Path(plot)
    if path.suffix.lower() not in _FORMATS:
        raise click.BadParameter(
            f"A figure is a {', '.join(_FORMATS)} file. Received: {plot}", param_hint="'--plot'"
        )
    if not hasattr(asked, "figure"):
        raise TicketError(f"{name} draws no figure. Leave --plot out; --json gives its facts.")
    check_file(path, force, "--plot")
    return path


def _draw(asked: "Analyzer", name: str, found: Mapping[str, Facts], file: Path) -> None:
    """Draw the facts, given by ticket stem: as one HTML page, or as one image file per figure."""
    from kerastickets.figures.matplotlib_figures import save
    from kerastickets.foundations.files import write_text
    from kerastickets.reports.html import Section, page
    from kerastickets.structure.analysis import figures

    drawn = {stem: figures(asked, facts) for stem, facts in found.items()}
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    if file.suffix.lower() == ".html":
        sections = [Section(stem or "Figures", items=tuple(figures)) for stem, figures in drawn.items()]
        write_text(file, page(name, sections))
        note(f"Drawn: {file}")
        return
    for path, figure in _files(drawn, file):
        note(f"Drawn: {save(figure, path)}")


def _files(drawn: Mapping[str, "Sequence[Figure]"], file: Path) -> Iterator[tuple[Path, "Figure"]]:
    """Yield each figure with its file.

    A single figure gets `file` itself. Otherwise the names of the ticket and the figure are added to the file's name.
    """
    for stem, some in drawn.items():
        for figure in some:
            parts = [file.stem, stem, figure.name if len(some) > 1 else ""]
            yield file.with_name("-".join(filter(None, parts)) + file.suffix), figure


def _stems(files: Sequence[Path]) -> list[str]:
    """One text per file that tells it apart from the others, for use in file names."""
    stems = [file.stem for file in files]
    if len({*stems}) == len(stems):
        return stems
    return [f"{number}-{stem}" for number, stem in enumerate(stems, 1)]
