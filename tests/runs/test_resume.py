"""A run that was stopped, however it was stopped, and continued is byte for byte one that was not."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerastickets.errors import RecipeError, TicketError
from kerastickets.pruning import pruning_run
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.prune_model import history, prune
from kerastickets.tickets.ticket import Ticket
from tests.helpers.killing import DIALS, MOMENTS
from tests.helpers.training import data, find, noisy, plain

ROOT = Path(__file__).resolve().parents[2]
KILLS = 5


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.helpers.killing", str(folder), "1", str(KILLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["kills", str(KILLS + len(MOMENTS))]
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).glob("*.safetensors")}


def rows(folder):
    """The rows without the one value that may differ."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history(folder)]


def assert_equal_runs(one, other):
    assert files(one).keys() == files(other).keys()
    for name, content in files(one).items():
        assert content == files(other)[name], name
    assert rows(one) == rows(other)
    assert (one / "run.json").read_bytes() == (other / "run.json").read_bytes()
    extra = {path.name for path in other.iterdir()} - files(other).keys()
    assert extra == {"run.json", "run.lock", "metrics.jsonl"}


@pytest.mark.slow
def test_a_run_killed_at_random_moments_is_the_run_that_was_not(killed):
    continued = sorted(killed.glob("random-*"))
    assert continued
    for folder in continued:
        assert_equal_runs(killed / "whole", folder)


@pytest.mark.slow
def test_a_run_killed_at_every_awkward_moment_is_the_run_that_was_not(killed):
    assert_equal_runs(killed / "whole", killed / "moments")
    assert len(files(killed / "whole")) == 4


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(killed, tmp_path):
    prune(noisy, data(), out=tmp_path, **DIALS)
    assert_equal_runs(killed / "whole", tmp_path)


def test_a_run_that_is_not_written_is_the_same_run(done):
    assert [ticket.digest for ticket in short(None).tickets] == [level.digest for level in short(done).levels]


def short(out, **dials):
    return find(out=out, **({"levels": 2, "rate": 0.5} | dials))


@pytest.fixture
def done(tmp_path):
    """A finished run of two levels."""
    short(tmp_path / "run")
    return tmp_path / "run"


def test_the_same_call_again_trains_nothing_and_reports_the_same(done, monkeypatch):
    before, mtimes = files(done), {path: path.stat().st_mtime_ns for path in done.glob("level*")}
    monkeypatch.setattr(PreparedRun, "trainer", property(lambda self: pytest.fail("trained again")))
    levels = []
    run = short(done, on_level_end=levels.append)
    assert files(done) == before
    assert {path: path.stat().st_mtime_ns for path in done.glob("level*")} == mtimes
    assert tuple(levels) == run.levels
    assert [level.ticket for level in run.levels] == [f"level-{n:02d}.safetensors" for n in range(3)]
    assert run.history() == history(done)
    assert run.facts()["run"] == str(done)
    assert [level.seconds > 0 for level in run.levels] == [True] * 3


def test_an_interrupted_run_continues(tmp_path):
    def interrupt(row):
        if (row["level"], row["iteration"]) == (1, 5):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        short(tmp_path / "stopped", on_row=interrupt)
    assert [row["level"] for row in rows(tmp_path / "stopped")] == [0, 0, 0, 1, 1]
    short(tmp_path / "stopped")
    short(tmp_path / "whole")
    assert_equal_runs(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize(
    "dials", [{}, {"between": "none", "no_train": True}, {"scope": "global", "rate": 0.3}]
)
def test_more_levels_extend_to_the_run_that_was_longer_from_the_start(tmp_path, dials):
    short(tmp_path / "grown", levels=1, **dials)
    run = short(tmp_path / "grown", levels=3, **dials)
    assert len(run.tickets) == 4
    short(tmp_path / "long", levels=3, **dials)
    assert_equal_runs(tmp_path / "long", tmp_path / "grown")


def test_fewer_levels_report_what_is_asked_and_keep_the_rest(done):
    before, lines = files(done), rows(done)
    run = short(done, levels=1)
    assert [level.level for level in run.levels] == [0, 1]
    assert {row["level"] for row in run.rows} == {0, 1}
    assert len(run.tickets) == 2
    assert files(done) == before
    assert rows(done) == lines
    assert json.loads((done / "run.json").read_text())["recipe"]["levels"] == 2


@pytest.mark.parametrize(
    "dials",
    [
        {"criterion": "snip", "rate": 0.5, "scope": "layer"},
        {"rate": 0.5, "no_train": True},
        {"rate": None, "sparsity": 0.8},
        {"rate": None, "target": 20},
    ],
)
def test_a_run_whose_levels_depend_on_their_number_is_not_extended(tmp_path, dials):
    short(tmp_path, **dials)
    before = files(tmp_path)
    for levels in (1, 3):
        with pytest.raises(
            RecipeError, match=rf"levels=2. Received: levels={levels} \(only a run that prunes by"
        ):
            short(tmp_path, **(dials | {"levels": levels}))
    assert files(tmp_path) == before
    short(tmp_path, **dials)


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"lr": 0.5}, "lr=0.01. Received: lr=0.5"),
        ({"seed": 1}, "seeds data=0. Received: seeds data=1"),
        ({"rate": 0.3}, "rate=0.5. Received: rate=0.3"),
        ({"train": "3ep"}, 'train="2ep". Received: train="3ep"'),
        ({"criterion": "random"}, 'criterion name="magnitude". Received: criterion name="random"'),
        ({"rewind_to": "1ep"}, 'rewind_to="0it". Received: rewind_to="1ep"'),
        ({"model": noisy}, 'model="plain". Received: model="noisy"'),
        ({"exclude": ["dense_1"]}, r'exclude=\[\]. Received: exclude=\["dense_1"\]'),
    ],
)
def test_another_recipe_in_the_same_folder_is_refused_by_the_dial(done, dials, message):
    before = files(done)
    with pytest.raises(RecipeError, match=f"belongs to a run with {message}"):
        short(done, **dials)
    assert files(done) == before


