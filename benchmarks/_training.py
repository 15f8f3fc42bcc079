"""The trainer that the library makes by itself, caught through public functions, so that its calls can be timed."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import kerastickets as kt
from kerastickets.training.trainer import Trainer

#: Takes the trainer, what it is to train from, and a function that does it; returns what that returns.
Around = Callable[[Any, Sequence[Any], Callable[[], Any]], Any]


@contextmanager
def around_training(around: Around) -> Iterator[None]:
    """Meanwhile `around` is called in the place of every `Trainer.try_many`, through which all training goes."""
    inner = Trainer.try_many

    def try_many(self: Trainer, starts: Sequence[Any]) -> Any:
        return around(self, starts, lambda: inner(self, starts))

    with mock.patch.object(Trainer, "try_many", try_many):
        yield


def untrained(model: str, data: str, seed: int) -> kt.Ticket:
    """A ticket before any cut and any training."""
    dials: Any = {"levels": 1, "rate": 0.2, "between": "none", "no_train": True}
    return kt.prune(model, data, "random", seed=seed, **dials).tickets[0]


def compiled(model: str, data: str, seeds: range, **dials: Any) -> tuple[Trainer, Sequence[Any]]:
    """A trainer and what it trains from, one start a seed; it has trained them once, so it has compiled.

    Args:
        model: a registered name.
        data: a registered name.
        seeds: of each net, for its weights and its data.
        **dials: how to train, as `kt.train_many` takes them.
    """
    caught: list[tuple[Trainer, Sequence[Any]]] = []

    def catch(trainer: Trainer, starts: Sequence[Any], train: Callable[[], Any]) -> Any:
        caught.append((trainer, starts))
        return train()

    tickets = [untrained(model, data, seed) for seed in seeds]
    with around_training(catch):
        kt.train_many(tickets, data, seeds=[*seeds], **dials)
    if len(caught) != 1:
        raise SystemExit(f"The {len(tickets)} nets were to train in one call. Received: {len(caught)} calls.")
    return caught[0]
