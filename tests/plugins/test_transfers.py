"""The protocols one by one: what each takes along and what it draws, planned but, where that is enough, not trained."""

import numpy as np
import pytest

from kerastickets import registry, transfer
from kerastickets.errors import RecipeError, TicketError
from kerastickets.foundations.tree import masked
from kerastickets.testing import toy_data, toy_ticket
from kerastickets.tickets.operation import plugin_name
from kerastickets.training.train_ticket import control
from tests.helpers.training import same

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_pruning_while_fine_tuning": ("weight",),
}


NAMES = {
    *("dense", "fine-tune", "frozen", "frozen-then-all", "late-reset", "new-head"),
    *("prune-while-fine-tuning", "random-reinit", "small-dense", "ticket"),
}


def first(protocol, ticket=None, target=None, **options):
    made = registry.create("transfers", protocol, options)
    return next(iter(made(ticket or toy_ticket(), target or toy_data(), 0)))


def test_the_protocols_of_this_release_are_registered_by_their_own_names():
    assert set(registry.names("transfers")) >= NAMES
    for name in NAMES:
        assert plugin_name(registry.create("transfers", name)) == name


@pytest.mark.parametrize("name", sorted(NAMES))
def test_options_are_documented(name):
    for option in registry.options(registry.load("transfers", name)):
        assert option.help, option.name


def test_the_ticket_goes_as_it_is():
    phase = first("ticket")
    assert phase.ticket is toy_ticket()
    assert (phase.frozen, phase.start, str(phase.duration)) == ((), "init", "1ep")


def test_dense_and_random_reinit_take_away_one_thing_each():
    old, dense, reinit = toy_ticket(), first("dense").ticket, first("random-reinit").ticket
    assert dense.density == 1
    assert same(dense.weights(), old.weights())
    assert same(reinit.masks, old.masks)
    assert reinit == control(old, "random-reinit", 0)
    assert not np.array_equal(reinit.weights()["dense/kernel"], old.weights()["dense/kernel"])


def test_small_dense_has_the_tickets_number_of_weights():
    # 222 of 64 * 6 + 6 * 10 weights are kept; three hidden units have 64 * 3 + 3 * 10.
    made = first("small-dense").ticket
    assert (made.total, made.density) == (222, 1.0)
    assert made.masks["dense/kernel"].shape == (64, 3)


def test_late_reset_takes_the_latest_step_or_the_one_asked_for():
    assert first("late-reset").start == "rewind@3"
    assert first("late-reset", step=3).start == "rewind@3"
    with pytest.raises(TicketError, match="starts from the weights rewind@4"):
        first("late-reset", step=4)


def test_frozen_holds_all_but_the_head_and_what_is_asked_for():
    assert first("frozen", head="same").frozen == ("dense/bias", "dense/kernel")
    assert first("frozen", train=("*/bias",)).frozen == ("dense/kernel",)
    assert same(first("frozen", head="same").ticket.weights("final"), toy_ticket().weights("final"))
    with pytest.raises(RecipeError, match=r"`train` must name a weight. Received: 'dens'"):
        first("frozen", train=("dens",))


@pytest.mark.parametrize("name", ["frozen", "fine-tune", "prune-while-fine-tuning"])
def test_trained_weights_are_needed(name):
    with pytest.raises(TicketError, match=f"{name} starts from the weights final"):
        first(name, toy_ticket().replace(snapshots={"init": toy_ticket().weights()}))


@pytest.mark.parametrize("unit", ["weight", "channel"])
def test_pruning_while_fine_tuning(unit):
    protocol = f"prune-while-fine-tuning:steps=2,rate=0.25,unit={unit}"
    old = toy_ticket()
    if unit == "channel":
        old = control(old, "dense", 0)
        old = old.replace(snapshots=dict(old.snapshots) | {"final": toy_ticket().weights("rewind@3")})
    moved = transfer(protocol, old, toy_data(), train="9it", batch_size=10, jit="off")
    mask = moved.ticket.masks
    if unit == "weight":
        # Of 222: rint(222 * 0.75 = 166.5), and a quarter of these in turn.
        assert moved.ticket.kept in (124, 125)
    else:
        # Six channels of 64 weights and a head of 60 that is left alone: 384 -> 288 -> 216 leaves 4, then 3.
        assert mask["dense/kernel"].sum(0).tolist().count(64) == 3
        assert mask["dense_1/kernel"].all()
    assert not (mask["dense/kernel"] & ~old.masks["dense/kernel"]).any()
    assert [phase["duration"] for phase in moved.phases] == ["3it"] * 3
    assert [row["iteration"] for row in moved.rows if row["phase"] == 2] == [6, 9]
    final = moved.ticket.weights("final")
    assert same(final, masked(final, mask))


def test_options_out_of_range():
    with pytest.raises(Exception, match="`share` must be in"):
        registry.create("transfers", "frozen-then-all:share=1.0")
    with pytest.raises(Exception, match="`steps` and `batches` must be at least 1"):
        registry.create("transfers", "prune-while-fine-tuning:steps=0")
