"""The paper's tables 6 and 7: how far SNIP's masks are from LTH's, in total and by layer."""

from collections.abc import Iterator, Sequence

from kerastickets.plugin import Column, Row, Table
from kerastickets_plugins.studies.lth_vs_snip.published import DIFFERENCE, KEPT, OVERLAP, TOTAL
from kerastickets_plugins.studies.lth_vs_snip.reading import PRUNING, mean, prunings, published


def mask_tables(net: str, rows: Sequence[Row]) -> list[Table]:
    """The masks of a net, in total and by layer."""
    return [_in_total(net, rows), _by_layer(net, rows)]


def _in_total(net: str, rows: Sequence[Row]) -> Table:
    number = {"fc1": 6, "conv-2": 7}[net]
    full = rows[0]["total"] == TOTAL[net]
    made = []
    for pruning in prunings(rows, "lth"):
        row: Row = {"pruning": pruning}
        row["kept"] = mean(rows, "kept", method="lth", pruning=pruning)
        for key in ("difference", "overlap", "iou", "iou_by_chance", "z"):
            row[key] = mean(rows, key, method="snip", pruning=pruning)
            row[f"{key} by layer"] = mean(rows, key, method="snip-by-layer", pruning=pruning)
        for key, table in (("kept", KEPT), ("difference", DIFFERENCE), ("overlap", OVERLAP)):
            row[f"{key} published"] = published(rows, table, net, pruning)
        made.append(row)
    columns = (
        PRUNING,
        Column("difference", "Difference", ",.1f"),
        Column("difference published", "published", ",.1f"),
        Column("overlap", "Overlap", ",.1f"),
        Column("overlap published", "published", ",.1f"),
        Column("kept", "Kept", ",.0f"),
        Column("kept published", "published", ",.0f"),
        Column("iou", "IoU", ".4f"),
        Column("iou_by_chance", "by chance", ".4f"),
        Column("z", "z", "+.1f"),
        Column("iou by layer", "IoU, SNIP by layer", ".4f"),
        Column("iou_by_chance by layer", "by chance", ".4f"),
        Column("z by layer", "z", "+.1f"),
    )
    note = (
        "Kept by LTH and not by SNIP (difference), and by both (overlap); means over seeds. By chance: masks that are "
        "random within each layer, as dense in each as these (hypergeometric); z is the overlap's distance from that "
        "in standard deviations."
    )
    if net == "conv-2" and full:
        note += (
            " The paper's rows 1 to 3 say that both masks are equal, which their own difference (there all that is "
            "pruned) contradicts."
        )
    return Table(
        f"table-{number}-masks", f"Table {number}: masks of LTH and SNIP, {net}", columns, tuple(made), note
    )


def _by_layer(net: str, rows: Sequence[Row]) -> Table:
    number = {"fc1": 6, "conv-2": 7}[net]
    columns = (
        PRUNING,
        Column("layer", "Layer"),
        Column("lth", "Kept by LTH", ",.1f"),
        Column("snip", "by SNIP", ",.1f"),
        Column("overlap", "by both", ",.1f"),
        Column("expected", "by both, by chance", ",.1f"),
        Column("difference", "by LTH alone", ",.1f"),
        Column("iou", "IoU", ".4f"),
        Column("overlap by layer", "by both, SNIP by layer", ",.1f"),
        Column("expected by layer", "by chance", ",.1f"),
        Column("iou by layer", "IoU, SNIP by layer", ".4f"),
    )
    note = (
        "Means over seeds. By chance: what random masks that keep as many weights of the layer would share. "
        "SNIP by layer keeps exactly as many of each layer as LTH."
    )
    title = f"Table {number} by layer: masks of LTH and SNIP, {net}"
    return Table(f"table-{number}-layers", title, columns, tuple(_layers(rows)), note)


def _layers(rows: Sequence[Row]) -> Iterator[Row]:
    sizes = next(row["layers"] for row in rows if row["method"] == "dense")
    for pruning in prunings(rows, "lth"):
        for key, size in sizes.items():
            row: Row = {"pruning": pruning, "layer": key}
            for method, behind in (("snip", ""), ("snip-by-layer", " by layer")):
                found = [_one(rows, other, key, size) for other in rows if _is(other, method, pruning)]
                row |= {f"{name}{behind}": mean(found, name) for name in found[0]} if found else {}
            yield row


def _is(row: Row, method: str, pruning: int) -> bool:
    return (row["method"], row["pruning"]) == (method, pruning)


def _one(rows: Sequence[Row], other: Row, key: str, size: int) -> Row:
    """One layer of one SNIP net beside the LTH net of its seed."""
    lth = next(row for row in rows if _is(row, "lth", other["pruning"]) and row["seed"] == other["seed"])
    ours, theirs, both = lth["layers"][key], other["layers"][key], other["overlap_by_layer"][key]
    either = ours + theirs - both
    return {
        "lth": ours,
        "snip": theirs,
        "overlap": both,
        "expected": ours * theirs / size,
        "difference": ours - both,
        "iou": both / either if either else 0.0,
    }
