"""The thesis's figures of data and pixels: 4.1 to 4.3, and 4.22 to 4.26."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerastickets.plugin import Chart, Heatmap, Series

Row = Mapping[str, Any]

_SIDE = 28
_GAP: list[None] = [None, None]
_WORDS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "mnist-fashion": "MNIST-Fashion"}


def pictures(trials: Sequence[Row]) -> Iterator[Chart | Heatmap]:
    """Points, images and maps of the data sets that were used."""
    samples = [row for row in trials if row["kind"] == "sample"]
    for row in (row for row in samples if row["dataset"] == "moons-circles"):
        yield from _points(row)
    images = [row for row in samples if row["dataset"] == "mnist-fashion"]
    if images:
        yield _images(images)
    for number, dataset in (("4-22", "mnist"), ("4-23", "fashion-mnist")):
        yield from _pixels(number, dataset, trials)
    maps = [row for row in trials if row["kind"] == "map"]
    for number, dataset in (("4-24", "mnist"), ("4-25", "fashion-mnist"), ("4-26", "mnist-fashion")):
        parts = ("maps",) if dataset != "mnist-fashion" else ("joined", "mnist-fashion")
        for part in parts:
            own = [row for row in maps if (row["part"], row["dataset"], row["seed"]) == (part, dataset, 0)]
            if own:
                yield _connections(number, dataset, own)
                break


def _points(row: Row) -> Iterator[Chart]:
    task = row["task"]
    other = "moons" if task == "circles" else "circles"
    for number, key, whose in (("4-1", "labels", task), ("4-2", "other_labels", other)):
        series = []
        for label in (0, 1):
            own = [pair for pair, found in zip(row["inputs"], row[key], strict=True) if found == label]
            series.append(Series(f"{whose} {label}", *map(list, zip(*own, strict=True)), style="points"))
        yield Chart(
            f"figure-{number}-{task}",
            f"{number.replace('-', '.')}: {task}, with the labels of {whose}",
            "first input",
            "second input",
            tuple(series),
            f"{len(row['inputs'])} points of the task {task}, coloured by the labels of {whose}"
            + (": the two come apart." if whose == task else ": no pattern."),
        )


def _images(rows: Sequence[Row]) -> Heatmap:
    pairs = zip(*(row["inputs"] for row in rows), strict=True)
    columns = [[line for image in pair for line in _grid(image)] for pair in pairs]
    name, title = "figure-4-3", "4.3: examples of MNIST-Fashion"
    return _heatmap(name, title, columns, "Seven images of a digit above seven of clothes.", ".1f")


def _grid(values: Sequence[float]) -> list[list[float]]:
    return [list(values[n : n + _SIDE]) for n in range(0, len(values), _SIDE)]


def _heatmap(name: str, title: str, pictures: Sequence[list[list[Any]]], alt: str, format: str) -> Heatmap:
    """Pictures of one height side by side."""
    rows = [
        [value for n, lines in enumerate(same) for value in ([*_GAP] if n else []) + lines]
        for same in zip(*pictures, strict=True)
    ]
    labels = [str(n) for n in range(1, len(rows[0]) + 1)], [str(n) for n in range(1, len(rows) + 1)]
    return Heatmap(name, title, *labels, rows, alt, format=format)


def _pixels(number: str, dataset: str, trials: Sequence[Row]) -> Iterator[Heatmap]:
    rows = [row for row in trials if row["kind"] == "pixels" and row["dataset"] == dataset]
    for row in rows:
        title = f"{number.replace('-', '.')}: {row['measure']} of the pixels of {_WORDS[dataset]}"
        alt = f"The {row['measure']} of each standardised pixel over the training images."
        yield _heatmap(f"figure-{number}-{row['measure']}", title, [row["values"]], alt, ".1f")


def _connections(number: str, dataset: str, rows: Sequence[Row]) -> Heatmap:
    joined = dataset == "mnist-fashion"
    levels = [row["pruning"] for row in rows]
    title = f"{number.replace('-', '.')}: connections of the pixels of {_WORDS[dataset]}"
    shown = ", ".join(map(str, levels))
    alt = (
        f"Kept weights that leave each pixel, after {shown} prunings from left to right, of the most in each."
    )
    if joined:
        alt += " Digits above, clothes below."
    pictures = [_scaled(_halves(row["degree"]) if joined else row["degree"]) for row in rows]
    return _heatmap(f"figure-{number}", title, pictures, alt, ".0%")


def _scaled(lines: list[list[float]]) -> list[list[float]]:
    """Shares of the greatest: the levels differ a hundredfold."""
    most = max(max(line) for line in lines) or 1
    return [[round(value / most, 3) for value in line] for line in lines]


def _halves(rows: list[list[float]]) -> list[list[float]]:
    """An image of two, 28 rows of 56 pixels, with its right half below its left."""
    return [row[:_SIDE] for row in rows] + [row[_SIDE:] for row in rows]
