"""What tables and figures read out of trials: means, and two methods paired split by split."""

from collections.abc import Sequence
from typing import Any

from kerastickets.plugin import Row, contrast, paired, summary


def chosen(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows on a target that have the wanted values."""
    return [row for row in rows if row["kind"] == "target" and all(row[k] == v for k, v in wanted.items())]


def by_unit(rows: Sequence[Row], method: str, sparsity: float | None) -> dict[tuple[str, str, int], Row]:
    """A method's nets by source, target and split: at a sparsity, or its only ones where it has none."""
    own = [row for row in rows if row["method"] == method and row["sparsity"] in (sparsity, None)]
    return {(row["source"], row["target"], row["split"]): row for row in own}


def answer(rows: Sequence[Row], first: str, second: str, sparsity: float | None) -> Row:
    """The cells of a paired test of two methods by their accuracy at the end; none for fewer than three pairs."""
    a, b = (by_unit(rows, method, sparsity) for method in (first, second))
    both = sorted(a.keys() & b.keys())
    values = [[own[unit]["test_accuracy"] for unit in both] for own in (a, b)]
    tested = contrast(*values)
    if tested:
        tested["t"] = paired(*values).t
    one, other = map(summary, values)
    means = {"first": one.mean, "first sd": one.sd, "second": other.mean, "second sd": other.sd}
    return {"sparsity": sparsity, "pairs": len(both), **means, **tested}


def sparsities(rows: Sequence[Row]) -> list[float | None]:
    """The sparsities of these nets, None where no net has one."""
    return sorted({row["sparsity"] for row in rows if row["sparsity"] is not None}) or [None]


def net_name(width: int | None) -> str:
    """What titles call a net."""
    return "the net of part `datasets`" if width is None else f"conv width {width}"
