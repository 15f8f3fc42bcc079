"""Sharing data and trainers changes no number, and shares nothing between jobs that differ."""

import pytest

from kerastickets.distribution.devices import Layout
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.loop import find_tickets
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.prune_model import prune
from kerastickets.pruning.pruning_run import PruningRun
from kerastickets.training.model_source import find_model, source_of
from kerastickets.training.recipe import Recipe
from kerastickets.training.train_ticket import train
from kerastickets.training.trainer_cache import TrainerCache

DIALS = {"levels": 1, "rate": 0.5, "train": "2ep", "jit": "off"}


@pytest.mark.slow
def test_a_shared_workshop_gives_the_same_bits_as_one_of_its_own():
    shared, digests = TrainerCache(), []
    for trainers in (shared, shared, TrainerCache()):
        prepared = PreparedRun(PruneJob.of("mlp:8", "digits", seed=3, dials=DIALS), trainers=trainers)
        tickets = find_tickets([PruningRun(prepared)])[0].tickets
        trained = train(tickets[1], seed=4, trainers=trainers, train="1ep")
        digests.append([ticket.digest for ticket in (*tickets, trained.ticket)])
    assert digests[0] == digests[1] == digests[2]
    assert digests[0][:2] == [ticket.digest for ticket in prune("mlp:8", "digits", seed=3, **DIALS).tickets]


def test_a_trainer_serves_what_is_equal_in_everything_that_it_was_compiled_for():
    trainers = TrainerCache()
    data = trainers.data("digits")
    source = source_of(find_model("mlp:8"), data, "mlp:8", None)
    keys = ("dense/kernel", "dense_1/kernel")

    def trainer(recipe=Recipe(jit="off"), keys=keys, **more):  # noqa: B008 - it is frozen
        return trainers.trainer(source, data, recipe, keys, layout=Layout(), **more)

    assert trainer() is trainer()
    others = [trainer(Recipe(jit="off", lr=0.5)), trainer(keys=keys[:1]), trainer(watch=("test",))]
    assert len({*map(id, [*others, trainer()])}) == 4


def test_callbacks_get_a_trainer_of_their_own():
    trainers = TrainerCache()
    data = trainers.data("digits")
    source = source_of(find_model("mlp:8"), data, "mlp:8", None)
    one, two = (
        trainers.trainer(source, data, Recipe(jit="off"), (), layout=Layout(), callbacks=lambda level: ())
        for _ in range(2)
    )
    assert one is not two


def test_the_one_unused_longest_goes_first():
    trainers = TrainerCache(most=2)
    first, second = trainers.data("digits"), trainers.data("digits[2,3]")
    assert trainers.data("digits") is first
    trainers.data("digits[0,1]")
    assert trainers.data("digits") is first
    assert trainers.data("digits[2,3]") is not second
