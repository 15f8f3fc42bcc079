"""The pruning loop: what every level keeps, starts from and reports."""

from dataclasses import dataclass

import numpy as np
import pytest

from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import masked
from kerastickets.models.initial_weights import fresh
from kerastickets.models.variables import snapshot
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.loop import find_tickets
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.prune_model import prune
from kerastickets.pruning.pruning_run import PruningRun
from tests.helpers.training import DIALS, data, find, noisy, plain, same


@pytest.fixture(scope="module")
def late():
    """Iterative magnitude pruning with a late rewind point, from a net with statistics and noise."""
    return find(noisy, levels=3, rate=0.5, rewind_to="3it", snapshot_at=["1ep", "0it"])


@pytest.mark.parametrize(
    ("amounts", "kept"),
    [
        ({"levels": 3, "rate": 0.5}, [56, 28, 14, 7]),  # by layer: 32, 16, 8, 4 and 24, 12, 6, 3
        ({"levels": 2, "rate": 0.2}, [56, 45, 36]),  # round(32 * .2) = 6, round(26 * .2) = 5; 5, then 4
        ({"rate": 0.5}, [56, 28]),
        ({"levels": 2, "target": 14, "scope": "global"}, [56, 28, 14]),
        ({"sparsity": 0.75}, [56, 14]),
        ({"rate": 0.5, "target": 10, "scope": "global"}, [56, 28, 14, 10]),
        ({"levels": 1, "rate": {"dense": 0.5, "dense_1/kernel": 0.25}}, [56, 34]),
        ({"levels": 1, "rate": {"*": 0.5, "output": 0.0}}, [32, 16]),
    ],
)
def test_every_level_keeps_what_was_planned(amounts, kept):
    run = find(no_train=True, **(amounts | {"train": "1ep"}))
    assert [ticket.kept for ticket in run.tickets] == kept
    assert [level.kept for level in run.levels] == kept
    assert {level.total for level in run.levels} == {kept[0]}


def test_masks_lie_within_those_of_the_level_before(late):
    for before, after in zip(late.tickets, late.tickets[1:], strict=False):
        for key, mask in after.masks.items():
            assert not (mask & ~before.masks[key]).any()


def test_the_largest_trained_weights_are_kept_layer_by_layer(late):
    for before, after in zip(late.tickets, late.tickets[1:], strict=False):
        for key, mask in after.masks.items():
            final = np.abs(before.weights("final")[key])
            gone = before.masks[key] & ~mask
            assert final[mask].min() >= final[gone].max()


def test_snapshots_are_stored_unmasked_and_equal_in_all_levels(late):
    assert list(late.tickets[0].snapshots) == ["init", "rewind@3", "rewind@5", "final"]
    assert same(late.tickets[0].weights("init"), snapshot(fresh(noisy, 0)))
    for ticket in late.tickets[1:]:
        for name in ("init", "rewind@3", "rewind@5"):
            assert same(ticket.weights(name), late.tickets[0].weights(name))
        assert all(ticket.weights("rewind@3")[key].all() for key in ticket.masks)
        assert not ticket.weights("final")["dense/kernel"][~ticket.masks["dense/kernel"]].any()


def test_training_on_changes_no_earlier_ticket(late):
    """Arrays that were aliased would drift with the model (and are read-only, should anybody try)."""
    short = find(noisy, levels=1, rate=0.5, rewind_to="3it", snapshot_at=["1ep"])
    for mine, other in zip(short.tickets, late.tickets, strict=False):
        assert all(same(mine.weights(name), other.weights(name)) for name in mine.snapshots)
    own = [array for tree in late.tickets[0].snapshots.values() for array in tree.values()]
    assert not any(array.flags.writeable for array in own)
    model = late.tickets[0].build()
    assert not any(np.shares_memory(a, w.numpy()) for a in own for w in model.weights)


@dataclass(frozen=True)
class Loud:
    """A criterion instance without options, that scores every weight alike and remembers what it saw."""

    def __call__(self, scoring):
        SEEN.append((dict(scoring.weights), scoring.init, scoring.rewind, scoring.masks))
        return {key: np.abs(value) for key, value in scoring.weights.items()}


SEEN: list = []


def test_scores_come_from_exactly_the_weights_that_were_trained():
    SEEN.clear()
    run = find(criterion=Loud(), levels=2, rate=0.5, rewind_to="3it")
    for (weights, init, rewind, masks), parent in zip(SEEN, run.tickets, strict=False):
        assert same(weights, {key: parent.weights("final")[key] for key in weights})
        assert same(init, parent.weights("init"))
        assert same(rewind, parent.weights("rewind@3"))
        assert same(masks, parent.masks)
    assert run.head["criterion"] == "loud"


def test_scores_before_training_come_from_the_initialisation_that_is_then_trained():
    SEEN.clear()
    run = find(criterion=Loud(), levels=2, rate=0.5, between="none")
    for (weights, _, rewind, masks), parent in zip(SEEN, run.tickets, strict=False):
        assert same(weights, masked({key: parent.weights()[key] for key in weights}, parent.masks))
        assert rewind is None
        assert same(masks, parent.masks)
    assert same(run.tickets[-1].weights("init"), snapshot(fresh(plain, 0)))


