"""Build the sections of a study's report: tables beside published numbers, figures, trials, and how it was made."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.figures.chart import figure
from kerastickets.figures.table import Column, Table
from kerastickets.foundations.strangers import parse_json, read_bytes
from kerastickets.reports.html import Section
from kerastickets.runs.folder import read_rows

_MOST_TRIALS = 2000


def study_title(folder: Path) -> tuple[str, str]:
    """A study's title, and a subtitle with its paper and budget."""
    facts = _facts(folder)
    paper, budget = facts.get("paper"), facts.get("budget")
    parts = [str(paper) if paper else "", f"Budget: {budget}" if budget else ""]
    return str(facts.get("title") or facts.get("study") or folder.name), ". ".join(filter(None, parts))


def study_sections(folder: Path) -> list[Section]:
    """Build the sections of a study's report.

    Args:
        folder: the study's folder. It must contain `study.json` and `tables.json`; `figures.json` and
            `results.jsonl` are optional. `study.json` may contain a `summary` and `notes` (texts), which come
            first.

    Raises:
        RecipeError: a file is missing or damaged; the message names it.
    """
    facts = _facts(folder)
    tables = [Table.of(one) for one in _read(folder / "tables.json", list, list)]
    figures = [figure(one) for one in _read(folder / "figures.json", list, list)] if _has(folder) else []
    trials = _trials(folder / "results.jsonl")
    made = {
        name: value
        for name, value in facts.items()
        if name not in ("study", "title", "paper", "summary", "notes")
    }
    sections = [
        Section("Tables", _summary(facts), tuple(tables)),
        Section("Figures", "", tuple(figures)),
        Section("Trials", "One row per trial: the raw results behind every table and figure.", trials),
        Section("How it was made", "", (made,)),
    ]
    return [section for section in sections if section.items]


def _has(folder: Path) -> bool:
    return (folder / "figures.json").is_file()


def _facts(folder: Path) -> dict[str, Any]:
    return _read(folder / "study.json", dict, dict)


def _read(path: Path, kind: type, make: Callable[[Any], Any]) -> Any:
    try:
        value = parse_json(read_bytes(path))
        if not isinstance(value, kind):
            raise ValueError(f"a {type(value).__name__} instead of a {kind.__name__}")
    except FileNotFoundError as error:
        raise RecipeError(
            f"A study's folder holds study.json and tables.json. Received: {path.parent} without {path.name}. "
            "Run `kt reproduce` once more: it continues."
        ) from error
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"{path} must be what `kt reproduce` wrote. Received: {error}. Run it once more: it continues."
        ) from error
    return make(value)


def _summary(facts: Mapping[str, Any]) -> str:
    notes = facts.get("notes")
    notes = notes if isinstance(notes, str | list) else ()
    texts = [notes] if isinstance(notes, str) else [f"- {note}" for note in notes if isinstance(note, str)]
    return "\n\n".join(filter(None, [str(facts.get("summary") or ""), "\n".join(texts)]))


def _trials(path: Path) -> tuple[Table | str, ...]:
    rows = read_rows(path)
    if not rows:
        return ()
    names = dict.fromkeys(name for row in rows for name in row)
    shown = rows[:_MOST_TRIALS]
    note = (
        f"The first {len(shown):,} of {len(rows):,}; results.jsonl has all." if len(shown) < len(rows) else ""
    )
    return (Table("trials", "Trials", tuple(Column(name) for name in names), tuple(shown), note),)
