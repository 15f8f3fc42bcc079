"""The built-in operations on tickets."""

import numpy as np
import pytest

from kerastickets import registry
from kerastickets.errors import TicketError
from kerastickets.foundations.tree import masked
from kerastickets.testing import toy_ticket


def rewound(to=None, ticket=None):
    operation = registry.create("operations", "rewind", {} if to is None else {"to": to})
    return operation(ticket or toy_ticket())


def with_two_rewind_points():
    ticket = toy_ticket()
    return ticket.replace(snapshots=dict(ticket.snapshots) | {"rewind@12": ticket.weights("rewind@3")})


@pytest.mark.parametrize(
    ("to", "start", "snapshots"),
    [
        (None, "rewind@12", ["init", "rewind@3", "rewind@12"]),
        ("rewind", "rewind@12", ["init", "rewind@3", "rewind@12"]),
        ("rewind@12", "rewind@12", ["init", "rewind@3", "rewind@12"]),
        ("rewind@3", "rewind@3", ["init", "rewind@3"]),
        ("rewind@0", "init", ["init"]),
        ("init", "init", ["init"]),
        ("final", "final", ["init", "rewind@3", "rewind@12", "final"]),
    ],
)
def test_rewind_sets_the_start_and_drops_what_came_later(to, start, snapshots):
    ticket = with_two_rewind_points()
    result = rewound(to, ticket)
    assert (result.start, [*result.snapshots]) == (start, snapshots)
    for name in snapshots:
        for key, value in ticket.weights(name).items():
            np.testing.assert_array_equal(result.weights(name)[key], value)
    for key, mask in ticket.masks.items():
        np.testing.assert_array_equal(result.masks[key], mask)


def test_rewind_goes_to_init_where_there_is_no_rewind_point():
    ticket = toy_ticket()
    ticket = ticket.replace(snapshots={name: ticket.weights(name) for name in ("init", "final")})
    result = rewound("rewind", ticket)
    assert (result.start, [*result.snapshots]) == ("init", ["init"])


def test_rewind_records_what_it_did_and_to_what():
    ticket = toy_ticket()
    digest = ticket.digest
    provenance = rewound("rewind", ticket).provenance
    assert provenance["operation"] == "rewind"
    assert provenance["options"] == {"to": "rewind@3"}
    assert provenance["parents"] == [digest]
    assert ticket.replace().digest == digest
    for name in ("criterion", "level", "dataset", "recipe", "seeds"):  # still how the mask was found
        assert provenance[name] == ticket.provenance[name]


def test_rewinding_twice_names_the_ticket_between():
    between = rewound("rewind@3")
    assert rewound("init", between).provenance["parents"] == [between.digest]
    with pytest.raises(TicketError, match=r"has the snapshots init, rewind@3\. Received: 'final'"):
        rewound("final", between)


@pytest.mark.parametrize("name", ["rewind@7", "best", "", "rewind@"])
def test_an_unknown_snapshot_is_refused_with_those_there_are(name):
    with pytest.raises(TicketError, match=rf"has the snapshots init, rewind@3, final\. Received: '{name}'"):
        rewound(name)


@pytest.mark.parametrize("count", [0, 2])
def test_rewind_takes_one_ticket(count):
    with pytest.raises(TicketError, match=rf"rewind takes one ticket\. Received: {count}"):
        registry.create("operations", "rewind")(*[toy_ticket()] * count)


@pytest.mark.parametrize("name", ["init", "rewind@3", "final"])
def test_a_rewound_ticket_builds_the_weights_it_starts_from(name):
    from kerastickets.models.variables import snapshot

    ticket = rewound(name)
    expected = masked(toy_ticket().weights(name), toy_ticket().masks)
    for key, value in snapshot(ticket.build()).items():
        np.testing.assert_array_equal(value, expected[key])
