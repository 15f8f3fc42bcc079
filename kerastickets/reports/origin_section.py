"""How the runs of a report were made: their lineage, their recipe and the versions of libraries."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerastickets.figures.chart import Graph, Node
from kerastickets.runs.facts import RunFacts


def lineage(runs: Sequence[RunFacts]) -> Graph:
    """A graph of which ticket was made from which, according to the parent digests in the tickets."""
    many = len(runs) > 1
    nodes: dict[str, Node] = {}
    edges = []
    for run in runs:
        for level in run.levels:
            digest = level.row.digest
            label = f"{run.name}, level {level.row.level}" if many else f"level {level.row.level}"
            nodes[digest] = Node(digest, label, digest[:8])
            edges += [(parent, digest) for parent in level.parents]
    for parent, _ in edges:
        nodes.setdefault(parent, Node(parent, "another run", parent[:8]))
    ordered = sorted(nodes.values(), key=lambda node: node.label != "another run")
    alt = f"{len(nodes)} tickets; lines lead to the right, from a ticket to those made from it."
    note = "Shown are the first 8 of 64 characters of each digest; `kt ls` and `kt show` print all of them."
    return Graph("lineage", "From ticket to ticket", tuple(ordered), tuple(dict.fromkeys(edges)), alt, note)


def recipe_list(runs: Sequence[RunFacts]) -> dict[str, Any]:
    """The recipe as names and values, without seeds and start."""
    recipe = runs[0].recipe
    first = ("model", "dataset", "criterion", "levels", "method", "train")
    names = [*[name for name in first if name in recipe], *sorted(recipe.keys() - {*first, "seeds", "start"})]
    listed = {name: _filled(recipe[name]) for name in names}
    given = [level.standardised for run in runs for level in run.levels if level.standardised]
    return listed | (
        {"inputs, standardised": "(raw - mean) / std, with " + _short(given[-1])} if given else {}
    )


def _short(values: Any) -> str:
    """Numbers by name, of many the first few."""
    if not isinstance(values, Mapping):
        return str(values)[:200]
    lists = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    return ", ".join(
        f"{name} {', '.join(str(one) for one in value[:4])}{', ...' * (len(value) > 4)}"
        for name, value in lists.items()
    )


def versions_list(runs: Sequence[RunFacts]) -> dict[str, Any]:
    """Seeds, library versions, start, and the environment in which the last level was trained."""
    seeds = (
        {run.name: run.recipe.get("seeds") for run in runs} if len(runs) > 1 else runs[0].recipe.get("seeds")
    )
    environments = [level.environment for run in runs for level in run.levels if level.environment]
    return {
        "seeds": seeds,
        "versions": dict(runs[0].versions),
        "environment": dict(environments[-1]) if environments else None,
        "start": "; ".join(dict.fromkeys(str(run.recipe.get("start", ""))[:12] for run in runs)),
    }


def _filled(value: Any) -> Any:
    """A group of settings without the unset ones; a plugin without options becomes just its name."""
    if isinstance(value, Mapping) and [*value] == ["name", "options"] and not value["options"]:
        return value["name"]
    if isinstance(value, Mapping):
        return {name: _filled(part) for name, part in value.items() if part not in (None, [], {}, "")}
    return value
