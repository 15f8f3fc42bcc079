"""Asking analyzers: how many tickets one takes, whether it needs data, and handing it those of a ticket.

Imports nothing heavy; data are read only for an analyzer that declares `needs_data`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kerastickets import registry
from kerastickets.data.dataset import Data
from kerastickets.data.spec import data_of, data_spec
from kerastickets.errors import TicketError
from kerastickets.tickets.operation import Takes, plugin_name
from kerastickets.tickets.ticket import Ticket

if TYPE_CHECKING:
    from kerastickets.figures.chart import Figure


class Analyzer(Protocol):
    """Tickets in, JSON-ready facts out; it may have `figure(facts)`."""

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> Mapping[str, Any]:
        """Facts that `json.dumps` takes."""
        ...


def analyze(
    analyzer: Analyzer | str,
    *tickets: Ticket | str | Path,
    data: str | Data | None = None,
    options: Mapping[str, Any] | None = None,
    read: Callable[[Any], Data] = data_of,
) -> dict[str, Any]:
    """What an analyzer says about tickets.

    Args:
        analyzer: a registered name, with options as in `separation:counts=outputs`, or an instance.
        *tickets: tickets or their files, as many as it takes.
        data: a data set's name or a `Data`; None is what the first ticket was found on. An analyzer that does not
            need data is given none, and none is read.
        options: the analyzer's options by name, where it is given by name.
        read: makes a `Data` of a spec; `TrainerCache.data` reads each data set once.

    Returns:
        JSON-ready facts.

    Raises:
        PluginError: no such analyzer, or an option that it does not have.
        TicketError: fewer or more tickets than it takes.
        DataError: it needs data, and neither `data` nor the ticket says which.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> analyze("overlap", toy_ticket(), toy_ticket(1))["total"]["intersection"]
        104
    """
    asked = registry.create("analyzers", analyzer, options or {}) if isinstance(analyzer, str) else analyzer
    check_analyzer_count(asked, len(tickets))
    given = [ticket if isinstance(ticket, Ticket) else Ticket.load(ticket) for ticket in tickets]
    known = read(data_spec(given[0], data)) if needs_data(asked) else None
    return dict(asked(*given, data=known))


def analyzer_takes(analyzer: Analyzer) -> Takes:
    """How many tickets an analyzer takes: what it declares as `takes`, else what it names in its call, else one.

    Example:
        >>> print(analyzer_takes(registry.create("analyzers", "overlap")))
        two tickets or more
    """
    declared = getattr(analyzer, "takes", None)
    if isinstance(declared, Takes):
        return declared
    parameters = inspect.signature(analyzer).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return Takes(len(named) or 1, len(named) or 1)


def needs_data(analyzer: Analyzer) -> bool:
    """Whether an analyzer looks at a data set, its tasks or its pixels; its class attribute `needs_data`.

    Example:
        >>> needs_data(registry.create("analyzers", "overlap"))
        False
    """
    return bool(getattr(analyzer, "needs_data", False))


def check_analyzer_count(analyzer: Analyzer, count: int) -> None:
    """Refuse a number of tickets that an analyzer does not take.

    Raises:
        TicketError: saying how many it takes.

    Example:
        >>> check_analyzer_count(registry.create("analyzers", "overlap"), 1)
        Traceback (most recent call last):
        kerastickets.errors.TicketError: overlap takes two tickets or more. Received: 1.
    """
    if count not in analyzer_takes(analyzer):
        raise TicketError(f"{plugin_name(analyzer)} takes {analyzer_takes(analyzer)}. Received: {count}.")


def figures(analyzer: Analyzer, facts: Mapping[str, Any]) -> "Sequence[Figure]":
    """What an analyzer draws of its facts: one figure, or several; none where it has no `figure`.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> overlap = registry.create("analyzers", "overlap")
        >>> [figure.name for figure in figures(overlap, overlap(toy_ticket(), toy_ticket(1)))]
        ['overlap']
    """
    drawn = getattr(analyzer, "figure", lambda facts: ())(facts)
    return tuple(drawn) if isinstance(drawn, tuple | list) else (drawn,)
