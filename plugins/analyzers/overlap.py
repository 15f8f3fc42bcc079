"""Analyzer that compares the overlap of tickets with the overlap of random masks."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kerastickets.plugin import (
    Chart,
    Data,
    Heatmap,
    Series,
    Takes,
    Ticket,
    check_count,
    compare,
    coverage,
    random_intersection,
    random_overlap,
)


@dataclass(frozen=True)
class Overlap:
    """Compare the weights that two or more tickets share, in pairs and all together, with the overlap of random masks.

    The random masks keep the same number of weights in each layer, and every such mask is equally likely. The
    number of weights that two of them share in a layer has a hypergeometric distribution.

    Facts:

    - `tickets`: one row per ticket.
    - `pairs`: for every pair of tickets `a` and `b` (numbers from 1) the `layers` and the `total` of
      `kerastickets.compare`. Added are `chance` and `sd` (mean and standard deviation of the overlap of
      random masks), `chance_iou` and `z` (the number of standard deviations by which the overlap exceeds
      chance; None if the overlap of random masks cannot vary).
    - `layers` and `total`: for all tickets together, the weights that all tickets keep (`intersection`) and
      that any ticket keeps (`union`), each also with `_chance`, `_sd` and `_z`.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> facts = Overlap()(toy_ticket(), toy_ticket(1))
        >>> total = facts["pairs"][0]["total"]
        >>> total["overlap"], round(total["chance"], 1), round(total["z"], 1)
        (104, 111.0, -1.3)

    Reference:
        On Multiple Winning Tickets and LTH vs SNIP: Final Report, tables 6 and 7, whose overlaps have no yardstick.
    """

    takes: ClassVar[Takes] = Takes(2)

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> dict[str, Any]:
        check_count(self, len(tickets))
        masks = [ticket.masks for ticket in tickets]
        pairs = [
            {"a": i + 1, "b": j + 1, **_pair(tickets[i], tickets[j])}
            for i, j in itertools.combinations(range(len(tickets)), 2)
        ]
        named = [{"ticket": number, **_named(ticket)} for number, ticket in enumerate(tickets, 1)]
        return {"tickets": named, "pairs": pairs, **_joint(coverage(*masks), masks)}

    def figure(self, facts: Mapping[str, Any]) -> Chart | Heatmap:
        """For two tickets, the overlap per layer compared with chance.

        For more, the overlap of every pair.
        """
        return _bars(facts["pairs"][0]) if len(facts["pairs"]) == 1 else _grid(facts)


def _named(ticket: Ticket) -> dict[str, Any]:
    seeds = ticket.provenance.get("seeds") or {}
    seed = seeds.get("init") if isinstance(seeds, Mapping) else None
    return {
        "level": ticket.provenance.get("level"),
        "seed": seed,
        "kept": ticket.kept,
        "total": ticket.total,
        "density": ticket.density,
    }


def _pair(a: Ticket, b: Ticket) -> dict[str, Any]:
    facts = compare(a.masks, b.masks)
    sizes = {row["key"]: a.masks[row["key"]].size for row in facts["layers"]}
    layers = [{**row, **_chance([sizes[row["key"]]], [row])} for row in facts["layers"]]
    return {"layers": layers, "total": {**facts["total"], **_chance([*sizes.values()], facts["layers"])}}


def _chance(sizes: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The overlap of random masks that keep the same number of weights in each layer."""
    full = [(size, row) for size, row in zip(sizes, rows, strict=True) if size]
    if not full:
        return {"chance": 0.0, "sd": 0.0, "chance_iou": 1.0, "z": None}
    kept = ([row[name] for _, row in full] for name in ("kept_a", "kept_b"))
    by_chance = random_overlap(
        [size for size, _ in full], *kept, overlap=sum(row["overlap"] for _, row in full)
    )
    return {"chance": by_chance.mean, "sd": by_chance.sd, "chance_iou": by_chance.iou, "z": by_chance.z}


def _joint(facts: Mapping[str, Any], masks: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Any]:
    kept = {key: [int(np.count_nonzero(mask[key])) for mask in masks] for key in masks[0]}
    layers = [{**row, **_shared(row, [(row["total"], kept[row["key"]])])} for row in facts["layers"]]
    counts = [(row["total"], kept[row["key"]]) for row in facts["layers"]]
    return {"layers": layers, "total": {**facts["total"], **_shared(facts["total"], counts)}}


def _shared(row: Mapping[str, Any], counts: Sequence[tuple[int, Sequence[int]]]) -> dict[str, Any]:
    """Chance values for the intersection and the union of all masks.

    The union is the complement of the weights that all masks prune, so the same formula covers both.
    """
    full = [(size, kept) for size, kept in counts if size]
    sizes = [size for size, _ in full]
    found: dict[str, Any] = {}
    for name in ("intersection", "union"):
        any_of_them = name == "union"
        each = zip(*([size - n for n in kept] if any_of_them else kept for size, kept in full), strict=True)
        mean, sd = random_intersection(sizes, *map(list, each)) if full else (0.0, 0.0)
        mean = sum(sizes) - mean if any_of_them else mean
        found |= {
            f"{name}_chance": mean,
            f"{name}_sd": sd,
            f"{name}_z": (row[name] - mean) / sd if sd else None,
        }
    return found


def _bars(pair: Mapping[str, Any]) -> Chart:
    rows = [*pair["layers"], {"key": "total", **pair["total"]}]
    keys = [row["key"] for row in rows]
    found = Series("these tickets", keys, [row["iou"] for row in rows], style="bar")
    chance = Series("by chance", keys, [row["chance_iou"] for row in rows], style="bar", dashed=True)
    return Chart(
        "overlap",
        "Overlap of two tickets by layer",
        "layer",
        "intersection over union",
        (found, chance),
        "The intersection over union of two masks in each layer, compared with random masks of the same density.",
        "By chance: random masks that keep the same number of weights in each layer.",
    )


def _grid(facts: Mapping[str, Any]) -> Heatmap:
    names = _labels(facts["tickets"])
    values: list[list[Any]] = [
        [1.0 if i == j else None for j in range(len(names))] for i in range(len(names))
    ]
    for pair in facts["pairs"]:
        for row, column in ((pair["a"], pair["b"]), (pair["b"], pair["a"])):
            values[row - 1][column - 1] = pair["total"]["iou"]
    return Heatmap(
        "overlap",
        "Overlap of every pair of tickets",
        names,
        names,
        values,
        "The intersection over union of the masks of every pair of tickets.",
        "Intersection over union: 1 means equal masks, 0 means no weight in common.",
    )


def _labels(tickets: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels that tell the tickets apart: their levels, or else their seeds, or else their numbers."""
    for name in ("level", "seed"):
        values = [ticket[name] for ticket in tickets]
        if None not in values and len({*values}) == len(values):
            return [f"{name} {value}" for value in values]
    return [f"ticket {ticket['ticket']}" for ticket in tickets]
