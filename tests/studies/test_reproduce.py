"""The study engine: what it writes, that nothing is done twice, and that a study that is killed goes on."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerastickets.errors import RecipeError
from kerastickets.studies.job_kinds import do
from kerastickets.studies.reproduce import Reproduction
from kerastickets.studies.study import Cache, in_order
from kerastickets.training.trainer_cache import TrainerCache
from tests.helpers import tinystudy

WHAT = Reproduction("tiny", tinystudy, "smoke", tinystudy.BUDGETS["smoke"])
ROOT = Path(__file__).resolve().parents[2]
#: What must not depend on interruptions or on the number of processes; times and the command may.
NUMBERS = ("results.jsonl", "tables.json", "tables.md", "figures.json", "figures/accuracy.svg")


def numbers(out):
    return {name: (out / name).read_bytes() for name in NUMBERS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    told = []
    page = WHAT.run(folder / "out", cache=folder / "cache", jobs=1, command="kt", on_progress=told.append)
    return folder, page, told


def test_a_study_writes_rows_tables_figures_and_a_page(whole):
    folder, page, _ = whole
    out = folder / "out"
    assert page == out / "report.html"
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [row["seed"] for row in rows] == [0, 1]
    assert json.loads((out / "tables.json").read_text())[0]["rows"][0]["kept"] == 296
    assert "| 0 | 296 |" in (out / "tables.md").read_text()
    assert sorted(path.name for path in (out / "figures").iterdir()) == ["accuracy.png", "accuracy.svg"]
    facts = json.loads((out / "study.json").read_text())
    assert facts["dials"] == {"seeds": 2, "train": "2ep"}
    assert facts["jobs"] == 6
    assert list(out.glob("*.part")) == []


def test_progress_begins_with_what_is_known_and_ends_whole(whole):
    told = whole[2]
    assert (told[0].done, told[0].total, told[0].share) == (0, 2, 0.0)
    assert (told[-1].done, told[-1].total, told[-1].share) == (6, 6, 1.0)
    # Jobs that depend on results make the whole larger, nothing else makes the share fall.
    assert {progress.total for progress in told} == {2, 6}


@pytest.mark.slow
def test_the_number_of_processes_changes_no_number(whole, tmp_path):
    WHAT.run(tmp_path / "out", cache=tmp_path / "cache", jobs=2)
    assert numbers(tmp_path / "out") == numbers(whole[0] / "out")


def test_a_finished_study_does_nothing_again(whole, tmp_path):
    folder = whole[0]
    before = {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*") if path.is_file()}
    WHAT.run(tmp_path / "out", cache=folder / "cache", jobs=1)
    assert numbers(tmp_path / "out") == numbers(folder / "out")
    assert {
        path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*") if path.is_file()
    } == before


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["prune", pytest.param("apply", marks=pytest.mark.slow)])
def test_a_damaged_ticket_in_the_cache_is_set_aside_said_and_made_again(whole, tmp_path, verb):
    shutil.copytree(whole[0] / "cache", tmp_path / "cache")
    cache, notes = Cache(tmp_path / "cache"), []
    budget = tinystudy.BUDGETS["smoke"]
    job = tinystudy.found(budget, 0) if verb == "prune" else tinystudy.merged(budget, 0)
    file = cache.file(job.ticket("level-02" if verb == "prune" else "ticket"))
    file.write_bytes(file.read_bytes()[:-100])
    if verb == "prune":  # read by the job that needs it, which is not done either
        (cache.place(tinystudy.merged(budget, 0)) / "result.json").unlink()
    else:
        (cache.place(tinystudy.trained(budget, 0)) / "result.json").unlink()
    WHAT.run(tmp_path / "out", cache=tmp_path / "cache", jobs=1, on_note=notes.append)
    assert numbers(tmp_path / "out") == numbers(whole[0] / "out")
    assert len(notes) == 1
    assert f"It was set aside as {job.hash}.damaged-1 and is made again." in notes[0]
    assert cache.place(job).with_name(f"{job.hash}.damaged-1").is_dir()


@pytest.mark.parametrize("content", ["", "[]", "{", "7", "\x00"])
def test_a_damaged_result_is_done_again(whole, tmp_path, content):
    shutil.copytree(whole[0] / "cache", tmp_path / "cache")
    cache = Cache(tmp_path / "cache")
    job = tinystudy.merged(tinystudy.BUDGETS["smoke"], 0)
    (cache.place(job) / "result.json").write_text(content)
    assert cache.facts(job) is None
    assert do(job, cache, TrainerCache())["seconds"] >= 0
    assert cache.facts(job) is not None


CODE = """
import sys
from kerastickets.studies.reproduce import Reproduction
from tests.helpers import tinystudy
what = Reproduction("tiny", tinystudy, "smoke", tinystudy.BUDGETS["smoke"])
if __name__ == "__main__":
    what.run(sys.argv[1] + "/out", cache=sys.argv[1] + "/cache", jobs=1)
"""


@pytest.mark.slow
def test_a_study_that_is_killed_continues_without_repeating_finished_jobs(whole, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(CODE)
    command = [sys.executable, str(script), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    cache, moments = Cache(tmp_path / "cache"), random.Random(7)
    finished: dict[Path, int] = {}
    for _ in range(3):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        # After so many results more; between two of them anything may be going on.
        until, more = time.monotonic() + 120, moments.choice([1, 2])
        while len(list(cache.folder.rglob("result.json"))) < len(finished) + more and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(moments.random() / 2)
        process.kill()
        process.wait()
        time.sleep(1)  # a worker ends itself once its parent is gone
        assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
        finished = {path: path.stat().st_mtime_ns for path in cache.folder.rglob("result.json")}
    WHAT.run(tmp_path / "out", cache=tmp_path / "cache", jobs=1)
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
    assert numbers(tmp_path / "out") == numbers(whole[0] / "out")


@pytest.mark.slow
def test_an_error_of_a_job_is_raised_and_what_is_done_stays_done(tmp_path):
    class Broken:
        TITLE, PAPER, BUDGETS = tinystudy.TITLE, tinystudy.PAPER, tinystudy.BUDGETS

        @staticmethod
        def jobs(budget, results):
            return [tinystudy.found(budget, 0), tinystudy.Job("apply", {"operation": "nothing"})]

    what = Reproduction("tiny", Broken, "smoke", tinystudy.Budget())
    with pytest.raises(Exception, match="No operation named 'nothing'"):
        what.run(tmp_path / "out", cache=tmp_path / "cache", jobs=1)
    assert Cache(tmp_path / "cache").facts(in_order(Broken.jobs(tinystudy.Budget(), None))[0])
    assert list((tmp_path / "out").iterdir()) == []


def test_dials_and_budgets_are_checked():
    assert Reproduction.of("merging", "smoke", {"train": "3ep"}).dials.train == "3ep"
    with pytest.raises(RecipeError, match=r"No budget named 'smok'. Did you mean 'smoke'"):
        Reproduction.of("merging", "smok")
    with pytest.raises(RecipeError, match=r"rejects its settings: `used` must be in \[2, 3\]"):
        Reproduction.of("merging", "smoke", {"used": 5})
