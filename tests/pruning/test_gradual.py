"""Gradual pruning: the counts of every cut, a training that goes on, and what is recorded of it."""

import keras
import numpy as np
import pytest

import kerastickets as kt
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import kept
from kerastickets.pruning.gradual import Gradual
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.loop import find_tickets
from kerastickets.pruning.method import Method
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.pruning_run import PruningRun
from kerastickets.training.session import Start
from kerastickets.training.trainer_cache import TrainerCache
from tests.helpers.training import DIALS, data, find, plain, same, start, trainer

# `plain` has 32 + 24 = 56 prunable weights. Three epochs are 15 steps.
# Compiled once for all that is run here.
RUN = {"train": "3ep", "eval_every": "1it", "sparsity": 0.75, "scope": "global", "trainers": TrainerCache()}
TEN = "gradual:end=10it,every=2it"


def test_the_counts_follow_the_cubic_schedule():
    # 1000 * (1 - 0.8 * (1 - (1 - t)^3)) at t = 1/4, 1/2, 3/4, 1.
    assert Gradual.parse("gradual").moves(1000, 200, 400, 10).keys() == {*range(15, 301, 15)}
    moves = Gradual.parse("gradual:end=200it,every=50it").moves(1000, 200, 400, 10)
    assert moves == {50: 538, 100: 300, 150: 212, 200: 200}
    shares = kt.callbacks.polynomial(begin=40, end=90, every=20, final=0.8)
    moves = Gradual.parse("gradual:begin=4ep,end=0.225,every=2ep").moves(1000, 200, 400, 10)
    assert moves == {step: round(1000 * (1 - share)) for step, share in shares.items() if step > 40}
    by_key = Gradual.parse("gradual:end=2it,every=1it").moves({"a": 10, "b": 8}, {"a": 2, "b": 8}, 4, 1)
    assert by_key == {1: {"a": 3, "b": 8}, 2: {"a": 2, "b": 8}}


@pytest.mark.parametrize("text", ["gradual", "gradual:end=0.5", "gradual:begin=0.1,end=500it,every=2ep"])
def test_a_schedule_reads_what_it_writes(text):
    assert str(Gradual.parse(text)) == text


