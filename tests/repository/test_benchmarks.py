"""Every benchmark starts, ends and writes its result, on sizes so small that the numbers mean nothing."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("[!_]*.py"))

#: What each script prints when it has measured: its number, or why there is none.
NUMBER = {
    "against": r"LeNet-300-100, steps( +\d+\.\d+){5}\n",
    "channels": r"604,234 of 2,270,794 weights left, 604,234 by hand",
    "cli_startup": r"kt plugins( +\d+\.\d+){4}\n",
    "export": r"Conv-4 without 70 % of its channels, dense / compacted time at 64 +\d+\.\d+ ",
    "gpu": r"lenet-300-100, XLA off: \d+ \(\d+ to \d+\) steps per second",
    "jobs": r"\d+\.\d+x \(\d+\.\d+ to \d+\.\d+ by round\) one process: goal",
    "loop_share": r"of which the loop's own \d+\.\d+ s: -?\d+\.\d+%",
    "merging": r"dtm( +\d+\.\d+){4}\n",
    "quantised": r"pruned int4 +\d+\.\d +\d+\.\d +\d+\.\d+% +0\n",
    "separation": r"\d+\.\dx \(.* by round\) PyTorch DataLoader: goal|PyTorch is not installed",
    "snip": r"SNIP takes \d+\.\d+x \(\d+\.\d+ to \d+\.\d+ by round\) as long",
    "structure": r"networkx / ours: 2 % \d+",
    "tfmot": r"TFMOT +\d+\.\d+% .* 1\.00\n|TFMOT is not installed",
    "ticket_file": r"load and verify it( +\d+\.\d+){4}\n",
    "tolerance": r"was kept in 1 of 1 splits",
    "together": r"\d+\.\d+x \(\d+\.\d+ to \d+\.\d+ by round\) one by one: goal",
    "training": r"kerastickets( +\d+\.\d+){4}\n",
}
RESULT = {"training": "training-mlp-4-38-38-2"}
#: These measure no training: they must start without TensorFlow.
LIGHT = {"cli_startup", "merging", "structure", "ticket_file"}
#: Several processes that each import TensorFlow, or files that TensorFlow writes: about 40 s each.
SLOW = {
    "channels",
    "tolerance",
    "against",
    "export",
    "gpu",
    "jobs",
    "quantised",
    "separation",
    "snip",
    "tfmot",
    "together",
    "training",
}
#: These run in the process of the tests, which has imported TensorFlow already.
HERE = {*SCRIPTS} - LIGHT - SLOW


def tiny(script: str, *options: str, **environment: str) -> str:
    """What a script prints in tiny mode."""
    command = [sys.executable, str(BENCHMARKS / f"{script}.py"), "--tiny", *options]
    settings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=settings, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def fields(name: str, facts: dict[str, Any]) -> set[str]:
    """The fields of a result; a tiny `cli_startup` imports NumPy for scale."""
    return {key.replace("_numpy_", "_tensorflow_") if name == "cli_startup" else key for key in facts}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """Imports a module of benchmarks/, for this test alone."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    names = [path.stem for path in BENCHMARKS.glob("*.py")]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "script", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in SCRIPTS]
)
def test_it_measures_and_writes_its_result(script, tmp_path, load, monkeypatch, capsys):
    options, environment = ["--results", str(tmp_path / "results")], {}
    if script == "against":
        if not (ROOT / ".git").exists():
            pytest.skip("benchmarks/against.py needs a git checkout")
        options += ["HEAD", "--no-bytes"]  # bytes may well change between a commit and the next
    if script in LIGHT:
        (tmp_path / "tensorflow.py").write_text(
            "raise ImportError('This benchmark must not need TensorFlow.')"
        )
        environment["PYTHONPATH"] = str(tmp_path)
    if script in HERE:
        monkeypatch.setattr(sys, "argv", [f"{script}.py", "--tiny", *options])
        load(script).main()
        printed = capsys.readouterr().out
    else:
        printed = tiny(script, *options, **environment)
    assert re.search(NUMBER[script], printed), printed
    name = RESULT.get(script, script)
    assert [path.name for path in (tmp_path / "results").iterdir()] == [f"{name}.json"]
    facts = json.loads((tmp_path / "results" / f"{name}.json").read_text())
    assert facts["benchmark"] == name
    assert facts["versions"]["kerastickets"]
    before = BENCHMARKS / "results" / f"{name}.json"
    if before.exists():
        assert fields(script, facts) == set(json.loads(before.read_text()))


def test_a_tiny_run_without_a_folder_writes_nothing():
    before = (BENCHMARKS / "results" / "ticket_file.json").read_bytes()
    assert "not written: ticket_file.json" in tiny("ticket_file")
    assert (BENCHMARKS / "results" / "ticket_file.json").read_bytes() == before


def test_a_result_with_a_peer_outlives_a_run_without(load, tmp_path, monkeypatch, capsys):
    harness = load("_harness")
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    (tmp_path / "race.json").write_text("{}")
    harness.write("race", {"numbers": 1}, ("kerastickets", "no-such-peer"), folder=tmp_path)
    assert "race.json was measured with no-such-peer" in capsys.readouterr().out
    assert (tmp_path / "race.json").read_text() == "{}"
    harness.write("race", {"numbers": 1}, ("kerastickets", "no-such-peer"), folder=tmp_path / "elsewhere")
    facts = json.loads((tmp_path / "elsewhere" / "race.json").read_text())
    assert (facts["numbers"], [*facts["versions"]]) == (1, ["kerastickets"])


def test_a_missing_peer_is_named(load, capsys):
    harness = load("_harness")
    assert harness.installed("NumPy", "numpy")
    assert not harness.installed("Nobody", "no_such_peer")
    assert capsys.readouterr().out.startswith("Nobody is not installed, so its side is left out.")


def test_a_ratio_comes_with_its_spread(load):
    harness = load("_harness")
    assert harness.spread([2.0, 6.0, 4.0], [1.0, 2.0, 4.0]) == "2.00x (1.00 to 3.00 by round)"
    rounds = iter([9.0, 1.0, 2.0])
    assert harness.interleaved({"side": lambda: next(rounds)}, 2) == {"side": [1.0, 2.0]}


def test_against_tells_ratios_and_other_bytes(load):
    against = load("against")
    this, other = ([{"per_second": {"steps": value}} for value in side] for side in ([4, 9, 8], [2, 3, 8]))
    assert against.ratios(this, other) == {
        "steps": {"this": 8, "other": 3, "ratio": 2.0, "least": 1.0, "most": 3.0}
    }
    assert against.different({"SNIP": "a", "IMP": "b"}, {"SNIP": "a", "IMP": "c", "DTM": "d"}) == [
        "IMP",
        "DTM",
    ]


def test_against_imports_each_tree_from_its_own_folders(load, tmp_path):
    against = load("against")
    links = against.linked(ROOT, tmp_path / "this")
    code = "import kerastickets, kerastickets_cli, kerastickets_plugins as p; print(kerastickets.__file__, p.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(links)}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == [
        str(links / "kerastickets/__init__.py"),
        str(links / "kerastickets_plugins/__init__.py"),
    ]
    with pytest.raises(SystemExit, match="must have the folder"):
        against.linked(tmp_path, tmp_path / "other")