def test_another_start_or_another_loss_is_refused(done, tmp_path):
    import keras

    def other(loss):
        model = plain()
        model.compile("adam", loss)
        return model

    ticket = short(None).tickets[1]
    with pytest.raises(RecipeError, match=r'start="\w{64}". Received: start='):
        short(done, start=ticket)
    losses = [keras.losses.SparseCategoricalCrossentropy(True), keras.losses.SparseCategoricalCrossentropy()]
    short(tmp_path / "own", model=other(losses[0]))
    with pytest.raises(RecipeError, match="loss"):
        short(tmp_path / "own", model=other(losses[1]))


def test_data_that_changed_on_disk_is_noticed(tmp_path, working_folder):
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "points.npz"
    x, y = data().train
    np.savez(file, x=np.repeat(x, 3, 0), y=np.tile(y, 3))
    dials = {"levels": 1, "rate": 0.5, "train": "1ep", "batch_size": 8, "jit": "off", "out": tmp_path / "run"}
    run = prune(plain, f"npz:{file}", **dials)
    assert run.head["dataset"] == "npz:points.npz"
    assert list(run.tickets[0].provenance["files"]) == ["points.npz"]
    prune(plain, f"npz:{file}", **dials)
    os.rename(file, tmp_path / "points.npz")  # the place does not matter
    prune(plain, f"npz:{tmp_path / 'points.npz'}", **dials)
    np.savez(tmp_path / "points.npz", x=np.repeat(x + 1, 3, 0), y=np.tile(y, 3))
    with pytest.raises(RecipeError, match='dataset sha256="'):
        prune(plain, f"npz:{tmp_path / 'points.npz'}", **dials)


def test_other_versions_are_refused_by_name_unless_accepted(done, monkeypatch):
    real = pruning_run.versions()
    monkeypatch.setattr(pruning_run, "versions", lambda: real | {"tensorflow": "9.9"})
    with pytest.raises(RecipeError, match=rf"begun with tensorflow {real['tensorflow']}. Received: 9.9"):
        short(done)
    assert len(short(done, accept_versions=True, levels=3).tickets) == 4


def test_a_full_disk_in_the_middle_keeps_what_was_finished(tmp_path, monkeypatch):
    real = os.fsync
    saved = []

    def full(handle):
        saved.append(handle)
        if len(list(tmp_path.glob("full/level-00.safetensors"))):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TicketError, match=r"level-0\d.safetensors.*No space left on device"):
        short(tmp_path / "full")
    monkeypatch.setattr(os, "fsync", real)
    assert "level-00.safetensors" in files(tmp_path / "full")
    short(tmp_path / "full")
    short(tmp_path / "whole")
    assert_equal_runs(tmp_path / "whole", tmp_path / "full")


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(PreparedRun, "trainer", property(lambda self: pytest.fail("trained")))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RecipeError, match=r"must be readable and writable. Received: File exists"):
        short(tmp_path / "file")


def test_a_damaged_ticket_is_named_and_nothing_is_overwritten(done):
    file = done / "level-01.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    before = files(done)
    with pytest.raises(TicketError, match=r"level-01.safetensors.* Remove this file and the levels after it"):
        short(done)
    assert files(done) == before
    file.unlink()  # as it says: the level, and those after it, are made again
    assert len(short(done).tickets) == 3


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"seed": 1},
            r'level-01.safetensors must be level 1 of this run, with seeds=.* Received: seeds=\{"data": 1',
        ),
        ({"train": "1ep"}, "level-01.safetensors must be level 1 of this run, with training="),
        ({"rate": 0.4}, "level-01.safetensors must be level 1 of this run, with method="),
    ],
    ids=["seed", "training", "rate"],
)
def test_a_valid_ticket_of_another_run_is_no_level_of_this_one(done, tmp_path, other, message):
    short(tmp_path / "other", **other)
    (tmp_path / "other" / "level-01.safetensors").replace(done / "level-01.safetensors")
    with pytest.raises(RecipeError, match=message):
        short(done)


def test_a_level_must_come_from_the_one_before(done):
    # Right in everything but its parent: another level 1 stands between.
    ticket = Ticket.load(done / "level-01.safetensors")
    ticket.replace(provenance=dict(ticket.provenance) | {"note": "edited"}).save(
        done / "level-01.safetensors"
    )
    with pytest.raises(RecipeError, match=r"level-02.safetensors must be level 2 of this run, with parents="):
        short(done)
