"""Choosing rows of the study's trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerastickets_plugins.studies.merging.jobs import Merge

Row = Mapping[str, Any]


def pick(trials: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows that have these values."""
    return [row for row in trials if all(row[key] == value for key, value in wanted.items())]


def of(trials: Sequence[Row], merges: Sequence[Merge]) -> list[Row]:
    """The rows of merges, without those of their controls."""
    names = {(merge.dataset, merge.method, merge.name) for merge in merges}
    return [row for row in trials if (row["dataset"], row["kind"], row["name"]) in names]
