"""Write the report of a run's or a study's folder as one HTML page."""

from pathlib import Path

from kerastickets.errors import RecipeError
from kerastickets.foundations.files import named_refusals, write_text
from kerastickets.reports.html import page
from kerastickets.reports.run_sections import run_sections
from kerastickets.reports.study_sections import study_sections, study_title
from kerastickets.runs.facts import RunFacts, seed_folders


def report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a folder: one HTML file that needs no network.

    Tickets are read with NumPy; TensorFlow is not imported.

    Args:
        folder: the folder of a run, of several seeds (`seed-0`, `seed-1`, ...), or of a study.
        out: the file to write; None writes `report.html` in the folder. An existing file is replaced.

    Returns:
        The file's path.

    Raises:
        RecipeError: the folder is none of these, a file is missing or damaged, or `out` cannot be written.
        TicketError: a ticket is damaged.
    """
    folder = Path(folder)
    path = Path(out) if out is not None else folder / "report.html"
    text = html(folder)
    with named_refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path


def kind_of(folder: Path) -> str:
    """The kind of a folder: `run`, `seeds` or `study`.

    Raises:
        RecipeError: the folder is none of these.
    """
    if not folder.is_dir():
        raise RecipeError(f"DIR must be a folder. Received: {folder}.")
    if (folder / "study.json").exists() or (folder / "tables.json").exists():
        return "study"
    if any((folder / name).exists() for name in ("run.json", "metrics.jsonl", "level-00.safetensors")):
        return "run"
    if seed_folders(folder):
        return "seeds"
    raise RecipeError(
        "A report needs a run's folder (run.json, metrics.jsonl, level-00.safetensors), a folder of several seeds "
        f"(seed-0, seed-1, ...) or a study's folder (study.json, tables.json). Received: {folder} with none of these."
    )


def html(folder: Path) -> str:
    """The report of a folder as text; see `report`."""
    kind = kind_of(folder)
    if kind == "study":
        title, subtitle = study_title(folder)
        return page(title, study_sections(folder), subtitle)
    runs = [RunFacts.read(path) for path in (seed_folders(folder) if kind == "seeds" else [folder])]
    recipe = runs[0].recipe
    parts = [_named(recipe.get(name)) for name in ("model", "dataset", "criterion")]
    seeds = f"{len(runs)} seeds" if kind == "seeds" else runs[0].name
    return page(f"{parts[0]} on {parts[1]}", run_sections(runs), f"Criterion: {parts[2]}, {seeds}")


def _named(value: object) -> str:
    return str(value.get("name")) if isinstance(value, dict) else str(value)
