"""Compare two treatments with paired tests, and show the results as rows and columns of a study's table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kerastickets.figures.table import Column
from kerastickets.statistics.paired_tests import holm, paired

_FEWEST = 3


def percent(share: float) -> float:
    """A fraction in percent, rounded to 4 decimals so that float32 errors do not make equal accuracies differ.

    Example:
        >>> percent(0.9818000197410583)
        98.18
    """
    return round(100 * share, 4)


def contrast(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    """The table cells of a paired test of a against b, by the keys of `contrast_columns`.

    Args:
        a: one number per unit.
        b: one number per unit, for the same units in the same order.

    Returns:
        Values by column key; empty for fewer than 3 pairs. `p_holm` is missing: `corrected` adds it.

    Example:
        >>> contrast([3.0, 4.0, 6.0], [1.0, 3.0, 3.0])["difference"], contrast([1.0], [2.0])
        (2.0, {})
    """
    if len(a) < _FEWEST:
        return {}
    test = paired(a, b)
    low, high = test.interval or (None, None)
    return {
        "difference": test.mean_difference,
        "low": low,
        "high": high,
        "p": test.p,
        "p_wilcoxon": test.wilcoxon_p,
        "effect": test.effect_size,
    }


def corrected(rows: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Add `p_holm` to rows: Holm's correction over all rows that have a `p`.

    Example:
        >>> [row.get("p_holm") for row in corrected([{"p": 0.01}, {}, {"p": 0.04}])]
        [0.02, None, 0.04]
    """
    made = [dict(row) for row in rows]
    tested = [row for row in made if row.get("p") is not None]
    for row, adjusted in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = adjusted
    return tuple(made)


def contrast_columns(format: str) -> tuple[Column, ...]:
    """The columns of a contrast; `format` is the format of differences, such as `"+.2f"`."""
    return (
        Column("difference", "Difference", format),
        Column("low", "95 % from", format),
        Column("high", "to", format),
        Column("p", "p (t test)", ".2g"),
        Column("p_holm", "p (Holm)", ".2g"),
        Column("p_wilcoxon", "p (Wilcoxon)", ".2g"),
        Column("effect", "Effect size d", "+.2f"),
    )
