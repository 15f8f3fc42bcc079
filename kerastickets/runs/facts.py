"""Read a run's folder for a report: recipe, levels, evaluations, and masks packed into bits.

Tickets are read one at a time, with NumPy only. Only their masks stay in memory.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerastickets.errors import RecipeError
from kerastickets.foundations.strangers import is_count, is_finite
from kerastickets.foundations.tree import Tree
from kerastickets.runs.folder import RunFolder, read_metrics
from kerastickets.runs.run import Level
from kerastickets.runs.tasks import RunTasks
from kerastickets.structure.summary import StructureSummary, counts_of, summarise
from kerastickets.tickets.ticket import Ticket
from kerastickets.tickets.winning import stopped_by

_SEED = re.compile(r"seed-(\d+)")


@dataclass(frozen=True, eq=False)
class LevelFacts:
    """One level of a run.

    Args:
        row: the level's row in the run's table.
        layers: per layer `key`, `shape`, `kept`, `total` and `density`.
        bits: the masks, packed with eight weights per byte.
        parents: digests of the tickets that this ticket was made from.
        environment: the environment in which the level was trained.
        standardised: the `mean` and `std` by which the data set standardised floats; None if it did not.
        file: the ticket's file.
        inside: the structure of the network, or the reason why it cannot be traced.
        stopped_by: the rule that ended the run at this level; None if no rule did.
    """

    row: Level
    layers: Sequence[Mapping[str, Any]]
    bits: np.ndarray
    parents: tuple[str, ...]
    environment: Mapping[str, Any]
    standardised: Any
    file: Path
    inside: StructureSummary | str
    stopped_by: str | None = None


@dataclass(frozen=True, eq=False)
class RunFacts:
    """One run of one seed.

    Args:
        name: the run's name, such as `seed 0`.
        recipe: every setting that can change the tickets.
        versions: library versions.
        levels: the finished levels, from 0 on.
        rows: one row per evaluation of these levels.
        tasks: the tasks of the data set; None if it has a single one.
    """

    name: str
    recipe: Mapping[str, Any]
    versions: Mapping[str, str]
    levels: tuple[LevelFacts, ...]
    rows: tuple[Mapping[str, Any], ...]
    tasks: RunTasks | None = None

    @classmethod
    def read(cls, folder: Path) -> "RunFacts":
        """Read the facts of a run's folder.

        Args:
            folder: a folder that contains `run.json`, `metrics.jsonl`, `level-00.safetensors`, ...

        Raises:
            RecipeError: a file is missing or damaged; the message names it.
            TicketError: a ticket is damaged; the message names it.
        """
        files = RunFolder(folder)
        for file in (files.recipe_file, files.metrics_file, files.ticket_file(0)):
            if not file.is_file():
                raise RecipeError(
                    f"A run's folder holds run.json, metrics.jsonl and level-00.safetensors. "
                    f"Received: {folder} without {file.name}. Let `kt prune --out {folder}` finish a level."
                )
        head = files.head()
        recipe, versions = head["recipe"], head["versions"]
        rows = [_numbers(row) for row in read_metrics(files.metrics_file) if row["level"] < files.finished]
        timed = [row for row in rows if "seconds" in row]
        tasks, counts = RunTasks.read(files), counts_of(_rules(recipe))

        def look(ticket: Ticket) -> StructureSummary | str:
            return summarise(ticket, tasks, counts)

        levels = [_level(files, level, timed, look) for level in range(files.finished)]
        shapes = {tuple((row["key"], tuple(row["shape"])) for row in level.layers) for level in levels}
        if len(shapes) > 1:
            raise RecipeError(
                f"The levels of a run have the same masks. Received: {folder} with tickets of other nets."
            )
        match = _SEED.fullmatch(folder.name)
        seeds = recipe.get("seeds")
        known = seeds.get("init") if isinstance(seeds, dict) else None
        seed = match[1] if match else known if is_count(known) else 0
        return cls(f"seed {seed}", recipe, versions, tuple(levels), tuple(rows), tasks)


def seed_folders(folder: Path) -> list[Path]:
    """The `seed-N` folders inside a run's folder, in order of seeds; empty if there are none."""
    found = {int(match[1]): path for path in folder.glob("seed-*") if (match := _SEED.fullmatch(path.name))}
    return [found[seed] for seed in sorted(found) if found[seed].is_dir()]


def overlap(a: LevelFacts, b: LevelFacts) -> float | None:
    """Intersection over union of two masks: weights that both keep, divided by weights that at least one keeps.

    The result is 1 if both keep nothing, and None if the architectures differ.
    """
    if [(row["key"], row["shape"]) for row in a.layers] != [(row["key"], row["shape"]) for row in b.layers]:
        return None
    both, either = (int(np.bitwise_count(bits).sum()) for bits in (a.bits & b.bits, a.bits | b.bits))
    return both / either if either else 1.0


def _rules(recipe: Mapping[str, Any]) -> list[str]:
    method = recipe.get("method")
    rules = method.get("stop_when") if isinstance(method, Mapping) else None
    return [*map(str, rules)] if isinstance(rules, list) else []


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without values that are not finite numbers, such as a diverged loss."""
    return {name: value for name, value in row.items() if is_finite(value)}


def _level(
    files: RunFolder,
    level: int,
    rows: Sequence[Mapping[str, Any]],
    look: Callable[[Ticket], StructureSummary | str],
) -> LevelFacts:
    path = files.ticket_file(level)
    ticket = Ticket.load(path)
    provenance = ticket.provenance
    known = _numbers(provenance.get("metrics") or {})
    names = ("early_stop_iteration", "stopped_iteration", "val_accuracy", "test_accuracy")
    numbers: dict[str, Any] = {name: known.get(name) for name in names}
    return LevelFacts(
        row=replace(Level.of(ticket, level, rows, files), **numbers),
        layers=ticket.layers,
        bits=_packed(ticket.masks),
        parents=tuple(provenance.get("parents") or ()),
        environment=provenance.get("environment") or {},
        standardised=provenance.get("standardised"),
        file=path,
        inside=look(ticket),
        stopped_by=stopped_by([ticket]),
    )


def _packed(masks: Tree) -> np.ndarray:
    flat = [np.packbits(masks[key]) for key in sorted(masks)]
    return np.concatenate(flat) if flat else np.zeros(0, np.uint8)
