"""The one pruning loop: score, cut, rewind, train, and repeat.

Iterative magnitude pruning, one-shot pruning, SNIP and iterative SNIP are settings of this loop. Several runs go
through it level by level, so that their trainings can take turns in one compiled call. Each run still cuts, writes
and reports by itself, and each of its tickets has the same bytes as if the run were alone.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from kerastickets.errors import KerasTicketsError
from kerastickets.pruning.pruning_run import PruningRun
from kerastickets.runs.run import Run

if TYPE_CHECKING:
    from kerastickets.pruning.pruning_run import Trained


def find_tickets(runs: Sequence[PruningRun]) -> list[Run]:
    """Go through all levels of one or more runs, one level of each run at a time.

    Args:
        runs: one or more runs. Runs with the same `TrainerCache` share its data sets and trainers.

    Returns:
        The finished runs, in the order of `runs`.

    Raises:
        KerasTicketsError: the first error that a run raises. The other runs finish their level before it is raised.
    """
    with ExitStack() as folders:
        for run in runs:
            folders.enter_context(run.opened())
        while active := [run for run in runs if not run.finished]:
            for run in active:
                scores = run.score()
                cut = run.cut(scores)
                run.rewind(cut)
            for run, trained in train(active):
                run.keep(trained)
    return [run.result() for run in runs]


def train(runs: Sequence[PruningRun]) -> "list[tuple[PruningRun, Trained]]":
    """Train the current level of each run, if the level is trained. Runs with the same trainer train together.

    Returns:
        Each run with its result: an outcome, an error, or None if the level is not trained. Errors come last, so
        that the caller keeps what succeeded before it meets an error.
    """
    found: list[tuple[PruningRun, Trained]] = [(run, None) for run in runs if run.start is None]
    waiting = [run for run in runs if run.start is not None]
    for trainer in {id(run.trainer): run.trainer for run in waiting}.values():
        members = [run for run in waiting if run.trainer is trainer]
        found += zip(members, trainer.try_many([run.start for run in members]), strict=True)
    return sorted(found, key=lambda one: isinstance(one[1], KerasTicketsError))
