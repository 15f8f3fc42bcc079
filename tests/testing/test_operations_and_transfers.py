"""Plugins that work on tickets: each broken promise is caught, odd but good ones pass."""

import re
from dataclasses import replace

import numpy as np
import pytest

from kerastickets import testing
from kerastickets.errors import DataError
from kerastickets.figures.chart import Chart, Series
from kerastickets.foundations.duration import Duration
from kerastickets.tickets.operation import Takes
from kerastickets.transferring.protocol import Phase
from tests.helpers.badplugins import plugin, refused

# Operations


def operated(ticket, *others, **changes):
    provenance = {"operation": "bad", "parents": [t.digest for t in (ticket, *others)]}
    return ticket.replace(provenance=provenance | changes)


def scribble(ticket):
    bias = ticket.weights("init")["dense/bias"]
    bias.flags.writeable = True
    bias += 1
    bias.flags.writeable = False


def scribbling(ticket):
    result = operated(ticket)
    scribble(ticket)
    return result


BAD_OPERATIONS = {
    "no ticket": (lambda ticket: ticket.masks, "must give a Ticket. Received: mappingproxy"),
    "unseeded": (
        lambda ticket: operated(ticket, options={"draw": float(np.random.random())}),
        "must give equal tickets for equal ones",
    ),
    "nameless": (lambda ticket: operated(ticket, operation=""), "must name itself under `operation`"),
    "orphan": (lambda ticket: operated(ticket, parents=[]), r"digests .* under `parents`\. Received: \[\]"),
    "untouched": (lambda ticket: ticket, "under `parents`"),
    "refusing": (
        lambda *tickets: operated(tickets[2]),
        r"must take or refuse 1 tickets\. Received: IndexError",
    ),
    "wanting": (lambda a, b, c: operated(a, b, c), r"must take tickets \(1 or 2\)\. Received: .*missing"),
}


@pytest.mark.parametrize(("call", "message"), BAD_OPERATIONS.values(), ids=BAD_OPERATIONS)
def test_a_bad_operation_is_caught(call, message):
    refused(testing.check_operation, call, message)


def test_an_operation_that_writes_into_its_ticket_is_caught():
    own = testing.toy_ticket.__wrapped__()  # not the cached one, which is everybody's
    with pytest.raises(AssertionError, match="must not change tickets"):
        testing.check_operation(plugin(scribbling), own)


def test_operations_on_one_two_or_any_number_of_tickets_pass():
    for call in (lambda a: operated(a), lambda a, b: operated(a, b), lambda *all: operated(*all)):
        testing.check_operation(plugin(call))
    one, two = testing.toy_ticket(), testing.toy_ticket(1)
    testing.check_operation(plugin(lambda a, b, c: operated(a, b, c)), one, two, one)


# Transfers


def phase(whole, **changes):
    return replace(Phase(whole, (), Duration(1, "ep"), "init"), **changes)


def once(**changes):
    def transfer(ticket, target, seed):
        yield phase(ticket, **changes)

    return transfer


def endless(ticket, target, seed):
    while True:
        yield phase(ticket)


def failing_later(ticket, target, seed):
    trained = yield phase(ticket)
    yield phase(trained, start=trained.snapshots["nowhere"])


def unseeded(ticket, target, seed):
    yield phase(ticket, duration=Duration(1 + np.random.default_rng().integers(10**9).item(), "it"))


BAD_TRANSFERS = {
    "none": (lambda ticket, target, seed: iter(()), "at least one phase. Received: none"),
    "a ticket": (
        lambda ticket, target, seed: iter([ticket]),
        "Phase 1 of Bad must be a Phase. Received: Ticket",
    ),
    "no ticket": (once(ticket=None), "Phase 1 of Bad must have a Ticket. Received: NoneType"),
    "start": (
        once(start="rewind@7"),
        r"start at one of \['init', 'rewind@3', 'final'\]\. Received: 'rewind@7'",
    ),
    "pattern": (once(frozen=("dense/*",)), r"must freeze keys of its ticket, .*Received: \['dense/\*'\]"),
    "no time": (once(duration=Duration(0, "it")), "must last a Duration above 0"),
    "text time": (once(duration="1ep"), "must last a Duration above 0. Received: '1ep'"),
    "loss": (once(loss="nonsense"), "must have a loss that Keras knows. Received: ValueError"),
    "endless": (endless, "must end. Received: more than 1000 phases"),
    "failing": (failing_later, "must go on. Received: KeyError"),
    "unseeded": (unseeded, "must plan equally each time"),
    "no iterator": (lambda ticket, target, seed: 1 / 0, "must begin. Received: ZeroDivisionError"),
}


@pytest.mark.parametrize(("call", "message"), BAD_TRANSFERS.values(), ids=BAD_TRANSFERS)
def test_a_bad_transfer_is_caught(call, message):
    refused(testing.check_transfer, call, message)


