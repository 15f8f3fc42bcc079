"""Asking analyzers: how many tickets, which data, and nothing read that is not needed."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from kerastickets.errors import DataError, PluginError, TicketError
from kerastickets.structure.analysis import analyze, analyzer_takes, needs_data
from kerastickets.testing import toy_data, toy_ticket
from kerastickets.tickets.operation import Takes


@dataclass(frozen=True)
class Looking:
    """Needs data."""

    needs_data: ClassVar[bool] = True

    def __call__(self, *tickets, data=None):
        return {"kept": [ticket.kept for ticket in tickets], "data": data and data.name}


@dataclass(frozen=True)
class Blind:
    """Needs none, and takes two."""

    takes: ClassVar[Takes] = Takes(2, 2)

    def __call__(self, *tickets, data=None):
        return {"kept": [ticket.kept for ticket in tickets], "data": data and data.name}


@dataclass(frozen=True)
class Pair:
    """Names what it takes."""

    def __call__(self, a, b, *, data=None):
        return {}


def test_how_many_tickets_an_analyzer_takes():
    assert (analyzer_takes(Looking()), analyzer_takes(Blind()), analyzer_takes(Pair())) == (
        Takes(1, 1),
        Takes(2, 2),
        Takes(2, 2),
    )
    with pytest.raises(TicketError, match=r"looking takes one ticket\. Received: 2\."):
        analyze(Looking(), toy_ticket(), toy_ticket(1))


def test_data_come_from_the_caller_else_from_the_ticket():
    ticket = toy_ticket()
    assert analyze(Looking(), ticket)["data"] == "digits"
    assert analyze(Looking(), ticket, data="moons-circles")["data"] == "moons-circles"
    assert analyze(Looking(), ticket, data=toy_data())["data"] == "toy"
    with pytest.raises(DataError, match="does not say which data"):
        analyze(Looking(), ticket.replace(provenance={}))


def test_no_data_are_read_for_an_analyzer_that_needs_none():
    assert not needs_data(Blind())
    facts = analyze(Blind(), toy_ticket(), toy_ticket(1), data="digits", read=None)
    assert facts == {"kept": [222, 222], "data": None}


def test_tickets_may_be_files_and_analyzers_specs(tmp_path):
    file = toy_ticket().save(tmp_path / "a.safetensors")
    assert len(analyze("weights:bins=3", file)["rows"][0]["init"]["histogram"]["counts"]) == 3
    assert len(analyze("weights", file, options={"bins": "4"})["rows"][0]["init"]["histogram"]["counts"]) == 4
    with pytest.raises(PluginError, match=r"No analyzer named 'weigths'\. Did you mean 'weights'"):
        analyze("weigths", file)
