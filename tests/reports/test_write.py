"""Reports of folders."""

import json
import subprocess
import sys

import numpy as np
import pytest

from kerastickets.errors import KerasTicketsError
from kerastickets.reports.origin_section import lineage
from kerastickets.reports.run_sections import (
    layer_densities,
    learning_curves,
    levels_table,
    overlaps,
    run_sections,
)
from kerastickets.reports.write import kind_of, report
from kerastickets.runs.facts import RunFacts, overlap, seed_folders
from tests.helpers.folders import HOSTILE, make_run, make_study
from tests.helpers.html_reader import Reader


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def facts(folder, **changes):
    return RunFacts.read(make_run(folder, **changes))


def test_a_run(run):
    path = report(run)
    assert path == run / "report.html"
    text = path.read_text(encoding="utf-8")
    titles = [
        "Levels",
        "Learning curves",
        "Layers",
        "Structure",
        "Overlap of masks",
        "Lineage",
        "Recipe",
        "Seeds and versions",
    ]
    assert [title for title in titles if f">{title}</h2>" in text] == titles
    assert "<strong>2</strong> of 8 weights (25.00%)" in text
    Reader(text)
    assert sorted(path.name for path in run.iterdir() if path.suffix == ".part") == []


def test_equal_folders_give_equal_bytes(run, tmp_path):
    first = report(run).read_bytes()
    assert report(run, tmp_path / "new" / "again.html").read_bytes() == first


def test_levels_and_layers(run):
    runs = [RunFacts.read(run)]
    rows = levels_table(runs).rows
    assert [(row["level"], row["kept"], row["density"]) for row in rows] == [
        (0, 8, 1.0), (1, 6, 0.75), (2, 4, 0.5), (3, 2, 0.25),
    ]  # fmt: skip
    assert [row["val_accuracy"] for row in rows] == [0.9, 0.89, 0.88, 0.87]
    lines = layer_densities(runs).series
    assert [(line.name, line.y) for line in lines] == [("a/kernel", (1.0, 0.75, 0.5, 0.25))] * 1 + [
        ("b/kernel", (1.0, 0.75, 0.5, 0.25))
    ]


def test_overlap_of_levels_is_the_share_of_the_smaller(run):
    heat = next(iter(overlaps([RunFacts.read(run)])))
    assert heat.values[0] == (1.0, 0.75, 0.5, 0.25)
    np.testing.assert_allclose(heat.values[3], [0.25, 1 / 3, 0.5, 1])


def test_overlap_of_seeds(tmp_path):
    runs = [facts(tmp_path / f"seed-{seed}", seed=seed) for seed in (0, 1)]
    of_seeds = [*overlaps(runs)][1]
    # Level 3: a keeps position 3 in both; b keeps 3 and 0. One shared of three.
    np.testing.assert_allclose(of_seeds.values, [[1, 1 / 3], [1 / 3, 1]])
    assert overlap(runs[0].levels[0], runs[1].levels[0]) == 1.0
    assert "level 3" in of_seeds.title


def test_seeds_become_means_with_a_standard_deviation(tmp_path):
    for seed in (0, 1, 10):
        make_run(tmp_path / f"seed-{seed}", seed=seed)
    assert [path.name for path in seed_folders(tmp_path)] == ["seed-0", "seed-1", "seed-10"]
    runs = [RunFacts.read(path) for path in seed_folders(tmp_path)][:2]
    chart = run_sections(runs)[0].items[0]
    line = chart.series[1]
    assert line.name == "test accuracy"
    np.testing.assert_allclose(line.y, [0.85] * 4)
    np.testing.assert_allclose(line.high, [0.85 + 0.1 / 2**0.5] * 4)  # of 0.8 and 0.9, with n - 1
    assert kind_of(tmp_path) == "seeds"
    assert "3 seeds" in report(tmp_path).read_text(encoding="utf-8")


def test_seeds_of_unequal_progress(tmp_path):
    runs = [facts(tmp_path / "seed-0", levels=3), facts(tmp_path / "seed-1", seed=1, levels=1)]
    assert "Overlap of seeds at level 1" in [heat.title for heat in overlaps(runs)]
    assert len(levels_table(runs).rows) == 6


def test_learning_curves(run):
    chart = next(iter(learning_curves([RunFacts.read(run)])))
    assert [series.name for series in chart.series] == ["level 0", "level 1", "level 2", "level 3"]
    np.testing.assert_allclose(chart.series[0].y, [0.1, 0.5, 0.9])