def test_snip_trains_the_last_level_alone():
    run = find(criterion="snip", sparsity=0.75)
    zero, one = run.levels
    nothing = ("early_stop_iteration", "stopped_iteration", "val_accuracy", "test_accuracy", "seconds")
    assert [getattr(zero, name) for name in nothing] == [None] * 5
    assert [getattr(one, name) is None for name in nothing] == [False] * 5
    assert list(run.tickets[0].snapshots) == ["init"]
    assert list(run.tickets[1].snapshots) == ["init", "final"]
    assert {row["level"] for row in run.rows} == {1}


def test_no_train_leaves_the_last_level_untrained():
    run = find(criterion="snip", sparsity=0.75, no_train=True)
    assert run.rows == ()
    assert [level.val_accuracy for level in run.levels] == [None, None]
    assert run.tickets[1].masks["dense/kernel"].sum() < 32
    imp = find(levels=2, rate=0.5, no_train=True)
    assert ["final" in ticket.snapshots for ticket in imp.tickets] == [True, True, False]


# Rewinding, and what else can follow a cut


def driven(monkeypatch, **dials):
    """A run, and what it wanted trained at each level."""
    prepared = PreparedRun(PruneJob.of(plain, data(), dials=DIALS | {"levels": 1, "rate": 0.5} | dials))
    run, starts, real = PruningRun(prepared), [], prepared.trainer.try_many
    monkeypatch.setattr(prepared.trainer, "try_many", lambda wanted: starts.extend(wanted) or real(wanted))
    return find_tickets([run])[0], starts


@pytest.mark.parametrize(
    ("dials", "weights", "first", "rate_at"),
    [
        ({}, "init", 0, None),
        ({"rewind_to": "4it"}, "rewind@4", 4, None),
        ({"rewind_to": "1ep"}, "rewind@5", 5, None),
        ({"after_cut": "lr-rewind"}, "final", 0, None),
        ({"after_cut": "lr-rewind", "rewind_to": "4it"}, "final", 4, None),
        ({"after_cut": "fine-tune"}, "final", 0, 10),
    ],
)
def test_levels_start_from_what_follows_a_cut(monkeypatch, dials, weights, first, rate_at):
    run, (zero, one) = driven(monkeypatch, **dials)
    assert (zero.first, zero.rate_at, one.first, one.rate_at) == (0, None, first, rate_at)
    assert same(zero.weights, run.tickets[0].weights("init"))
    assert same(one.weights, run.tickets[0].weights(weights))
    assert zero.seed == one.seed  # nets of all levels see the same batches
    assert next(row["iteration"] for row in run.rows if row["level"] == 1) == first


def test_fine_tuning_goes_on_at_the_last_rate():
    dials = {"levels": 1, "rate": 0.5, "lr_schedule": "cosine", "after_cut": "fine-tune", "optimizer": "sgd"}
    run = find(**dials, lr=0.5, keep="last", train="4ep")
    fixed = 0.5 * 0.5 * (1 + np.cos(np.pi * 19 / 20))
    alone = prune(
        None,
        data(),
        start=run.tickets[1].replace(snapshots={"init": run.tickets[0].weights("final")}, provenance={}),
        levels=1,
        rate=0.5,
        **(DIALS | {"optimizer": "sgd", "lr": fixed, "keep": "last", "train": "4ep"}),
    )
    for key, value in alone.tickets[0].weights("final").items():
        np.testing.assert_allclose(run.tickets[1].weights("final")[key], value, atol=1e-6)


def test_rewinding_without_pruning_repeats_the_very_same_training():
    """Weights, statistics, order, noise and rate come back; plain SGD has no slots that would not."""
    run = find(
        noisy,
        levels=1,
        rate=1e-6,
        rewind_to="7it",
        optimizer="sgd",
        lr=0.1,
        lr_schedule="cosine",
        keep="last",
        train="4ep",
    )
    assert run.tickets[1].density == 1
    assert same(run.tickets[0].weights("final"), run.tickets[1].weights("final"))
    after = [row["val_loss"] for row in run.rows if row["iteration"] > 7]
    assert after[:3] == after[3:]


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        (
            {"rewind_to": "100it"},
            r"`rewind_to` must lie within .* rewind_to=100it, train=2ep \(10 iterations\)",
        ),
        ({"rewind_to": "2ep"}, r"`rewind_to` must lie within the training"),
        ({"snapshot_at": ["1ep", "3ep"]}, r"`snapshot_at` must lie within the training. .*snapshot_at=3ep"),
        (
            {"rewind_to": "9it", "train": "20ep", "lr": 1e-9, "patience": 1, "eval_every": "2it"},
            r"Level 0 must train as far as .*iteration 9. Received: it stopped at 4",
        ),
    ],
)
def test_a_rewind_point_that_training_does_not_reach_is_refused(dials, message):
    with pytest.raises(RecipeError, match=message):
        find(levels=1, rate=0.5, **dials)
