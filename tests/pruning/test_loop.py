"""Runs that go through the loop in step: each leaves the bytes of a run that is alone, wherever the others are."""

import pytest

from kerastickets.errors import RecipeError
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.loop import find_tickets
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.prune_model import history, prune
from kerastickets.pruning.pruning_run import PruningRun
from kerastickets.runs.folder import RunFolder
from kerastickets.training.trainer import Trainer
from kerastickets.training.trainer_cache import TrainerCache
from tests.helpers.training import DIALS, data, noisy

DATA = data()
# Compiled once for all that is run here.
SHOP = TrainerCache()
RUN = DIALS | {"levels": 2, "rate": 0.5, "train": "4ep", "patience": 2}


def prepared(seed, **dials):
    return PreparedRun(PruneJob.of(noisy, DATA, seed=seed, dials=RUN | dials), trainers=SHOP)


def runs_of(folder, seeds=(0, 1, 2), **dials):
    return [PruningRun(prepared(n, **dials), folder / f"seed-{n}", name=f"Seed {n}") for n in seeds]


def contents(folder):
    """Everything a run writes but times."""
    files = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in history(folder)]
    return files, rows, (folder / "run.json").read_bytes()


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """Each seed's run, alone."""
    folder = tmp_path_factory.mktemp("single")
    for seed in range(3):
        prune(noisy, DATA, seed=seed, out=folder / f"seed-{seed}", **RUN)
    return folder


@pytest.fixture
def groups(monkeypatch):
    """How many trained together, each time."""
    sizes, real = [], Trainer.try_many

    def try_many(self, starts):
        sizes.append(len(starts))
        return real(self, starts)

    monkeypatch.setattr(Trainer, "try_many", try_many)
    return sizes


@pytest.mark.slow
def test_each_seed_leaves_the_bytes_of_its_run_alone(single, tmp_path, groups):
    runs = find_tickets(runs_of(tmp_path))
    assert groups == [3, 3, 3]
    for seed, run in enumerate(runs):
        assert run.head["seed"] == seed
        assert contents(tmp_path / f"seed-{seed}") == contents(single / f"seed-{seed}")


@pytest.mark.slow
def test_seeds_that_are_at_different_levels_go_on_together(single, tmp_path, groups):
    find_tickets(runs_of(tmp_path, levels=1, seeds=[1]))
    del groups[:]
    (tmp_path / "seed-0").mkdir()
    for name in ("run.json", "metrics.jsonl", "level-00.safetensors"):
        (tmp_path / "seed-0" / name).write_bytes((single / "seed-0" / name).read_bytes())
    find_tickets(runs_of(tmp_path))
    assert groups == [3, 2, 1]
    for seed in range(3):
        assert contents(tmp_path / f"seed-{seed}") == contents(single / f"seed-{seed}")


@pytest.mark.slow
def test_an_interruption_keeps_finished_levels_and_lets_the_folders_go(single, tmp_path):
    def interrupt(row):
        if row["level"] == 1:
            raise KeyboardInterrupt

    stopped = runs_of(tmp_path)
    stopped[1] = PruningRun(stopped[1].prepared, stopped[1].out, interrupt)
    with pytest.raises(KeyboardInterrupt):
        find_tickets(stopped)
    assert [RunFolder(one.out).finished for one in stopped] == [1, 1, 1]
    find_tickets(runs_of(tmp_path))
    for seed in range(3):
        assert contents(tmp_path / f"seed-{seed}") == contents(single / f"seed-{seed}")


def test_an_error_names_its_run_and_the_others_keep_the_level(tmp_path):
    def refuse(row):
        if row["iteration"] == 5:
            raise RecipeError("No more room.")

    several = runs_of(tmp_path)
    several[1] = PruningRun(several[1].prepared, several[1].out, refuse, name="Seed 1")
    with pytest.raises(RecipeError, match=r"^Seed 1: No more room\.$"):
        find_tickets(several)
    assert [RunFolder(one.out).finished for one in several] == [1, 0, 1]


def test_finished_runs_train_nothing(tmp_path, groups):
    find_tickets(runs_of(tmp_path))
    del groups[:]
    find_tickets(runs_of(tmp_path))
    assert groups == []


def test_runs_are_faster_together_where_calls_cost_more_than_what_they_compute():
    assert prepared(0).faster_together
    assert not prepared(0, train_size=0.5).faster_together  # each seed has examples of its own
    # 99 values by 25,000 steps between evaluations are over two million.
    assert not prepared(0, train="200000it", eval_every="25000it").faster_together
    assert not PreparedRun(PruneJob.of(noisy, DATA, dials=RUN), callbacks=lambda level: []).faster_together


def test_the_loop_reads_as_the_method():
    import ast
    import inspect

    function = ast.parse(inspect.getsource(find_tickets)).body[0]
    steps = [
        node.func.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and hasattr(node.func, "attr")
    ]
    assert [step for step in steps if step in ("score", "cut", "rewind", "keep")] == [
        "score",
        "cut",
        "rewind",
        "keep",
    ]
    assert function.end_lineno - function.lineno < 30
