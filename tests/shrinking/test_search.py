"""The order of the search, on tickets whose drops are set by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from kerastickets.errors import RecipeError
from kerastickets.shrinking.goal import Goal
from kerastickets.shrinking.judge import Drop, Measured
from kerastickets.shrinking.search import Path, Try, best
from kerastickets.tickets.ticket import Ticket

TOTAL = 100


def ticket(kept: int) -> Ticket:
    mask = np.arange(TOTAL) < kept
    weights = {"w": np.ones(TOTAL, "float32") * mask}
    return Ticket({}, {"w": mask}, {"init": weights, "final": weights})


@dataclass
class ByHand:
    """Judges by a table: the drop of a ticket by the number of weights that it keeps. Its bound is one higher."""

    drops: dict[int, float]
    alphas: set[float] = field(default_factory=set)

    def measure(self, one: Ticket) -> Measured:
        return Measured(float(one.kept), None, np.zeros(3))

    def drop(self, given: Measured, found: Measured, alpha: float) -> Drop:
        self.alphas.add(alpha)
        estimate = self.drops[int(found.value)]
        return Drop(estimate, estimate + 1, "by hand")


def searched(goal: Goal, drops: dict[int, float], levels: list[int], finer: list[int], **measures: object):
    asked: list[int] = []

    def between(level: int) -> Iterator[Ticket]:
        asked.append(level)
        yield from map(ticket, finer)

    judge, seen = ByHand(drops), []
    path = Path(
        "magnitude",
        goal,
        judge,  # type: ignore[arg-type]
        0.05,
        lambda: iter(map(ticket, levels)),
        between,
        measures.get("size"),  # type: ignore[arg-type]
        measures.get("latency"),  # type: ignore[arg-type]
        seen.append,
    )
    tried = path.search()
    assert tried == seen
    return tried, asked, judge.alphas


def names(tried: list[Try]) -> list[tuple[str, int, bool]]:
    return [(one.name, one.ticket.kept, one.kept and one.fits) for one in tried]


def test_with_a_drop_it_goes_on_until_one_fails_and_then_in_finer_steps():
    drops = {80: 0.0, 64: 0.5, 51: 3.0, 60: 0.0, 57: 0.9, 54: 0.2}
    tried, asked, _ = searched(Goal(max_drop=2.0), drops, [100, 80, 64, 51, 40], [60, 57, 54])
    assert names(tried)[3:] == [
        ("level 3", 51, False),
        ("level 2 + 1/4", 60, True),
        ("level 2 + 2/4", 57, True),
        ("level 2 + 3/4", 54, True),
    ]
    assert asked == [2]
    assert best(tried).ticket.kept == 54


def test_a_finer_step_that_fails_ends_the_search():
    drops = {80: 0.0, 64: 5.0, 76: 0.5, 72: 1.5, 68: 0.0}
    tried, asked, alphas = searched(Goal(max_drop=2.0), drops, [100, 80, 64, 51], [76, 72, 68])
    assert names(tried) == [
        ("level 0", 100, True),
        ("level 1", 80, True),
        ("level 2", 64, False),
        ("level 1 + 1/4", 76, True),
        ("level 1 + 2/4", 72, False),
    ]
    assert asked == [1]
    # Each of the two sequences has half of alpha, however many tickets it tests.
    assert alphas == {0.025}
    assert best(tried).ticket.kept == 76


def test_without_a_drop_the_first_that_fits_is_taken():
    drops = dict.fromkeys(range(101), 9.0)
    tried, asked, _ = searched(
        Goal(max_size=700), drops, [100, 80, 64, 51], [], size=lambda one: 10 * one.kept
    )
    assert names(tried) == [("level 0", 100, False), ("level 1", 80, False), ("level 2", 64, True)]
    assert asked == []
    assert best(tried).size == 640


def test_if_nothing_within_the_drop_is_small_enough_the_sparsest_within_it_is_taken():
    drops = {80: 0.0, 64: 9.0, 76: 9.0}
    tried, _, _ = searched(
        Goal(max_drop=2.0, max_size=100), drops, [100, 80, 64], [76], size=lambda one: 10 * one.kept
    )
    chosen = best(tried)
    assert (chosen.ticket.kept, chosen.kept, chosen.fits) == (80, True, False)


def test_if_the_first_cut_is_too_much_the_given_model_is_taken():
    tried, asked, _ = searched(Goal(max_drop=0.5), {80: 3.0, 95: 3.0}, [100, 80], [95])
    assert asked == [0]
    assert best(tried).name == "level 0"


def test_a_path_that_ends_by_itself_is_taken_to_its_end():
    tried, asked, _ = searched(Goal(max_drop=9.0), dict.fromkeys(range(101), 0.0), [100, 80, 64], [])
    assert asked == []
    assert best(tried).ticket.kept == 64


def test_a_format_that_does_not_shrink_is_refused_once_that_shows():
    levels = [100, 80, 64, 51, 41, 33, 26]
    with pytest.raises(
        RecipeError, match="5,000 bytes for the given model, and 5,000 with 33% of its weights"
    ):
        searched(Goal(max_size=100), dict.fromkeys(range(101), 0.0), levels, [], size=lambda one: 5000)


def test_latency_decides_like_size():
    tried, _, _ = searched(
        Goal(max_latency=0.7),
        dict.fromkeys(range(101), 0.0),
        [100, 80, 64],
        [],
        latency=lambda one: one.kept / 100,
    )
    assert best(tried).latency == 0.64
