"""What a report says of one ticket, and of a run whose tickets come apart."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from kerastickets.reports.structure_section import structure_section
from kerastickets.reports.write import report
from kerastickets.runs.facts import RunFacts
from kerastickets.runs.folder import RunFolder
from kerastickets.runs.tasks import RunTasks, keep_tasks
from kerastickets.structure.summary import counts_of, summarise
from tests.helpers.folders import make_run
from tests.helpers.structures import APART, mlp, two_tasks

WHOLE = mlp([[1] * 4] * 4, [[1, 1]] * 4)
LOST = mlp([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]], [[1, 0], [0, 1], [0, 1], [0, 0]])


@pytest.fixture
def run(tmp_path):
    """Interconnected, then separated, then degraded."""
    folder = make_run(tmp_path / "run", levels=2)
    for level, ticket in enumerate((WHOLE, APART, LOST)):
        file = RunFolder(folder).ticket_file(level)
        file.unlink()
        ticket.replace(provenance={"level": level, "criterion": "magnitude"}).save(file)
    keep_tasks(RunFolder(folder), two_tasks())
    return folder


def test_a_ticket_without_tasks_or_with_others_has_its_structure():
    assert summarise(APART).separation is None
    facts = summarise(APART, two_tasks())
    assert (facts.separation["category"], facts.degree["total"]["from_inputs"], facts.edges) == (
        "separated",
        1,
        8,
    )
    assert summarise(mlp([[1]], [[1]]), two_tasks()).separation is None


def test_stop_rules_say_which_features_count():
    assert counts_of(["structure.effective<9", "separation:counts=inputs.category=degraded"]) == "inputs"
    assert summarise(LOST, two_tasks()).separation["category"] == "degraded"
    assert summarise(LOST, two_tasks(), "outputs").separation["category"] == "separated"


def test_tasks_come_back_and_are_left_out_where_there_is_one(run, tmp_path):
    tasks = RunTasks.read(RunFolder(run))
    assert (tasks.name, dict(tasks.tasks), tasks.input_shape, tasks.outputs) == (
        "two", dict(two_tasks().tasks), (4,), 2,
    )  # fmt: skip
    single = replace(two_tasks(), tasks={})
    keep_tasks(RunFolder(tmp_path), single)
    assert RunTasks.read(RunFolder(tmp_path)) is None
    (tmp_path / "tasks.json").write_text('{"tasks": 3}')
    assert RunTasks.read(RunFolder(tmp_path)) is None


def test_a_run_that_comes_apart(run):
    section = structure_section([RunFacts.read(run)])
    assert "**5** weights: 4 active (80.0%), 0 inactive, 1 zombie" in section.intro
    assert (
        "Seed 0: interconnected from level 0, separated from level 1, degraded from level 2." in section.intro
    )
    shares, table, degree, network = section.items
    assert [(one.name, one.y) for one in shares.series] == [
        ("active", (1.0, 1.0, 0.8)), ("inactive", (0, 0, 0)), ("zombie", (0, 0, 0.2)),
    ]  # fmt: skip
    assert [(row["level"], row["category"], row["needed"]) for row in table.rows] == [
        (0, "interconnected", 1), (1, "separated", 0), (2, "degraded", 0),
    ]  # fmt: skip
    assert degree.series[1].y == (pytest.approx(0.4), 1.0, 1.0)
    assert network.title == "The network of seed 0 at level 1, separated"
    assert {neuron.group for neuron in network.neurons} == {"a", "b", ""}


def test_seeds_are_averaged(run):
    runs = [RunFacts.read(run)] * 2
    section = structure_section(runs)
    assert section.items[0].series[0].y == (1.0, 1.0, 0.8)
    assert len(section.items[1].rows) == 6
    assert "Means of 2 seeds" in section.items[0].note


def test_a_network_of_many_edges_is_named_not_drawn(run, monkeypatch):
    monkeypatch.setattr("kerastickets.reports.structure_section.MOST_EDGES", 8)
    *_, network = structure_section([RunFacts.read(run)]).items
    assert network == "The network of level 1 has 8 edges. Only networks with fewer than 8 edges are drawn."


def test_a_model_that_cannot_be_followed_is_one_line(tmp_path):
    section = structure_section([RunFacts.read(make_run(tmp_path / "run"))])
    assert section.intro.startswith("These networks cannot be traced. The structure of a ticket is read from")
    assert section.items == ()


def test_the_report_needs_no_tensorflow(run):
    code = (
        f"import sys; from kerastickets.reports.write import report; report({str(run)!r}); "
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert '"kind":"network"' in (run / "report.html").read_text(encoding="utf-8")
    assert json.loads((run / "tasks.json").read_text())["tasks"]["a"]["inputs"] == [0, 1]
    assert report(run).exists()
