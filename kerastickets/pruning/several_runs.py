"""Pruning runs that go on abreast: what they train at the same time takes turns in one compiled call.

A run is a generator of trainings. Whoever drives it may do those of several runs together; each run cuts,
writes and reports by itself, and each of its tickets has the bytes that it has when the run is alone.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kerastickets.errors import KerasTicketsError
from kerastickets.pruning.loop import Loop, Trainings
from kerastickets.runs.run import Level, Run

if TYPE_CHECKING:
    from kerastickets.training.session import Outcome, Start

# Weights times steps between two evaluations. Of 4-38-38-2 on moons-circles that is 27 thousand, and together
# a net's epoch takes less than half the time; of LeNet on digits a million, and it takes an eighth less; of
# LeNet on MNIST 240 million, where the calls that are saved do not show.
_WORTH = 2_000_000


@dataclass(frozen=True)
class Errand:
    """A run that is to be done.

    Args:
        loop: the run.
        out: its folder; None writes nothing.
        on_row: called with each evaluation's row.
        on_level_end: called with each finished level.
        accept_versions: continue a folder that other library versions began.
        name: goes before its errors.
    """

    loop: Loop
    out: str | Path | None = None
    on_row: Callable[[dict[str, Any]], None] | None = None
    on_level_end: Callable[[Level], None] | None = None
    accept_versions: bool = False
    name: str = ""

    def trainings(self) -> Trainings:
        """What it wants trained."""
        return self.loop.trainings(self.out, self.on_row, self.on_level_end, self.accept_versions)

    def fail(self, error: KerasTicketsError) -> NoReturn:
        """Raise its error, named."""
        if not self.name:
            raise error
        raise type(error)(f"{self.name}: {error}") from error


def worthwhile(loop: Loop) -> bool:
    """Whether runs like this one gain by going on abreast.

    They do where calls cost more than what they compute: few weights, few steps between evaluations; where
    the trainer can take turns, which it cannot with callbacks, replicas or batches that the data makes; and
    where all seeds have the same data, which a `train_size` gives to each of its own.

    Args:
        loop: one of several that differ in their seeds.
    """
    steps = loop.recipe.eval_every.iterations(max(1, len(loop.data.train[0]) // loop.recipe.batch_size))
    weights = sum(value.size for value in loop.init.values())
    return loop.takes_turns and loop.data is loop.whole and weights * steps <= _WORTH


def run_abreast(errands: Sequence[Errand]) -> list[Run]:
    """Do several runs, a level of each at a time.

    Args:
        errands: the runs. Those whose loops share a trainers share what it keeps, trainers above all.

    Returns:
        The run of each, in their order.

    Raises:
        KerasTicketsError: the first that a run raises. Levels that are finished then are written.
    """
    runs: dict[int, Run] = {}
    wanted: dict[int, Start] = {}
    with ExitStack() as stack:
        # Whatever happens, every run's folder is let go.
        trainings = [errand.trainings() for errand in errands]
        for one in trainings:
            stack.callback(one.close)

        def advance(n: int, step: Callable[[], "Start"]) -> None:
            try:
                wanted[n] = step()
            except StopIteration as end:
                runs[n] = end.value
            except KerasTicketsError as error:
                errands[n].fail(error)

        for n, one in enumerate(trainings):
            advance(n, one.__next__)
        while wanted:
            now, failures = dict(wanted), {}
            wanted.clear()
            for n, result in _trained(errands, now):
                if isinstance(result, KerasTicketsError):
                    failures[n] = result
                else:
                    advance(n, lambda n=n, result=result: trainings[n].send(result))  # type: ignore[misc]
            for n, error in failures.items():
                errands[n].fail(error)
    return [runs[n] for n in range(len(errands))]


def _trained(
    errands: Sequence[Errand], wanted: dict[int, "Start"]
) -> list[tuple[int, "Outcome | KerasTicketsError"]]:
    """What came of each training; runs with one trainer train together."""
    found: list[tuple[int, Outcome | KerasTicketsError]] = []
    trainers = {n: errands[n].loop.trainer for n in wanted}
    for trainer in {id(trainer): trainer for trainer in trainers.values()}.values():
        members = [n for n in wanted if trainers[n] is trainer]
        found += zip(members, trainer.try_many([wanted[n] for n in members]), strict=True)
    return found
