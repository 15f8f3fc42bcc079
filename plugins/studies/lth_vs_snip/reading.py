"""What the study's tables read out of trials."""

from collections.abc import Sequence
from typing import Any

from kerastickets.plugin import Column, Row, summary
from kerastickets_plugins.studies.lth_vs_snip.published import TOTAL

PRUNING = Column("pruning", "Pruning")


def mean(rows: Sequence[Row], key: str, **wanted: Any) -> float | None:
    """The mean of a number over the rows that have the wanted values."""
    return summary([row[key] for row in rows if all(row[k] == v for k, v in wanted.items())]).mean


def prunings(rows: Sequence[Row], *methods: str) -> list[int]:
    """The prunings at which some method has a net."""
    return sorted({row["pruning"] for row in rows if row["method"] in methods})


def published(rows: Sequence[Row], table: Any, key: Any, pruning: int) -> Any:
    """The paper's number, where this is the paper's net."""
    net = key if isinstance(key, str) else key[0]
    values = table.get(key, ()) if rows[0]["total"] == TOTAL[net] else ()
    return values[pruning - 1] if pruning <= len(values) else None
