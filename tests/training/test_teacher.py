"""Distillation by the compiled trainer: the loss by a loop of one's own, who teaches whom, and what is recorded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastickets.errors import RecipeError
from kerastickets.models.variables import assign, snapshot
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.loop import find_tickets
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.pruning_run import PruningRun
from kerastickets.training.model_source import ticket_recipe
from kerastickets.training.recipe import Recipe
from kerastickets.training.session import Start
from kerastickets.training.teacher import find_teacher
from kerastickets.training.train_ticket import train
from kerastickets.training.trainer_cache import TrainerCache
from kerastickets.transferring.transfer_ticket import transfer
from tests.helpers.training import DIALS, data, find, masks, ones, plain, same, start, trainer

RUN = {"levels": 2, "rate": 0.5, "distil": 0.7, "temperature": 3}


def by_hand(weights, taught, steps, weight, t):
    """Plain gradient descent on the whole data, with the formula of Hinton, Vinyals and Dean."""
    net, teacher = plain(), plain()
    assign(net, weights)
    assign(teacher, taught)
    x, y = data().train
    wanted = tf.nn.softmax(teacher(x) / t)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            z = net(x)
            own = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, z))
            soft = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, z / t))  # + a constant
            loss = (1 - weight) * own + weight * t**2 * soft
        for v, g in zip(net.trainable_variables, tape.gradient(loss, net.trainable_variables), strict=True):
            v.assign_sub(0.3 * g)
    return snapshot(net)


@pytest.mark.parametrize("jit", ["off", pytest.param("on", marks=pytest.mark.slow)])
def test_the_trainer_descends_the_loss_with_the_teacher(jit):
    dials = {"optimizer": "sgd", "lr": 0.3, "batch_size": 40, "train": "3it", "keep": "last", "jit": jit}
    net = trainer(plain, distil=0.7, temperature=3.0, teacher=plain, **dials)
    done = net.train(start(), ones(), seed=0, teacher=start(seed=5))
    expected = by_hand(start(), start(seed=5), 3, 0.7, 3.0)
    for key, value in expected.items():
        np.testing.assert_allclose(done.final[key], value, rtol=1e-4, atol=1e-6)
    # Evaluations, and so what is the best, have the own loss.
    plainly = trainer(plain, **dials)
    plainly.load(done.final, ones(), seed=0)
    assert done.rows[-1]["val_loss"] == pytest.approx(plainly.engine.evaluate("validation")["loss"], rel=1e-5)
    assert same(snapshot(net._distillation.teacher), start(seed=5))


def test_level_0_trains_plainly_and_teaches_the_others():
    shop = TrainerCache()
    run, plainly = find(trainers=shop, **RUN), find(levels=2, rate=0.5, trainers=shop)
    assert run.tickets[0].provenance["recipe"] == plainly.tickets[0].provenance["recipe"]
    assert "distil" not in run.tickets[0].provenance["recipe"]
    assert same(dict(run.tickets[0].weights("final")), dict(plainly.tickets[0].weights("final")))
    teacher = run.tickets[0].weights("final")
    net = trainer(plain, distil=0.7, temperature=3.0, teacher=plain)
    for ticket in run.tickets[1:]:
        assert ticket.provenance["recipe"]["distil"] == 0.7
        assert ticket.provenance["recipe"]["temperature"] == 3.0
        done = net.train(ticket.weights("init"), ticket.masks, seed=0, teacher=teacher)
        assert same(done.final, dict(ticket.weights("final")))
    assert not same(dict(run.tickets[1].weights("final")), dict(plainly.tickets[1].weights("final")))


@pytest.mark.slow
def test_a_run_that_was_stopped_and_seeds_that_take_turns_have_the_same_bytes(tmp_path):
    alone = [find(seed=seed, **RUN).tickets for seed in (0, 1)]
    find(out=tmp_path / "run", **(RUN | {"levels": 1}))  # level 0 is read back, and teaches again
    extended = find(out=tmp_path / "run", **RUN).tickets
    assert [ticket.digest for ticket in extended] == [ticket.digest for ticket in alone[0]]
    shop = TrainerCache()
    jobs = [PruneJob.of(plain, data(), seed=seed, dials=DIALS | RUN) for seed in (0, 1)]
    runs = find_tickets([PruningRun(PreparedRun(job, trainers=shop)) for job in jobs])
    for run, tickets in zip(runs, alone, strict=True):
        assert [ticket.digest for ticket in run.tickets] == [ticket.digest for ticket in tickets]


@pytest.mark.slow
def test_members_of_a_group_have_teachers_of_their_own():
    net = trainer(plain, distil=0.7, teacher=plain)
    starts = [Start(start(), masks(), 3, teacher=start(seed=n)) for n in (1, 2)]
    together = net.train_many(starts)
    for one, outcome in zip(starts, together, strict=True):
        again = trainer(plain, distil=0.7, teacher=plain).train_many([one])[0]
        assert same(again.final, outcome.final)
    assert not same(together[0].final, together[1].final)


@pytest.fixture(scope="module")
def found():
    return find(levels=1, rate=0.5).tickets


@pytest.mark.slow
def test_a_ticket_learns_from_a_teacher_that_is_named(found, tmp_path):
    dense, pruned = found
    dense.save(tmp_path / "dense.safetensors")
    by_ticket = train(pruned, data(), teacher=tmp_path / "dense.safetensors", distil=0.9, temperature=2)
    assert by_ticket.ticket.provenance["teacher"] == dense.digest
    net = trainer(plain, distil=0.9, temperature=2.0, teacher=plain)
    done = net.train(pruned.weights("init"), pruned.masks, seed=0, level=1, teacher=dense.weights("final"))
    assert same(done.final, dict(by_ticket.ticket.weights("final")))
    # What follows has no teacher.
    assert not {"distil", "temperature"} & ticket_recipe(by_ticket.ticket).keys()
    assert by_ticket.ticket.provenance["recipe"]["distil"] == 0.9


@pytest.mark.slow
def test_a_keras_file_and_a_model_are_teachers_too(found, tmp_path):
    dense, pruned = found
    model = dense.build()
    assign(model, dense.weights("final"))
    model.save(tmp_path / "dense.keras")
    expected = train(pruned, data(), teacher=dense)
    assert expected.ticket.provenance["recipe"]["distil"] == 0.5
    for teacher in (model, tmp_path / "dense.keras"):
        done = train(pruned, data(), teacher=teacher)
        assert same(dict(done.ticket.weights("final")), dict(expected.ticket.weights("final")))
    wide = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
    with pytest.raises(RecipeError, match=r"teacher must have the outputs.*\[\(3,\)\].*\[\(5,\)\]"):
        train(pruned, data(), teacher=wide)


def test_what_is_off_is_not_recorded():
    assert not {"distil", "temperature"} & Recipe().describe().keys()
    assert Recipe(distil=1).describe()["distil"] == 1.0


@pytest.mark.parametrize(
    ("dials", "said"),
    [
        ({"distil": 0}, "`distil` must be above 0 and at most 1, or none. Received: distil=0"),
        ({"distil": True}, "distil=True"),
        ({"distil": 2}, "distil=2"),
        ({"temperature": 0}, "`temperature` must be above 0 and finite. Received: temperature=0"),
        ({"temperature": "hot"}, "temperature='hot'"),
    ],
)
def test_values_out_of_range_are_refused(dials, said):
    with pytest.raises(RecipeError, match=said):
        Recipe(**dials)


def test_a_teacher_that_is_missing_or_untrained_is_refused(found):
    dense, pruned = found
    with pytest.raises(RecipeError, match=r"needs a teacher: .* --teacher TICKET, and.*Received: distil=0.5"):
        train(pruned, data(), distil=0.5)
    with pytest.raises(RecipeError, match="needs a teacher"):
        transfer("ticket", pruned, data(), distil=0.5)
    with pytest.raises(
        RecipeError, match=r"trained net of level 0 as the teacher\. Received: distil=0.5, between=none"
    ):
        find(criterion="snip", distil=0.5)
    untrained = dense.replace(snapshots={"init": dense.weights("init")})
    with pytest.raises(
        RecipeError, match=r"A teacher must be a trained ticket, with final weights\. Received: one with init"
    ):
        find_teacher(untrained, data())
