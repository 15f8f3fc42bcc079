"""`train_many` against `train`, ticket by ticket."""

import numpy as np
import pytest

from kerastickets.errors import RecipeError
from kerastickets.testing import toy_ticket
from kerastickets.training.train_ticket import train
from kerastickets.training.train_tickets import train_many
from kerastickets.training.trainer_cache import TrainerCache

DIALS = {"train": "2ep", "jit": "off"}


def test_each_is_what_train_gives():
    tickets, shop, told = [toy_ticket(), toy_ticket(1), toy_ticket()], TrainerCache(), []
    many = train_many(
        tickets, "digits", seeds=[0, 1, 1], on_row=lambda *row: told.append(row), trainers=shop, **DIALS
    )
    for n, (ticket, seed, one) in enumerate(zip(tickets, [0, 1, 1], many, strict=True)):
        alone = train(ticket, "digits", seed=seed, trainers=shop, **DIALS)
        assert one.ticket.digest == alone.ticket.digest
        assert one.metrics == alone.metrics
        assert [row for number, row in told if number == n] == list(one.rows)
    assert many[1].ticket.digest != many[2].ticket.digest


@pytest.mark.slow
def test_tickets_of_other_architectures_are_trained_as_well():
    narrow = train(toy_ticket(), "digits", start="small-dense", **DIALS).ticket
    many = train_many([toy_ticket(), narrow], "digits", **DIALS)
    assert [one.ticket.total for one in many] == [toy_ticket().total, narrow.total]
    assert np.isfinite([one.metrics["test_loss"] for one in many]).all()


def test_a_seed_for_each_ticket():
    with pytest.raises(RecipeError, match="Received: 1 seeds, 2 tickets"):
        train_many([toy_ticket(), toy_ticket()], "digits", seeds=[0])
