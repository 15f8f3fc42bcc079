"""The toys of the contract suite: real, small and the same each time."""

import numpy as np

from kerastickets import testing
from kerastickets.foundations.tree import total


def test_the_toy_ticket_is_whole_and_repeatable():
    ticket = testing.toy_ticket()
    assert (ticket.kept, ticket.total) == (222, 64 * 6 + 6 * 10)
    assert [*ticket.snapshots] == ["init", "rewind@3", "final"]
    assert testing.toy_ticket() is ticket
    rebuilt = testing.toy_ticket.__wrapped__()
    assert rebuilt is not ticket
    assert rebuilt == ticket
    other = testing.toy_ticket(1)
    assert other.kept == 222
    assert other.digest != ticket.digest
    for key, value in ticket.weights("init").items():
        np.testing.assert_array_equal(other.weights("init")[key], value)
    assert any((other.masks[key] != mask).any() for key, mask in ticket.masks.items())
    assert ticket.build().count_params() == total(ticket.weights("init")) == 444 + 6 + 10


def test_the_toy_scoring_is_fresh_and_repeatable():
    one, two = testing.toy_scoring(), testing.toy_scoring()
    assert one.model is not two.model
    assert sorted(one.init) == ["dense/bias", "dense/kernel", "dense_1/bias", "dense_1/kernel"]
    assert all(mask.all() for mask in one.masks.values())
    for key, gradient in one.mask_gradient(batches=2).items():
        np.testing.assert_array_equal(gradient, two.mask_gradient(batches=2)[key])
        assert np.abs(gradient).max() > 0


def test_the_toy_data_can_be_learnt():
    data = testing.toy_data()
    (x, y), (x_test, y_test) = data.train, data.test
    centres = np.stack([x[y == label].mean(0) for label in range(10)])
    nearest = ((x_test[:, None] - centres) ** 2).sum((2, 3, 4)).argmin(1)
    assert (nearest == y_test).all()
