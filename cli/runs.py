"""The runs of one command: where each is written, and going through them in this process."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kerastickets.errors import KerasTicketsError
from kerastickets_cli.request import Request

if TYPE_CHECKING:
    from kerastickets.pruning.loop import Loop
    from kerastickets.pruning.several_runs import Errand
    from kerastickets.runs.run import Level
    from kerastickets.training.trainer_cache import TrainerCache

Facts = dict[str, Any]


class Observer(Protocol):
    """Is told what happens in a run."""

    def plan(self, seed: int, steps: Sequence[int]) -> None:
        """A run begins; `steps` are those of each level, 0 where it is not trained."""

    def row(self, seed: int, row: Mapping[str, Any]) -> None:
        """An evaluation is done."""

    def level(self, seed: int, level: "Level") -> None:
        """A level is done, or was found done."""


@dataclass(frozen=True)
class Batch:
    """One request for several seeds.

    Args:
        request: what to run.
        seeds: one or more.
        out: the folder; None for the default one.
        many: whether each seed gets a folder of its own below.
    """

    request: Request
    seeds: tuple[int, ...]
    out: Path | None
    many: bool

    def loop(self, seed: int, trainers: "TrainerCache | None" = None) -> "Loop":
        """The run of one seed, ready to go; imports TensorFlow."""
        from kerastickets.pruning.loop import Loop

        return Loop(self.request.job(seed), trainers=trainers)

    def folder(self, seed: int, loop: "Loop") -> Path:
        """Where the run of a seed is written."""
        out = self.out or default_folder(loop, alone=not self.many)
        return out / f"seed-{seed}" if self.many else out

    def run(self, seed: int, observer: Observer, trainers: "TrainerCache | None" = None) -> Facts:
        """Run one seed, or continue it; returns its facts."""
        return self._done([self.errand(seed, observer, trainers)])[0]

    def errand(self, seed: int, observer: Observer, trainers: "TrainerCache | None" = None) -> "Errand":
        """The run of one seed, and what is to be told of it."""
        from kerastickets.pruning.several_runs import Errand

        name = f"Seed {seed}" if self.many else ""
        try:
            loop = self.loop(seed, trainers)
            observer.plan(seed, steps_of(loop))
            row, level = partial(observer.row, seed), partial(observer.level, seed)
            return Errand(loop, self.folder(seed, loop), row, level, self.request.accept_versions, name)
        except KerasTicketsError as error:
            if not self.many:
                raise
            raise type(error)(f"{name}: {error}") from error

    def _done(self, errands: "Sequence[Errand]") -> list[Facts]:
        from kerastickets.pruning.several_runs import run_abreast

        return [run.facts() for run in run_abreast(errands)]

    def run_here(self, observer: Observer) -> list[Facts]:
        """Run every seed in this process, abreast where that is worthwhile; returns the facts of each run."""
        from kerastickets.pruning.several_runs import worthwhile
        from kerastickets.training.trainer_cache import TrainerCache

        trainers = TrainerCache()
        first = self.errand(self.seeds[0], observer, trainers)
        if worthwhile(first.loop):
            return self._done([first, *(self.errand(seed, observer, trainers) for seed in self.seeds[1:])])
        done = self._done([first])
        return done + [self.run(seed, observer, trainers) for seed in self.seeds[1:]]


def default_folder(loop: "Loop", alone: bool) -> Path:
    """`runs/MODEL-DATASET-CRITERION-<8 hex>`, where the digits tell recipes apart.

    Runs that a longer one extends share its folder, and so do the seeds of one command.

    Args:
        loop: the run of the first seed.
        alone: whether it is the only one.
    """
    recipe = loop.recipe_json()
    left_out = ([] if alone else ["seeds", "start"]) + (["levels"] if loop.method.extendable else [])
    recipe = {name: value for name, value in recipe.items() if name not in left_out}
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    model = loop.source.name.split(" ")[0].removesuffix(".keras")
    names = (
        re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.") for name in (model, loop.data_name, loop.method.name)
    )
    return Path("runs") / "-".join([*names, hashlib.sha256(text.encode()).hexdigest()[:8]])


def steps_of(loop: "Loop") -> list[int]:
    """The training steps of each level if nothing stops early; 0 where it is not trained."""
    per_epoch = max(1, len(loop.data.train[0]) // loop.recipe.batch_size)
    whole = loop.recipe.train.iterations(per_epoch)
    first = loop.method.rewind_to.iterations(per_epoch)
    return [
        (whole - first if level else whole) if loop.method.trains(level, loop.levels) else 0
        for level in range(loop.levels + 1)
    ]