def test_a_run_is_cut_step_by_step_and_keeps_exactly_its_target():
    run = find(schedule=TEN, **RUN)
    shares = kt.callbacks.polynomial(begin=0, end=10, every=2, final=0.75)
    expected = [round(56 * (1 - shares[min(10, step // 2 * 2)])) for step in range(16)]
    assert expected[::2] == [56, 36, 23, 17, 14, 14, 14, 14]
    assert [row["kept"] for row in run.history()] == expected
    dense, ticket = run.tickets
    assert (dense.kept, ticket.kept) == (56, 14)
    assert set(dense.snapshots) == {"init"}
    assert same(dict(ticket.weights("init")), dict(dense.weights("init")))
    final = ticket.weights("final")
    assert all(not final[key][~mask].any() and final[key][mask].all() for key, mask in ticket.masks.items())
    # Only evaluations under the final masks can be the best.
    assert ticket.provenance["metrics"]["early_stop_iteration"] >= 10
    assert ticket.provenance["method"]["schedule"] == TEN
    assert (
        "schedule"
        not in find(levels=1, no_train=True, between="none", sparsity=0.5).tickets[0].provenance["method"]
    )


def cut_by_hand(weights, keep):
    order = np.sort(
        np.concatenate([np.abs(weights[key]).ravel() for key in ("dense/kernel", "dense_1/kernel")])
    )
    return {key: np.abs(weights[key]) >= order[-keep] for key in ("dense/kernel", "dense_1/kernel")}


@pytest.mark.parametrize("momentum", [0.0, pytest.param(0.9, marks=pytest.mark.slow)])
def test_it_is_one_training_that_goes_on(momentum):
    dials = {"optimizer": "sgd", "momentum": momentum, "lr": 0.05, "keep": "last"}
    run = find(schedule="gradual:end=5it,every=5it", **RUN, **dials)
    # The same in two trainings: without momentum, an optimizer has no state to lose between them.
    ones = {key: np.ones_like(mask) for key, mask in run.tickets[0].masks.items()}
    net = trainer(plain, train="3ep", **dials)
    half = net.train(run.tickets[0].weights("init"), ones, seed=0, snapshot_at={5}).snapshots[5]
    masks = cut_by_hand(half, 14)
    assert same(dict(run.tickets[1].masks), masks)
    done = net.train(half, masks, seed=0, first=5).final
    assert same(done, dict(run.tickets[1].weights("final"))) is (momentum == 0)


def test_masks_may_grow_as_well_as_shrink():
    seen = []

    def swapped(step, masks):
        seen.append((step, kept(masks)))
        return {key: ~mask for key, mask in masks.items()}

    net = trainer(plain, train="3ep", jit="off")
    masks = {
        key: np.arange(mask.size).reshape(mask.shape) % 4 == 0
        for key, mask in cut_by_hand(start(), 14).items()
    }
    begin = Start(start(), masks, 0, remask_at={4, 9, 11}, remask=swapped)
    done = net.train_many([begin])[0]
    assert seen == [(4, 14), (9, 42), (11, 14)]
    assert same(done.masks, {key: ~mask for key, mask in masks.items()})
    assert all(not done.final[key][masks[key]].any() for key in masks)
    # A weight that came back has learned again, from zero.
    assert all(done.final[key][~masks[key]].any() for key in masks)


@pytest.mark.slow
def test_several_seeds_take_turns_to_the_bytes_of_each_alone():
    dials = DIALS | {name: value for name, value in RUN.items() if name != "trainers"} | {"schedule": TEN}
    alone = [find(seed=seed, schedule=TEN, **RUN).tickets[1] for seed in (0, 1)]
    shop = TrainerCache()
    jobs = [PruneJob.of(plain, data(), seed=seed, dials=dials) for seed in (0, 1)]
    runs = find_tickets([PruningRun(PreparedRun(job, trainers=shop)) for job in jobs])
    assert [run.tickets[1].digest for run in runs] == [ticket.digest for ticket in alone]


@pytest.mark.parametrize(
    ("criterion", "dials"),
    [
        ("snip", {}),
        pytest.param("magnitude", {"granularity": "channel", "sparsity": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_any_criterion_scores_the_net_as_it_is_and_units_go_whole(criterion, dials):
    run = find(criterion=criterion, schedule=TEN, **(RUN | dials))
    ticket = run.tickets[1]
    if criterion == "snip":
        assert ticket.kept == 14
    else:
        # Of eight units with four weights each, half go; the output layer keeps its rows.
        columns = ticket.masks["dense/kernel"].any(0)
        assert columns.sum() == 4
        assert (ticket.masks["dense/kernel"] == columns).all()


def test_a_ticket_is_cut_further_from_what_it_keeps():
    first = find(levels=1, between="none", no_train=True, **(RUN | {"sparsity": 0.5})).tickets[1]
    run = find(start=first, schedule=TEN, **RUN)
    assert [row["kept"] for row in run.history()][:12:2] == [28, 21, 17, 15, 14, 14]
    assert all((first.masks[key] >= mask).all() for key, mask in run.tickets[1].masks.items())


def test_patience_waits_for_the_last_cut():
    run = find(schedule=TEN, patience=1, lr=1e-9, **RUN)
    assert run.tickets[1].provenance["metrics"]["stopped_iteration"] == 11


@pytest.mark.slow
def test_a_callback_that_stops_before_the_last_cut_is_refused():
    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    with pytest.raises(RecipeError, match=r"until the masks are final, iteration 10\. Received: a callback"):
        find(schedule=TEN, callbacks=lambda level: [Stops()], **RUN)


@pytest.mark.parametrize(
    ("dials", "said"),
    [
        ({"schedule": "gradul"}, "must be levels, gradual or"),
        ({"schedule": 3}, "must be levels, gradual or"),
        ({"schedule": "gradual:from=1"}, "No part of `schedule` named 'from'"),
        ({"schedule": "gradual:end=1.5"}, "`end` of the schedule must be a fraction"),
        ({"schedule": "gradual:end=soon"}, "`end` of the schedule must be a fraction"),
        ({"schedule": "gradual:every=0it"}, "must be at least one step"),
        ({"schedule": "gradual:every=3"}, "A duration must be a number and its unit"),
        ({"schedule": "gradual", "levels": 3}, "levels=3"),
        ({"schedule": "gradual", "between": "train"}, "between=train"),
        ({"schedule": "gradual", "no_train": True}, "no_train=True"),
        ({"schedule": "gradual", "cuts": 2}, "cuts=2"),
        ({"schedule": "gradual", "all_alive": True, "scope": "global"}, "another variant"),
        ({"schedule": "gradual", "rewind_to": "3it"}, "need a trained level 0"),
    ],
)
def test_settings_that_contradict_it_are_refused(dials, said):
    with pytest.raises(RecipeError, match=said):
        Method.of("magnitude", {"sparsity": 0.5} | dials)


@pytest.mark.parametrize("text", ["gradual:end=15it", "gradual:begin=0.8", "gradual:end=0it"])
def test_cuts_outside_the_training_are_refused(text):
    with pytest.raises(RecipeError, match="begin < end < its length"):
        find(schedule=text, **RUN)
