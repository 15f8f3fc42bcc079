"""Published results: every table follows from the published trials, and the page beside them says how they came."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kerastickets import registry
from kerastickets.registry.plugin_options import arguments
from kerastickets.studies.reproduce import said_tables

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted(path.parent for path in (ROOT / "docs" / "results").glob("*/study.json"))


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_the_tables_are_made_of_the_trials(folder):
    facts = json.loads((folder / "study.json").read_text())
    module = registry.load("studies", facts["study"])
    budget = module.BUDGETS[facts["budget"]]
    dials = replace(budget, **arguments(type(budget), facts["dials"]))
    trials = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    tables = said_tables(module, dials, trials)
    assert [table.facts() for table in tables] == json.loads((folder / "tables.json").read_text())
    text = (folder / "tables.md").read_text()
    assert all(table.markdown() in text for table in tables)
    figures = {figure.name for figure in module.figures(dials, trials)}
    assert {path.stem for path in (folder / "figures").iterdir()} == figures


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_a_page_says_how_they_came(folder):
    facts = json.loads((folder / "study.json").read_text())
    page = (folder / "README.md").read_text()
    assert facts["command"] in page
    for version in facts["versions"].values():
        assert version in page
    assert facts["machine"]["cpu"] in page
