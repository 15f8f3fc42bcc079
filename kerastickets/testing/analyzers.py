"""Check that an analyzer keeps its contract; import `check_analyzer` from `kerastickets.testing`."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerastickets.data.dataset import Data
from kerastickets.data.spec import data_digest
from kerastickets.errors import KerasTicketsError
from kerastickets.figures.matplotlib_figures import save
from kerastickets.structure.analysis import Analyzer, analyzer_takes, figures, needs_data
from kerastickets.testing.expect import accepted, called, check_form, check_json, class_name, content, expect
from kerastickets.testing.toys import toy_data, toy_tasks, toy_ticket
from kerastickets.tickets.operation import Takes
from kerastickets.tickets.ticket import Ticket

Tickets = tuple[Ticket, ...]


def check_analyzer(analyzer: Analyzer, *tickets: Ticket, data: Data | None = None) -> None:
    """Check that an analyzer returns JSON facts and does not change its inputs.

    Args:
        analyzer: an instance.

            - If it declares `takes` (`kerastickets.plugin.Takes`), it must refuse any other number of tickets
              with a `KerasTicketsError`.
            - If it declares `needs_data`, it must raise a `KerasTicketsError` when called without data.
              Otherwise data must not affect its facts.
            - If it has a method `figure(facts)`, that must return figures that `kerastickets.figures.save`
              can draw, also for facts that were written to JSON and read back.
        tickets: the tickets to analyse. Without any, the analyzer is offered one toy ticket, then two, then
            the minimum number that it takes. It must accept at least one of these offers.
        data: the data set to analyse with; by default toy data, or toy data of two tasks if the analyzer
            refuses that.

    Raises:
        AssertionError: the facts change in a round trip through JSON, differ in a second call, or an input
            was changed.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Kept:
        ...     def __call__(self, *tickets, data=None):
        ...         return {"kept": [ticket.kept for ticket in tickets]}
        >>> check_analyzer(Kept())
    """
    check_form(analyzer)
    name, offers = class_name(analyzer), _offers(tickets, analyzer_takes(analyzer).least)
    data = data or _suitable(analyzer, offers)
    for given in accepted(name, lambda *some: analyzer(*some, data=data), offers):
        before = [*map(content, given), data_digest(data)]
        facts = analyzer(*given, data=data)
        check_json(f"The facts of {name}", facts)
        again = analyzer(*(ticket.replace() for ticket in given), data=data)
        expect(dict(facts) == dict(again), f"{name} must state equal facts about equal tickets", again)
        _check_without_data(name, analyzer, given, facts)
        _check_figures(name, analyzer, facts)
        expect([*map(content, given), data_digest(data)] == before, f"{name} must change nothing", "changes")
    _check_counts(name, analyzer, offers[0][:1], data)


def _offers(tickets: Tickets, least: int) -> list[Tickets]:
    counts = sorted({1, 2, least})
    return [tickets] if tickets else [tuple(map(toy_ticket, range(count))) for count in counts]


def _suitable(analyzer: Analyzer, offers: list[Tickets]) -> Data:
    """The first toy data set that the analyzer accepts with some offer.

    If it accepts none, return the first; the checks that follow then report its error.
    """
    for data in (toy_data(), toy_tasks()):
        for offer in offers:
            try:
                analyzer(*offer, data=data)
            except Exception:
                continue
            return data
    return toy_data()


def _check_without_data(name: str, analyzer: Analyzer, given: Tickets, facts: Mapping[str, Any]) -> None:
    if not needs_data(analyzer):
        alone = called(f"{name} must work without data, or declare `needs_data`", analyzer, *given)
        expect(dict(alone) == dict(facts), f"{name} must ignore data, or declare `needs_data`", alone)
        return
    expected = f"{name} must refuse, with a KerasTicketsError, to work without data"
    try:
        analyzer(*given)
    except KerasTicketsError:
        return
    except Exception as error:
        raise AssertionError(f"{expected}. Received: {type(error).__name__}: {error}") from error
    raise AssertionError(f"{expected}. Received: facts")


def _check_figures(name: str, analyzer: Analyzer, facts: Mapping[str, Any]) -> None:
    read = json.loads(json.dumps(dict(facts)))
    drawn = called(f"{name} must draw its facts", figures, analyzer, read)
    expect(read == dict(facts), f"{name}.figure must leave the facts as they are", "changed ones")
    names = [figure.name for figure in drawn if hasattr(figure, "name")]
    expect(len({*names}) == len(drawn), f"{name}.figure must give figures of different names", drawn)
    with tempfile.TemporaryDirectory() as folder:
        for number, figure in enumerate(drawn):
            file = Path(folder, f"{number}.svg")
            called(
                f"{name}.figure must give charts, heat maps or graphs that can be drawn", save, figure, file
            )


def _check_counts(name: str, analyzer: Analyzer, one: Tickets, data: Data) -> None:
    declared = getattr(analyzer, "takes", None)
    if not isinstance(declared, Takes):
        return
    for count in (declared.least - 1, (declared.most or 0) + 1):
        if count in declared:
            continue
        expected = f"{name} must refuse {count} tickets, as it declares in `takes`, with a KerasTicketsError"
        try:
            analyzer(*one * count, data=data)
        except KerasTicketsError:
            continue
        except Exception as error:
            raise AssertionError(f"{expected}. Received: {type(error).__name__}: {error}") from error
        raise AssertionError(f"{expected}. Received: facts")
