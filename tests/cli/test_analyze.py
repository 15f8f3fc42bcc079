"""`kt analyze`, on tickets made by hand and on a small run."""

import json
import os
import subprocess
import sys

import pytest

from kerastickets import Ticket, registry


@pytest.fixture
def pair(folder):
    return folder / "half.safetensors", folder / "deep" / "third.safetensors"


def test_one_ticket_gives_the_plain_facts(kt, pair):
    facts = json.loads(kt("analyze", "weights", pair[0], "-o", "bins=2", "--json").stdout)
    assert facts == json.loads(
        json.dumps(registry.create("analyzers", "weights:bins=2")(Ticket.load(pair[0])))
    )
    row = facts["rows"][0]
    # a/kernel is 0 1 2 3, of which 0 and 1 are kept, and 0 has no sign.
    assert (row["key"], row["kept"], row["signs_kept"], row["init"]["mean"]) == ("a/kernel", 2, 1.0, 0.5)


def test_tables_on_a_terminal(kt, pair):
    # By chance they share none, one or two weights, of IoU 0, 1/4 and 2/3, in 1, 2 and 1 of 4 cases.
    assert kt("analyze", "overlap", *pair).stdout.splitlines()[:13] == [
        "tickets:",
        "ticket  level  seed  kept  total  density",
        "1           1     -     3      6      0.5",
        "2           2     -     2      6   0.3333",
        "",
        "pairs:",
        "a  b  kept_a  kept_b  overlap  only_a  only_b   iou  chance      sd  chance_iou  z",
        "1  2       3       2        1       2       1  0.25       1  0.7071      0.2917  0",
        "",
        "pairs 1 layers:",
        "key       kept_a  kept_b  overlap  only_a  only_b  iou  chance   sd  chance_iou   z",
        "a/kernel       2       1        1       1       0  0.5     0.5  0.5        0.25   1",
        "b/kernel       1       1        0       1       1    0     0.5  0.5         0.5  -1",
    ]


def test_several_tickets_and_folders_are_asked_one_by_one(kt, run_folder):
    files = [str(run_folder / f"level-0{level}.safetensors") for level in range(3)]
    asked = kt("analyze", "structure", run_folder, "--json").stdout
    assert asked == kt("analyze", "structure", *files, "--json").stdout
    found = json.loads(asked)
    alone = [json.loads(kt("analyze", "structure", file, "--json").stdout) for file in files]
    assert found == [{"ticket": file, **facts} for file, facts in zip(files, alone, strict=True)]
    lines = kt("analyze", "structure", run_folder).stdout.splitlines()
    assert lines[0].split()[:5] == ["ticket", "active", "inactive", "zombie", "pruned"]
    assert [line.split()[4] for line in lines[1:]] == ["0", "296", "444"]


def test_an_analyzer_of_many_tickets_takes_a_folder_at_once(kt, run_folder):
    facts = json.loads(kt("analyze", "weights", run_folder, "--json").stdout)
    assert [row["kept"] for row in facts["totals"]] == [592, 296, 148]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".html"])
def test_plot_draws_a_file(kt, pair, tmp_path, suffix):
    file = tmp_path / "new" / f"overlap{suffix}"
    shown = kt("analyze", "overlap", *pair, "--plot", file, "--json")
    assert (json.loads(shown.stdout)["total"]["intersection"], shown.stderr) == (1, f"Drawn: {file}\n")
    begin = {".png": b"\x89PNG", ".svg": b"<?xml", ".html": b"<!DOCTYPE html>"}[suffix]
    assert file.read_bytes().startswith(begin)
    assert "--plot must be a new file" in kt("analyze", "overlap", *pair, "--plot", file, code=1).stderr
    kt("analyze", "overlap", *pair, "--plot", file, "--force")


def test_each_of_several_figures_gets_a_file(kt, run_folder, tmp_path, monkeypatch):
    def figure(self, facts):
        return weights.figure(registry.create("analyzers", "weights")(toy))

    from kerastickets.testing import toy_ticket

    toy, weights = toy_ticket(), registry.create("analyzers", "weights")
    monkeypatch.setattr(registry.load("analyzers", "structure"), "figure", figure, raising=False)
    kt("analyze", "structure", run_folder, "--plot", tmp_path / "all.svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"all-level-0{n}.svg" for n in range(3)]


def test_wrong_usage_is_refused(kt, pair, folder, tmp_path):
    assert (
        "overlap takes two tickets or more. Received: 1." in kt("analyze", "overlap", pair[0], code=2).stderr
    )
    assert "structure takes one ticket. Received: 0." in kt("analyze", "structure", code=2).stderr
    bad = kt("analyze", "weights", pair[0], "--plot", tmp_path / "x.pdf", code=2)
    assert "A figure is a .png, .svg, .html file" in bad.stderr
    assert "Did you mean 'overlap'?" in kt("analyze", "overlp", *pair, code=1).stderr
    assert (
        "No option of Weights named 'bin'" in kt("analyze", "weights", pair[0], "-o", "bin=3", code=1).stderr
    )
    assert "must be that of a run" in kt("analyze", "weights", folder / "deep", code=1).stderr
    assert (
        "No dataset named 'digit'" in kt("analyze", "weights", pair[0], "--dataset", "digit", code=1).stderr
    )


def test_an_analyzer_without_figure_says_so(kt, pair, tmp_path, monkeypatch):
    monkeypatch.delattr(registry.load("analyzers", "weights"), "figure")
    bad = kt("analyze", "weights", pair[0], "--plot", tmp_path / "x.png", code=1)
    assert "weights draws no figure" in bad.stderr


@pytest.mark.parametrize("name", ["structure", "weights"])
def test_tensorflow_is_not_needed(run_folder, name, tmp_path):
    code = (
        "import sys\nfrom kerastickets_cli.main import kt\n"
        "kt.main(sys.argv[1:], standalone_mode=False)\n"
        "assert not {'tensorflow', 'keras'} & {*sys.modules}, 'TensorFlow was imported'"
    )
    plot = ["--plot", str(tmp_path / "x.svg")] if name == "weights" else []
    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", name, str(run_folder / "level-02.safetensors"), *plot],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert done.returncode == 0, done.stderr


def test_plugins_are_listed_and_shown(kt):
    listed = {row["name"] for row in json.loads(kt("plugins", "analyzers", "--json").stdout)}
    assert listed >= {"overlap", "structure", "weights"}
    assert "number of bins of each histogram" in kt("plugins", "show", "weights").stdout
