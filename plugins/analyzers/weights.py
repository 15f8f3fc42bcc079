"""Analyzer of the distribution of a ticket's weights, before and after training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kerastickets.plugin import Chart, Data, PluginError, Series, Takes, Ticket, check_count

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Weights:
    """Describe the kept weights of each layer: mean, spread, quantiles, histogram, and the fraction of kept signs.

    Several tickets, such as the levels of a run, give one row per ticket and layer. All tickets share the
    bins of a layer.

    Facts:

    - `edges`: the borders of each layer's bins.
    - `rows`: each with `ticket` (from 1), `level`, `key`, `kept`, `total`, `density`, `signs_kept`, `init`
      and `final`. `signs_kept` is the fraction of kept weights whose final value has the same sign as their
      initial value. It counts only weights whose initial value is not 0, and is None before training. `init`
      and `final` (None before training) describe the distribution of the kept weights: `mean`, `sd`,
      `quantiles` and `histogram`. A histogram has `counts` per bin, and the numbers of weights `below` and
      `above` all bins.
    - `totals`: one row per ticket.

    Args:
        bins: number of bins of each histogram, at least 1.
        limit: the bins span the range from -limit to limit. 0 takes twice the largest initial magnitude of
            the layer, including pruned weights; that is the same at all levels of a run.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> facts = Weights(bins=4)(toy_ticket())
        >>> row = facts["rows"][0]
        >>> row["key"], row["kept"], row["init"]["histogram"]["counts"]
        ('dense/kernel', 194, [0, 99, 95, 0])
        >>> 0.5 < facts["totals"][0]["signs_kept"] < 1
        True

    Reference:
        H. Zhou, J. Lan, R. Liu, J. Yosinski, Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask,
        section 4, on the signs.
    """

    bins: int = 40
    limit: float = 0.0
    takes: ClassVar[Takes] = Takes(1)

    def __post_init__(self) -> None:
        if self.bins < 1 or not 0 <= self.limit < np.inf:
            raise PluginError(
                "`bins` must be at least 1, and `limit` a number of at least 0. "
                f"Received: bins={self.bins}, limit={self.limit}"
            )

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> dict[str, Any]:
        check_count(self, len(tickets))
        keys = sorted({key for ticket in tickets for key in ticket.masks})
        edges = {key: self._edges([t.weights()[key] for t in tickets if key in t.masks]) for key in keys}
        rows, totals = [], []
        for number, ticket in enumerate(tickets, 1):
            name = {"ticket": number, "level": ticket.provenance.get("level")}
            rows += [name | _row(ticket, key, edges[key]) for key in sorted(ticket.masks)]
            signed = [_signs(ticket, key) for key in ticket.masks]
            totals.append(
                {
                    **name,
                    "kept": ticket.kept,
                    "total": ticket.total,
                    "density": ticket.density,
                    "signs_kept": _share(signed),
                }
            )
        return {
            "edges": {key: list(map(float, edge)) for key, edge in edges.items()},
            "rows": rows,
            "totals": totals,
        }

    def figure(self, facts: Mapping[str, Any]) -> Chart:
        """For one ticket, its histograms; for several, the fraction of kept signs over density."""
        return _histograms(facts) if len(facts["totals"]) == 1 else _signs_by_density(facts)

    def _edges(self, init: Sequence[np.ndarray]) -> np.ndarray:
        sizes = (np.abs(weight[np.isfinite(weight)]).max(initial=0.0) for weight in init)
        largest = float(max(sizes, default=0.0))
        limit = self.limit or 2 * largest or 1.0
        return np.linspace(-limit, limit, self.bins + 1)


def _row(ticket: Ticket, key: str, edges: np.ndarray) -> dict[str, Any]:
    mask = ticket.masks[key]
    kept = int(np.count_nonzero(mask))
    final = ticket.snapshots.get("final")
    return {
        "key": key,
        "kept": kept,
        "total": int(mask.size),
        "density": kept / mask.size if mask.size else 1.0,
        "signs_kept": _share([_signs(ticket, key)]),
        "init": _distribution(ticket.weights()[key][mask], edges),
        "final": None if final is None else _distribution(final[key][mask], edges),
    }


def _distribution(values: np.ndarray, edges: np.ndarray) -> dict[str, Any]:
    """Mean, spread, quantiles and histogram of kept weights, in float64.

    Statistics that are not finite become None.
    """
    values = values.astype("float64")
    some = values.size > 0
    quantiles = np.quantile(values, _QUANTILES) if some else [np.nan] * len(_QUANTILES)
    return {
        "mean": _number(values.mean()) if some else None,
        "sd": _number(values.std()) if some else None,
        "quantiles": {f"{q:g}": _number(v) for q, v in zip(_QUANTILES, quantiles, strict=True)},
        "histogram": {
            "counts": np.histogram(values, edges)[0].tolist(),
            "below": int((values < edges[0]).sum()),
            "above": int((values > edges[-1]).sum()),
        },
    }


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinity, which a ticket of a training that failed may hold."""
    return float(value) if np.isfinite(value) else None


def _signs(ticket: Ticket, key: str) -> tuple[int, int] | None:
    """The number of kept weights that still have the sign of their init, and the number whose init is not 0."""
    if "final" not in ticket.snapshots:
        return None
    mask = ticket.masks[key]
    init, final = (np.sign(1 * ticket.weights(name)[key][mask]) for name in ("init", "final"))
    return int(np.count_nonzero((init == final) & (init != 0))), int(np.count_nonzero(init))


def _share(signs: Sequence[tuple[int, int] | None]) -> float | None:
    known = [pair for pair in signs if pair is not None]
    signed = sum(count for _, count in known)
    return sum(same for same, _ in known) / signed if signed else None


def _histograms(facts: Mapping[str, Any]) -> Chart:
    series: list[Series] = []
    for row in facts["rows"]:
        edges = np.asarray(facts["edges"][row["key"]])
        middles = ((edges[1:] + edges[:-1]) / 2).tolist()
        width = edges[1] - edges[0]
        for name, dashed in (("final", False), ("init", True)):
            if (found := row[name]) and row["kept"]:
                heights = (np.asarray(found["histogram"]["counts"]) / (row["kept"] * width)).tolist()
                both = dashed and row["final"] is not None
                label = f"{row['key']} at init" if both else row["key"]
                like = row["key"] if both else ""
                series.append(Series(label, middles, heights, dashed=dashed, like=like))
    return Chart(
        "weights",
        "Kept weights by layer (dashed: at init)",
        "weight",
        "density of the kept weights",
        tuple(series),
        "The distribution of the kept weights of each layer, after training (solid) and at init (dashed).",
        "Solid: after training; dashed, in the same colour: the same weights at init.",
    )


def _signs_by_density(facts: Mapping[str, Any]) -> Chart:
    shown = [(row["density"], row["signs_kept"]) for row in facts["totals"]]
    series = [Series("all layers", *zip(*shown, strict=True), style="line+points")]
    density = {row["ticket"]: row["density"] for row in facts["totals"]}
    for key in facts["edges"]:
        rows = [row for row in facts["rows"] if row["key"] == key]
        x = [density[row["ticket"]] for row in rows]
        series.append(Series(key, x, [row["signs_kept"] for row in rows], style="line+points"))
    return Chart(
        "signs-kept",
        "Weights that kept the sign of their init",
        "density of the ticket",
        "fraction of the kept weights",
        tuple(series),
        "The fraction of the kept weights whose sign after training equals the sign of their init, over density, per "
        "layer.",
        x_log=True,
        x_reversed=True,
        x_format=".0%",
        y_format=".0%",
    )
