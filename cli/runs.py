"""The runs of one command: the folder of each, and how to run them in this process."""

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
    from kerastickets.pruning.prepared import PreparedRun
    from kerastickets.pruning.pruning_run import PruningRun
    from kerastickets.runs.run import Level
    from kerastickets.training.trainer_cache import TrainerCache

Facts = dict[str, Any]


class Observer(Protocol):
    """An object that is told what happens in a run."""

    def plan(self, seed: int, steps: Sequence[int]) -> None:
        """A run begins. `steps` are the training steps of each level, 0 if a level is not trained."""

    def row(self, seed: int, row: Mapping[str, Any]) -> None:
        """An evaluation is done."""

    def level(self, seed: int, level: "Level") -> None:
        """A level is finished, or was found finished in the folder."""


@dataclass(frozen=True)
class Batch:
    """One request for several seeds.

    Args:
        request: what to run.
        seeds: one or more seeds.
        out: the folder to write to; None for the default folder.
        many: whether each seed gets its own folder inside.
    """

    request: Request
    seeds: tuple[int, ...]
    out: Path | None
    many: bool

    def prepared(self, seed: int, trainers: "TrainerCache | None" = None) -> "PreparedRun":
        """Prepare the run of one seed. This imports TensorFlow."""
        from kerastickets.pruning.prepared import PreparedRun

        return PreparedRun(self.request.job(seed), self.request.custom_objects, trainers=trainers)

    def folder(self, seed: int, prepared: "PreparedRun") -> Path:
        """The folder that the run of a seed is written to."""
        out = self.out or default_folder(prepared, alone=not self.many)
        return out / f"seed-{seed}" if self.many else out

    def run(self, seed: int, observer: Observer, trainers: "TrainerCache | None" = None) -> Facts:
        """Run or continue one seed, and return its facts."""
        return self._done([self.observed(seed, observer, trainers)])[0]

    def observed(self, seed: int, observer: Observer, trainers: "TrainerCache | None" = None) -> "PruningRun":
        """The run of one seed, which reports to the observer."""
        from kerastickets.pruning.pruning_run import PruningRun

        name = f"Seed {seed}" if self.many else ""
        try:
            prepared = self.prepared(seed, trainers)
            observer.plan(seed, prepared.steps())
            row, level = partial(observer.row, seed), partial(observer.level, seed)
            folder, accept = self.folder(seed, prepared), self.request.accept_versions
            every = self.request.checkpoint_every
            return PruningRun(prepared, folder, row, level, accept, name, every)
        except KerasTicketsError as error:
            if not self.many:
                raise
            raise type(error)(f"{name}: {error}") from error

    def _done(self, runs: "Sequence[PruningRun]") -> list[Facts]:
        from kerastickets.pruning.loop import find_tickets

        return [run.facts() for run in find_tickets(runs)]

    def run_here(self, observer: Observer) -> list[Facts]:
        """Run every seed in this process, together if that is faster, and return the facts of each run."""
        from kerastickets.training.trainer_cache import TrainerCache

        trainers = TrainerCache()
        first = self.observed(self.seeds[0], observer, trainers)
        others = self.seeds[1:]
        if first.prepared.faster_together:
            return self._done([first, *(self.observed(seed, observer, trainers) for seed in others)])
        return self._done([first]) + [self.run(seed, observer, trainers) for seed in others]


def default_folder(prepared: "PreparedRun", alone: bool) -> Path:
    """The default folder, `runs/MODEL-DATASET-CRITERION-<8 hex>`. The eight hexadecimal digits identify the recipe.

    A run and its extension by more levels share one folder, and so do the seeds of one command.

    Args:
        prepared: the run of the first seed.
        alone: whether it is the only run of the command.
    """
    recipe, method = prepared.recipe_json(), prepared.method
    left_out = ([] if alone else ["seeds", "start"]) + (["levels"] if method.extendable else [])
    recipe = {name: value for name, value in recipe.items() if name not in left_out}
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    model = prepared.source.name.split(" ")[0].removesuffix(".keras")
    names = (
        re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.") for name in (model, prepared.data_name, method.name)
    )
    return Path("runs") / "-".join([*names, hashlib.sha256(text.encode()).hexdigest()[:8]])