def test_a_transfer_is_sent_each_phases_trained_ticket():
    sent = []

    def two_phases(ticket, target, seed):
        trained = yield phase(ticket, frozen=("dense/kernel", "dense/bias"), start="rewind@3")
        sent.append(trained)
        last = yield phase(trained, start="final", loss="mse")
        sent.append(last)

    testing.check_transfer(plugin(two_phases))
    ticket = testing.toy_ticket()
    for key, mask in ticket.masks.items():
        np.testing.assert_array_equal(sent[0].weights("final")[key], ticket.weights("rewind@3")[key] * mask)
    assert len(sent) == 4  # driven twice


def test_a_transfer_may_be_a_plain_iterator():
    testing.check_transfer(plugin(lambda ticket, target, seed: iter([phase(ticket)])))


# Analyzers


def fact(value):
    return lambda *tickets, data=None: {"fact": value() if callable(value) else value}


def analysing_scribbler(ticket, *, data=None):
    scribble(ticket)
    return {}


def needing(error):
    def analyzer(ticket, *, data=None):
        if data is None:
            raise error
        return {"examples": len(data.test[0])}

    return analyzer


BAD_ANALYZERS = {
    "a tuple": (fact((1, 2)), "must be equal after JSON"),
    "a number as key": (fact({1: 2}), "must be equal after JSON"),
    "nan": (fact(float("nan")), "must be JSON-ready. Received: ValueError"),
    "numpy": (fact(np.int64(3)), "must be JSON-ready. Received: TypeError"),
    "a list": (lambda ticket, *, data=None: [1], "must be a mapping. Received: list"),
    "unseeded": (fact(lambda: float(np.random.random())), "equal facts about equal tickets"),
    "data by force": (
        needing(DataError("Give data.")),
        "must work without data, or declare `needs_data`. Received: DataError",
    ),
    "data by the way": (
        lambda *tickets, data=None: {"data": data is not None},
        "must ignore data, or declare `needs_data`",
    ),
    "wanting": (lambda a, b, c, *, data=None: {}, r"must take tickets \(1 or 2\)"),
}


@pytest.mark.parametrize(("call", "message"), BAD_ANALYZERS.values(), ids=BAD_ANALYZERS)
def test_a_bad_analyzer_is_caught(call, message):
    refused(testing.check_analyzer, call, message)


def test_an_analyzer_that_writes_into_its_ticket_is_caught():
    with pytest.raises(AssertionError, match="must change nothing"):
        testing.check_analyzer(plugin(analysing_scribbler), testing.toy_ticket.__wrapped__())


def chart(facts, name="fact"):
    return Chart(name, "A fact", "x", "y", (Series("fact", [0], [facts["fact"]]),), "A point.")


def test_a_figure_must_be_one_that_can_be_drawn():
    testing.check_analyzer(plugin(fact(1), figure=lambda self, facts: chart(facts)))
    testing.check_analyzer(plugin(fact(1), figure=lambda self, facts: (chart(facts), chart(facts, "2"))))
    bad = {
        "must draw its facts. Received: KeyError": lambda self, facts: facts["other"],
        "figures of different names": lambda self, facts: (chart(facts), chart(facts)),
        "must give figures of different names. Received: (None": lambda self, facts: None,
        "must leave the facts as they are": lambda self, facts: chart({"fact": facts.pop("fact")}),
    }
    for message, figure in bad.items():
        refused(testing.check_analyzer, fact(1), re.escape(message), figure=figure)


def test_figures_are_drawn_of_facts_that_were_json():
    analyzer = plugin(fact(1), figure=lambda self, facts: chart({"fact": type(facts) is dict and 1}))
    testing.check_analyzer(analyzer)


def test_analyzers_may_need_data_or_two_tickets():
    testing.check_analyzer(plugin(needing(DataError("Give data.")), needs_data=True))
    testing.check_analyzer(plugin(lambda a, b, *, data=None: {"kept": [a.kept, b.kept]}))
    failing = {"": fact(1), "Received: AttributeError": needing(AttributeError("no data"))}
    for message, call in failing.items():
        refused(
            testing.check_analyzer, call, f"must refuse, .* to work without data.*{message}", needs_data=True
        )


def test_analyzers_of_tasks_are_offered_two():
    def tasks(ticket, *, data=None):
        if not data or not data.tasks:
            raise DataError("Give tasks.")
        return {"tasks": [*data.tasks]}

    testing.check_analyzer(plugin(tasks, needs_data=True))


def test_analyzers_refuse_other_numbers_of_tickets_than_they_declare():
    refused(testing.check_analyzer, fact(1), "must refuse 0 tickets, as it declares", takes=Takes(1))
    refused(testing.check_analyzer, lambda a, *, data=None: {}, "Received: TypeError", takes=Takes(1, 1))


def test_every_message_says_what_was_expected_and_received():
    with pytest.raises(AssertionError) as caught:
        testing.check_operation(plugin(lambda ticket: None))
    assert re.fullmatch(r"Bad must give a Ticket\. Received: NoneType", str(caught.value))
