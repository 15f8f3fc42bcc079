"""Run analyzers on tickets.

This module imports nothing heavy. It reads data only for an analyzer that declares `needs_data`.
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
    """A plugin that takes tickets and returns JSON-ready facts.

    It may also have a method `figure(facts)` that returns a figure, or a tuple or list of figures.
    """

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> Mapping[str, Any]:
        """Analyse tickets.

        Args:
            *tickets: the tickets, as many as the analyzer takes.
            data: the data set; None unless the analyzer declares `needs_data`.

        Returns:
            Facts about the tickets, as a mapping that `json.dumps` accepts.
        """
        ...


def analyze(
    analyzer: Analyzer | str,
    *tickets: Ticket | str | Path,
    data: str | Data | None = None,
    options: Mapping[str, Any] | None = None,
    read: Callable[[Any], Data] = data_of,
) -> dict[str, Any]:
    """Run an analyzer on one or more tickets.

    Args:
        analyzer: a registered name, which may include options (`separation:counts=outputs`), or an instance.
        *tickets: tickets or paths of ticket files, as many as the analyzer takes.
        data: a data set's name or a `Data`. None means the data set that the first ticket was found on. If
            the analyzer does not need data, no data are read and it gets None.
        options: the analyzer's options by name, if `analyzer` is a name.
        read: a function that makes a `Data` from a data set's name. Give `TrainerCache.data` to read each
            data set only once.

    Returns:
        The analyzer's facts, as a JSON-ready dict.

    Raises:
        PluginError: there is no such analyzer, or it has no such option.
        TicketError: too few or too many tickets for this analyzer.
        DataError: the analyzer needs data, and neither `data` nor the first ticket says which.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> analyze("overlap", toy_ticket(), toy_ticket(1))["total"]["intersection"]
        104
    """
    asked = registry.create("analyzers", analyzer, options or {}) if isinstance(analyzer, str) else analyzer
    check_analyzer_count(asked, len(tickets))
    given = [Ticket.of(ticket) for ticket in tickets]
    known = read(data_spec(given[0], data)) if needs_data(asked) else None
    return dict(asked(*given, data=known))


def analyzer_takes(analyzer: Analyzer) -> Takes:
    """How many tickets an analyzer takes.

    That is its attribute `takes`, if it has one. Otherwise it is the number of positional parameters that its
    `__call__` names, or one if it names none.

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
    """Whether an analyzer needs a data set: its class attribute `needs_data`, False if it has none.

    Example:
        >>> needs_data(registry.create("analyzers", "overlap"))
        False
    """
    return bool(getattr(analyzer, "needs_data", False))


def check_analyzer_count(analyzer: Analyzer, count: int) -> None:
    """Check that an analyzer takes this number of tickets.

    Raises:
        TicketError: it does not. The message says how many it takes.

    Example:
        >>> check_analyzer_count(registry.create("analyzers", "overlap"), 1)
        Traceback (most recent call last):
        kerastickets.errors.TicketError: overlap takes two tickets or more. Received: 1.
    """
    if count not in analyzer_takes(analyzer):
        raise TicketError(f"{plugin_name(analyzer)} takes {analyzer_takes(analyzer)}. Received: {count}.")


def figures(analyzer: Analyzer, facts: Mapping[str, Any]) -> "Sequence[Figure]":
    """The figures that an analyzer draws from its facts. Empty if it has no method `figure`.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> overlap = registry.create("analyzers", "overlap")
        >>> [figure.name for figure in figures(overlap, overlap(toy_ticket(), toy_ticket(1)))]
        ['overlap']
    """
    drawn = getattr(analyzer, "figure", lambda facts: ())(facts)
    return tuple(drawn) if isinstance(drawn, tuple | list) else (drawn,)
