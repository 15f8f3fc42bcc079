"""What a winning ticket is."""

import pytest

from kerastickets.errors import RecipeError
from kerastickets.testing import toy_ticket
from kerastickets.tickets.winning import is_winning

DENSE = {"test_accuracy": 0.974, "early_stop_iteration": 4000}


@pytest.mark.parametrize(
    ("accuracy", "iteration", "winning"),
    [
        (0.974, 4000, True),
        (0.969, 4000, True),  # half a point less is still enough
        (0.9689, 4000, False),
        (0.99, 4001, False),  # better, but later
        (0.5, 100, False),
    ],
)
def test_it_is_as_accurate_and_as_early_as_the_dense_net(accuracy, iteration, winning):
    assert is_winning({"test_accuracy": accuracy, "early_stop_iteration": iteration}, DENSE) is winning


def test_the_tolerance_is_the_callers():
    metrics = {"test_accuracy": 0.973, "early_stop_iteration": 1}
    assert is_winning(metrics, DENSE, tolerance=0.0) is False
    assert is_winning(metrics, DENSE, tolerance=0.001) is True
    with pytest.raises(RecipeError, match=r"in \[0, 1\]. Received: tolerance=2"):
        is_winning(metrics, DENSE, tolerance=2)


def test_nothing_is_said_of_what_was_not_measured():
    untrained = toy_ticket().replace(provenance={})
    assert is_winning(untrained, DENSE) is None
    assert is_winning(DENSE, untrained) is None
    assert is_winning({"test_accuracy": float("nan"), "early_stop_iteration": 1}, DENSE) is None


def test_tickets_are_judged_by_their_metrics():
    ticket = toy_ticket().replace(provenance={"metrics": DENSE})
    assert is_winning(ticket, ticket) is True
