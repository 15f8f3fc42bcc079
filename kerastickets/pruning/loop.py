"""The one pruning loop: score, cut, rewind, train, and again.

Iterative magnitude pruning, one-shot pruning, SNIP and iterative SNIP are settings of it. Several runs go through it in
step, so that what they train at the same time can take turns in one compiled call. Each run still cuts, writes and
reports by itself, and each of its tickets has the bytes that it has when the run is alone.
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
    """Go through all levels of some runs, a level of each at a time.

    Args:
        runs: one or more. Runs that share a `TrainerCache` share what it keeps, trainers above all.

    Returns:
        The finished run of each, in their order.

    Raises:
        KerasTicketsError: the first error that a run raises. The others finish their level before.
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
    """Train the level that each run is at, where the level is trained; runs with one trainer train together.

    Returns:
        Each run with what came of it: None where the level is not trained. Errors come last, so that whoever goes
        through the list keeps what succeeded.
    """
    found: list[tuple[PruningRun, Trained]] = [(run, None) for run in runs if run.start is None]
    waiting = [run for run in runs if run.start is not None]
    for trainer in {id(run.prepared.trainer): run.prepared.trainer for run in waiting}.values():
        members = [run for run in waiting if run.prepared.trainer is trainer]
        found += zip(members, trainer.try_many([run.start for run in members]), strict=True)
    return sorted(found, key=lambda one: isinstance(one[1], KerasTicketsError))