def test_long_curves_are_thinned_and_keep_their_ends(run):
    rows = [{"level": 0, "iteration": n, "val_accuracy": n / 5000} for n in range(5000)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = next(iter(learning_curves([RunFacts.read(run)]))).series[0]
    assert len(line.x) <= 301
    assert (line.x[0], line.x[-1]) == (0, 4999)


def test_the_lineage_names_strangers(tmp_path):
    runs = [facts(tmp_path / "run", parents=["f" * 64])]
    graph = lineage(runs)
    assert graph.nodes[0].label == "another run"
    assert len(graph.edges) == 4


def test_a_run_without_training(run):
    (run / "metrics.jsonl").write_text("")
    text = report(run).read_text(encoding="utf-8")
    assert "No level was trained." in text


def test_an_unfinished_run_says_so(run):
    (run / "level-03.safetensors").unlink()
    assert "Not finished yet: seed 0." in report(run).read_text(encoding="utf-8")


@pytest.mark.parametrize("missing", ["run.json", "metrics.jsonl", "level-00.safetensors"])
def test_what_is_missing_is_named(run, missing):
    (run / missing).unlink()
    with pytest.raises(KerasTicketsError, match=f"without {missing}"):
        report(run)
    assert not (run / "report.html").exists()


def test_a_failing_report_leaves_the_old_one(run):
    before = report(run).read_bytes()
    (run / "level-02.safetensors").write_bytes(b"cut off")
    with pytest.raises(KerasTicketsError, match=r"level-02\.safetensors"):
        report(run)
    assert (run / "report.html").read_bytes() == before


@pytest.mark.parametrize("text", ["{", "[]", '{"recipe": 1, "versions": {}}', "\x00"])
def test_a_damaged_recipe_is_named(run, text):
    (run / "run.json").write_text(text)
    with pytest.raises(KerasTicketsError, match=r"run\.json must be what `kt prune` wrote"):
        report(run)


def test_an_empty_folder_and_none(tmp_path):
    with pytest.raises(KerasTicketsError, match="with none of these"):
        report(tmp_path)
    with pytest.raises(KerasTicketsError, match="DIR must be a folder"):
        report(tmp_path / "no")


@pytest.mark.parametrize("provenance", [{"metrics": [1]}, {"parents": 3}, {"environment": "x"}], ids=str)
def test_provenance_of_another_kind_is_named(tmp_path, provenance):
    with pytest.raises(KerasTicketsError, match=r"in a provenance must be"):
        facts(tmp_path / "run", **provenance)


def test_strange_metrics_are_left_out(run):
    rows = [
        {"level": 0, "iteration": "x", "val_accuracy": "high"},
        {"level": [0]},
        {"level": True},
        {"level": 99},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"level": 0, "val_')
    assert RunFacts.read(run).rows == ()
    report(run)


def test_nothing_a_stranger_wrote_becomes_an_element(tmp_path):
    calm = make_run(tmp_path / "calm", environment={"xla": "x"}, parents=["a"])
    wild = make_run(tmp_path / "wild", name=HOSTILE, environment={HOSTILE: HOSTILE}, parents=[HOSTILE])
    tags = [
        [tag for tag, _ in Reader(report(path).read_text(encoding="utf-8")).elements] for path in (calm, wild)
    ]
    assert tags[0] == tags[1]


def test_a_study(tmp_path):
    text = report(make_study(tmp_path)).read_text(encoding="utf-8")
    for part in (
        "Merging merging",
        "Table I",
        "Curves merging",
        "Budget: smoke",
        "kt reproduce merging",
        "Trials",
    ):
        assert part in text
    Reader(text)


def test_nothing_in_a_study_becomes_an_element(tmp_path):
    calm, wild = make_study(tmp_path / "calm", "x" * 50), make_study(tmp_path / "wild", HOSTILE)
    tags = [
        [tag for tag, _ in Reader(report(path).read_text(encoding="utf-8")).elements] for path in (calm, wild)
    ]
    assert tags[0] == tags[1]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("study.json", None, "without study.json"),
        ("tables.json", None, "without tables.json"),
        ("tables.json", "{}", "tables.json must be what `kt reproduce` wrote"),
        ("tables.json", "[3]", "A table must have a name"),
        ("figures.json", '[{"kind": "pie"}]', "A figure must be a chart"),
        ("study.json", "[", "study.json must be what"),
    ],
)
def test_a_damaged_study_is_named(tmp_path, file, text, said):
    make_study(tmp_path)
    (tmp_path / file).unlink() if text is None else (tmp_path / file).write_text(text)
    with pytest.raises(KerasTicketsError, match=said):
        report(tmp_path)


def test_a_study_without_figures_or_trials(tmp_path):
    make_study(tmp_path)
    for name in ("figures.json", "results.jsonl"):
        (tmp_path / name).unlink()
    assert ">Figures<" not in report(tmp_path).read_text(encoding="utf-8")


def test_tensorflow_stays_out(run):
    code = f"from kerastickets.reports import report; report({str(run)!r}); import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {*done.stdout.split()} & {"tensorflow", "keras", "matplotlib", "sklearn"} == set()
