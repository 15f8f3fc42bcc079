"""`kt fit`: tables and JSON of runs written by hand, of seeds, and of a run that was trained."""

import json
import math
import shutil
import subprocess
import sys

import pytest


def write(folder, speeds, epochs=20):
    """The folder of a run whose levels learn at these speeds."""
    folder.mkdir(parents=True)
    rows = [
        {"level": level, "iteration": 10 * n, "epoch": float(n), "val_accuracy": 0.9 - 0.8 * math.exp(-c * n)}
        | {"test_accuracy": 0.8 - 0.7 * math.exp(-2 * c * n)}
        for level, c in enumerate(speeds)
        for n in range(epochs + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"half')
    return folder


@pytest.fixture
def run(tmp_path, folder):
    """Three levels, the last of which learned nothing; only level 1 has its ticket, of density 0.5."""
    run = write(tmp_path / "run", [1.5, 3.0, 0.0])
    shutil.copy(folder / "half.safetensors", run / "level-01.safetensors")
    return run


def test_a_row_for_each_level(kt, run):
    assert kt("fit", run).stdout.splitlines() == [
        "level  density  points              c  plateau  rmse               flag",
        "    0        -      20  1.500 ± 0.000    90.00  0.00                 ok",
        "    1   50.00%      20  3.000 ± 0.000    90.00  0.00                 ok",
        "    2        -      20          - ± -        -     -  the curve is flat",
    ]


def test_json(kt, run):
    facts = json.loads(kt("fit", run, "--level", 1, "--metric", "test_accuracy", "--json").stdout)
    assert (facts["run"], facts["metric"]) == (str(run), "test_accuracy")
    (level,) = facts["levels"]
    assert level.keys() == {
        "level", "density", "a", "b", "c", "d", "c_error", "points", "rmse", "restarted", "problem", "ok",
    }  # fmt: skip
    assert (level["level"], level["density"], level["points"], level["ok"]) == (1, 0.5, 20, True)
    assert (level["c"], level["d"]) == pytest.approx((6.0, 80.0), rel=1e-4)


def test_seeds_are_rows_of_their_own_in_the_order_of_numbers(kt, tmp_path):
    for seed, c in ((10, 2.0), (9, 1.0)):
        write(tmp_path / f"seed-{seed}", [c])
    (tmp_path / "seed-x").mkdir()
    assert kt("fit", tmp_path).stdout.splitlines() == [
        "seed  level  density  points              c  plateau  rmse  flag",
        "   9      0        -      20  1.000 ± 0.000    90.00  0.00    ok",
        "  10      0        -      20  2.000 ± 0.000    90.00  0.00    ok",
    ]
    facts = json.loads(kt("fit", tmp_path, "--json").stdout)
    assert [(one["seed"], one["run"]) for one in facts] == [
        (9, str(tmp_path / "seed-9")),
        (10, str(tmp_path / "seed-10")),
    ]


def test_a_run_that_was_trained(kt, run_folder):
    levels = json.loads(kt("fit", run_folder, "--json").stdout)["levels"]
    assert [level["density"] for level in levels] == [1.0, 0.5, 0.25]
    # Two epochs leave the untrained net and one point.
    assert {level["problem"] for level in levels} == {"fewer than 5 points"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--level", 7], 1, "must have rows of the level. Received: level=7. Levels: 0, 1, 2"),
        (["--level", -1], 2, "x>=0"),
        (["--metric", "val_acc"], 1, "Received: metric='val_acc'. The row of level 0, iteration 0 has: val_accuracy"),
        (["--metric", "epoch"], 1, "`metric` must be an accuracy in [0, 1]. Received: epoch=2.0"),
    ],
)  # fmt: skip
def test_what_the_run_does_not_have(kt, run, arguments, code, said):
    assert said in kt("fit", run, *arguments, code=code).stderr


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_what_is_no_run(kt, tmp_path, kind):
    path = tmp_path / kind
    if kind == "empty":
        path.mkdir()
    elif kind == "file":
        path.write_text("")
    said = kt("fit", path, code=1).stderr
    assert said.startswith("Error: RUN must be a folder with a metrics.jsonl")
    assert f"Received: {path}. " in said


def test_it_imports_no_tensorflow(run):
    code = (
        "import sys; from kerastickets_cli.main import kt\n"
        f"kt(['fit', {str(run)!r}], standalone_mode=False)\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
