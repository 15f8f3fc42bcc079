"""Folders of runs and studies, made by hand in milliseconds, for tests of what reads them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from kerastickets.figures.chart import Chart, Graph, Heatmap, Node, Series
from kerastickets.figures.table import Column, Table
from kerastickets.tickets.ticket import Ticket

#: What a stranger may call things: each would break a page, a script, a chart's texts or a spreadsheet.
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&%{x}"


def make_run(folder: Path, seed: int = 0, levels: int = 3, name: str = "mlp:2", **provenance: Any) -> Path:
    """A run over `levels` levels after the first, each of which keeps one weight less of its two layers."""
    folder.mkdir(parents=True, exist_ok=True)
    init = {"a/kernel": np.arange(4, dtype="float32").reshape(2, 2), "b/kernel": np.ones((2, 2), "float32")}
    parents: list[str] = []
    rows = []
    for level in range(levels + 1):
        mask = np.arange(4).reshape(2, 2) >= level
        metrics = {
            "val_accuracy": 0.9 - level / 100,
            "test_accuracy": 0.8 + seed / 10,
            "early_stop_iteration": 10,
        }
        facts = {
            "level": level,
            "criterion": "magnitude",
            "parents": parents,
            "metrics": metrics,
            **provenance,
        }
        masks = {"a/kernel": mask, "b/kernel": np.roll(mask, seed)}
        ticket = Ticket({}, masks, {"init": init}, facts)
        ticket.save(folder / f"level-{level:02d}.safetensors")
        parents = [ticket.digest]
        rows += [
            {
                "level": level,
                "iteration": step,
                "epoch": step / 5,
                "val_accuracy": 0.1 + 0.08 * step,
                "seconds": 0.5,
            }
            for step in (0, 5, 10)
        ]
    recipe = {
        "model": name,
        "dataset": {"name": "digits", "sha256": "ab12"},
        "criterion": {"name": "magnitude", "options": {}},
        "levels": levels,
        "seeds": {"init": seed, "data": seed},
        "train": {"monitor": "val_accuracy", "lr": 0.1, "patience": None},
    }
    (folder / "run.json").write_text(json.dumps({"recipe": recipe, "versions": {"keras": "3.0"}}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def make_study(folder: Path, name: str = "merging") -> Path:
    """A study with a table, a chart of each kind, a heat map, a graph and trials, in which `name` names all."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = (Column("tickets"), Column("method", name), Column("accuracy", format=".1%"))
    rows = [
        {"tickets": 10, "method": "DTM", "accuracy": 0.9},
        {"tickets": 2, "method": name, "accuracy": None},
        {"tickets": 3, "method": "ATM", "accuracy": 0.25},
    ]
    lines = (
        Series(name, [0, 1, 2], [0.1, 0.5, 0.9], [0, 0.4, 0.8], [0.2, 0.6, 1.0], "line+points"),
        Series("published", [0, 2], [0.2, 0.8], dashed=True),
    )
    bars = (
        Series("DTM", ["2", name], [0.9, 0.8], style="bar"),
        Series("ATM", ["2", "3"], [0.7, 0.6], style="bar"),
    )
    figures = [
        Chart("curves", f"Curves {name}", name, "accuracy", lines, f"They rise. {name}", y_format=".1%"),
        Chart("bars", "Bars", "tickets", "accuracy", bars, "DTM is higher."),
        Heatmap("overlap", "Overlap", ["a", name], ["a", "b"], [[1, 0.5], [None, 1]], "Half."),
        Graph("lineage", "Lineage", (Node("a", name), Node("b", "b", "12ab")), (("a", "b"),), "a makes b."),
    ]
    study = {
        "study": "merging",
        "title": f"Merging {name}",
        "paper": name,
        "budget": "smoke",
        "notes": [name],
    }
    (folder / "study.json").write_text(
        json.dumps(study | {"dials": {name: name}, "command": "kt reproduce merging"})
    )
    (folder / "tables.json").write_text(
        json.dumps([Table("table-1", "Table I", columns, tuple(rows), name).facts()])
    )
    (folder / "figures.json").write_text(json.dumps([figure.facts() for figure in figures]))
    trials = [{"trial": n, "method": name, "tickets": [n, n + 1], "c": None} for n in range(3)]
    (folder / "results.jsonl").write_text("".join(json.dumps(trial) + "\n" for trial in trials))
    return folder
