"""A run's folder: whose it is, what a kill leaves in it, and what the operating system may refuse."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerastickets.errors import KerasTicketsError, RecipeError, TicketError
from kerastickets.runs import folder as runfolder
from kerastickets.runs.folder import RunFolder, read_rows
from kerastickets.tickets.ticket import Ticket

RECIPE = {
    "model": "mlp:8",
    "dataset": {"name": "digits", "sha256": "ab"},
    "criterion": {"name": "magnitude", "options": {}},
    "method": {"rate": 0.5, "rewind_to": "0it"},
    "train": {"lr": 0.1},
    "levels": 2,
    "seeds": {"init": 0, "data": 0, "scoring": 0},
    "start": "cd",
}
VERSIONS = {"keras": "3.15.1", "numpy": "2.4.6"}


def hold(path, recipe=RECIPE, versions=VERSIONS, *, extendable=True, **options):
    return RunFolder(path).locked(recipe, versions, extendable=extendable, **options)


def ticket(level=0):
    weights = {"dense/kernel": np.full((2, 2), level, "float32")}
    return Ticket({}, {"dense/kernel": np.ones((2, 2), bool)}, {"init": weights}, {"level": level})


@pytest.fixture
def folder(tmp_path):
    """A run of two levels, finished."""
    with hold(tmp_path / "run") as made:
        for level in range(3):
            made.add_row({"level": level, "iteration": 0})
            made.add_row({"level": level, "iteration": 5})
            made.save(ticket(level), level)
    return tmp_path / "run"


def test_a_folder_is_made_with_its_parents_and_its_recipe(tmp_path):
    path = tmp_path / "a" / "b"
    with hold(path) as made:
        assert made.path == path
        assert made.tickets(9) == []
        assert made.keep_rows() == []
    assert json.loads((path / "run.json").read_text()) == {"recipe": RECIPE, "versions": VERSIONS}
    assert sorted(file.name for file in path.iterdir()) == ["metrics.jsonl", "run.json", "run.lock"]


def test_what_was_finished_is_found_again(folder):
    before = (folder / "run.json").read_bytes()
    with hold(folder) as made:
        assert made.tickets(2) == [ticket(0), ticket(1), ticket(2)]
        assert [row["level"] for row in made.keep_rows()] == [0, 0, 1, 1, 2, 2]
    assert (folder / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "mlp:9"}, 'model="mlp:8". Received: model="mlp:9"'),
        (
            {"dataset": {"name": "digits", "sha256": "ff"}},
            'dataset sha256="ab". Received: dataset sha256="ff"',
        ),
        (
            {"criterion": {"name": "snip", "options": {}}},
            'criterion name="magnitude". Received: criterion name="snip"',
        ),
        ({"criterion": {"name": "magnitude", "options": {"batches": 2}}}, "criterion options batches=null. "),
        ({"method": {"rate": 0.2, "rewind_to": "0it"}}, "with rate=0.5. Received: rate=0.2"),
        ({"method": {"rate": 0.5, "rewind_to": "9it"}}, 'rewind_to="0it". Received: rewind_to="9it"'),
        ({"train": {"lr": 0.2}}, "with lr=0.1. Received: lr=0.2"),
        ({"train": {}}, "with lr=0.1. Received: lr=null"),
        ({"seeds": {"init": 1, "data": 0, "scoring": 0}}, "seeds init=0. Received: seeds init=1"),
        ({"start": "x" * 500}, 'start="cd". Received: start="xxx'),
    ],
)
def test_another_recipe_is_refused_by_the_dial_that_differs(folder, change, message):
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "run.lock"}
    with pytest.raises(RecipeError) as caught, hold(folder, RECIPE | change):
        pass
    assert message in str(caught.value)
    assert str(caught.value).endswith("Repeat that command, or give another --out.")
    assert len(str(caught.value)) < 600
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "run.lock"} == before


@pytest.mark.parametrize(("levels", "reported", "recorded"), [(5, 3, 5), (2, 3, 2), (1, 2, 2), (0, 1, 2)])
def test_more_levels_extend_and_fewer_report_what_is_asked(folder, levels, reported, recorded):
    with hold(folder, RECIPE | {"levels": levels}) as made:
        assert len(made.tickets(levels)) == reported
        assert len(made.keep_rows()) == 6  # rows of finished levels stay, asked for or not
    assert json.loads((folder / "run.json").read_text())["recipe"]["levels"] == recorded


@pytest.mark.parametrize("levels", [1, 3])
def test_a_run_whose_last_level_is_special_cannot_change_its_length(folder, levels):
    with (
        pytest.raises(
            RecipeError, match=rf"levels=2. Received: levels={levels} \(only a run that prunes by a rate"
        ),
        hold(folder, RECIPE | {"levels": levels}, extendable=False),
    ):
        pass


def test_other_versions_are_refused_by_name_unless_accepted(folder):
    other = VERSIONS | {"keras": "3.16.0"}
    with (
        pytest.raises(RecipeError, match=r"begun with keras 3.15.1. Received: 3.16.0.*--accept-versions"),
        hold(folder, versions=other),
    ):
        pass
    with hold(folder, versions=other, accept_versions=True) as made:
        assert len(made.tickets(2)) == 3
    with hold(folder, versions=other):
        pass  # the run is of these versions now


def test_a_level_that_is_missing_ends_what_is_finished(folder):
    (folder / "level-01.safetensors").unlink()
    with hold(folder) as made:
        assert made.finished == 1
        assert made.tickets(2) == [ticket(0)]
        assert [row["level"] for row in made.keep_rows()] == [0, 0]
    assert len(read_rows(folder / "metrics.jsonl")) == 2


def test_a_ticket_that_is_damaged_is_named(folder):
    file = folder / "level-01.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with hold(folder) as made, pytest.raises(TicketError, match=r"level-01.safetensors"):
        made.tickets(2)


def test_a_hundred_levels_stay_in_order(tmp_path):
    with hold(tmp_path) as made:
        for level in range(102):
            made.save(ticket(level), level)
        assert [one.provenance["level"] for one in made.tickets(200)] == list(range(102))


# What a kill leaves


def test_unfinished_rows_and_half_a_line_are_dropped(folder):
    (folder / "level-02.safetensors").unlink()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(
            '{"level": 2, "iteration": 10}\n\x00\x00\n[1]\n{"iteration": 3}\n{"level": "x"}\n{"level": 1, "itera'
        )
    with hold(folder) as made:
        rows = made.keep_rows()
        assert rows == [{"level": n, "iteration": i} for n in (0, 1) for i in (0, 5)]
        made.add_row({"level": 2, "iteration": 0})
    text = (folder / "metrics.jsonl").read_text()
    assert [json.loads(line) for line in text.splitlines()] == [*rows, {"level": 2, "iteration": 0}]


def test_bytes_that_are_no_text_do_not_hide_the_rows(folder):
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b"\xff\xfe{\n")
    assert len(read_rows(folder / "metrics.jsonl")) == 6


def test_half_written_files_are_removed(folder):
    for name in ("level-03.safetensors.part", "tmpabc.part"):
        (folder / name).write_text("half")
    with hold(folder):
        assert list(folder.glob("*.part")) == []
    assert len(list(folder.glob("level-*"))) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"recipe": {}}',
        '{"recipe": {"levels": "2"}, "versions": {}}',
        '{"recipe": {"levels": 2}, "versions": []}',
        '{"recipe": 5, "versions": {}}',
    ],
)
def test_a_damaged_recipe_is_named(folder, text):
    (folder / "run.json").write_text(text)
    with (
        pytest.raises(
            RecipeError, match=r"run.json must be what `kt prune` wrote. Received: .*another --out"
        ),
        hold(folder),
    ):
        pass
    assert (folder / "run.json").read_text() == text


def test_a_recipe_that_is_a_folder_or_no_text_is_named(folder):
    (folder / "run.json").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"run.json must be what"), hold(folder):
        pass
    (folder / "run.json").unlink()
    (folder / "run.json").mkdir()
    with pytest.raises(RecipeError, match=r"run.json must be what"), hold(folder):
        pass


@pytest.mark.parametrize("levels", [1, 3])
def test_tickets_without_a_recipe_belong_to_nobody(folder, levels):
    (folder / "run.json").unlink()
    for level in range(levels, 3):
        (folder / f"level-{level:02d}.safetensors").unlink()
    with pytest.raises(RecipeError, match=r"holds tickets but no run.json"), hold(folder):
        pass


# Two at once

_HOLDER = """
import sys
from kerastickets.runs.folder import RunFolder
sys.argv = ["kt", "prune", "--levels", "7"]
with RunFolder({path!r}).locked({recipe!r}, {versions!r}, extendable=True):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_is_refused_by_the_name_of_the_firsts_command(folder):
    script = _HOLDER.format(path=str(folder), recipe=RECIPE, versions=VERSIONS)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout.readline() == "held\n"
        expected = rf"in use by another command: kt prune --levels 7 \(process {other.pid}\)"
        for _ in range(2):  # being refused does not release it
            with pytest.raises(RecipeError, match=expected), hold(folder):
                pass
        other.kill()
        other.wait()
    with hold(folder) as made:  # the operating system released it
        assert len(made.tickets(2)) == 3


def test_the_lock_is_released_after_an_error(folder):
    with pytest.raises(ValueError, match="mine"), hold(folder):
        raise ValueError("mine")
    with hold(folder):
        pass


# What the operating system refuses


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "run").write_text("mine")
    with (
        pytest.raises(RecipeError, match=r"run must be readable and writable. Received: File exists"),
        hold(tmp_path / "run"),
    ):
        pass
    with pytest.raises(RecipeError, match=r"Received: Not a directory"), hold(tmp_path / "run" / "below"):
        pass
    assert (tmp_path / "run").read_text() == "mine"


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (Path, "mkdir"),
        (os, "open"),
        (os, "fsync"),
        (os, "replace"),
        (os, "write"),
    ],
)
def test_a_full_disk_is_one_named_error_and_loses_nothing(folder, monkeypatch, target, name):
    (folder / "stale.part").touch()
    before = {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.suffix in (".json", ".jsonl", ".safetensors")
    }
    with monkeypatch.context() as patch:
        patch.setattr(target, name, full, raising=False)
        with (
            pytest.raises(RecipeError, match=r"Received: No space left on device. What was finished is kept"),
            hold(folder, RECIPE | {"levels": 9}) as made,
        ):
            made.keep_rows()
    after = {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.suffix in (".json", ".jsonl", ".safetensors")
    }
    assert after.items() >= (before.items() - {("run.json", before["run.json"])})
    assert json.loads(after["run.json"])["recipe"]["levels"] in (2, 9)
    with hold(folder) as made:
        assert len(made.tickets(2)) == 3
        assert len(made.keep_rows()) == 6
    assert list(folder.glob("*.part")) == []


def test_a_row_that_cannot_be_written_is_named(folder, monkeypatch):
    with hold(folder) as made, monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(RecipeError, match=r"metrics.jsonl must be readable and writable"):
            made.add_row({"level": 2})


def test_a_lock_that_the_file_system_does_not_know_is_named(folder, monkeypatch):
    def none(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(runfolder.fcntl, "flock", none)
    with pytest.raises(RecipeError, match=r"run.lock must be .* Received: No locks available"), hold(folder):
        pass


def test_every_refusal_is_of_one_class(folder):
    assert issubclass(RecipeError, KerasTicketsError)
    assert read_rows(folder / "nothing.jsonl") == []


def test_a_folder_that_is_removed_meanwhile_ends_the_run(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(RecipeError, match="was removed or replaced meanwhile"), hold(path) as made:  # noqa: PT012
        shutil.rmtree(path)
        with pytest.raises(RecipeError, match="was removed or replaced meanwhile"):
            made.add_row({"level": 0, "iteration": 0})
        with pytest.raises(RecipeError, match="was removed or replaced meanwhile"):
            made.save(ticket(), 0)
        assert not path.exists()


@pytest.mark.parametrize("emptied", [False, True])
def test_a_run_that_another_command_began_again_is_left_alone(tmp_path, emptied):
    path = tmp_path / "run"
    with pytest.raises(RecipeError, match="was removed or replaced meanwhile"), hold(path) as first:  # noqa: PT012
        first.add_row({"level": 0, "iteration": 0})
        if emptied:
            for file in path.iterdir():
                file.unlink()
        else:
            shutil.rmtree(path)
        with hold(path) as second:
            second.add_row({"level": 0, "iteration": 1})
            second.save(ticket(), 0)
            before = {file.name: file.read_bytes() for file in path.iterdir()}
            for write in (
                lambda: first.add_row({"level": 0, "iteration": 2}),
                lambda: first.save(ticket(1), 0),
                first.keep_rows,
            ):
                with pytest.raises(RecipeError, match="was removed or replaced meanwhile"):
                    write()
            assert {file.name: file.read_bytes() for file in path.iterdir()} == before


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "pipe"])
def test_a_lock_that_is_no_file_of_its_own_is_refused_and_not_written_to(tmp_path, kind):
    folder, other = tmp_path / "run", tmp_path / "other"
    folder.mkdir()
    if kind != "dangling link":
        other.write_text("precious")
    if kind == "pipe":
        os.mkfifo(folder / "run.lock")
    elif kind == "hard link":
        os.link(other, folder / "run.lock")
    else:
        (folder / "run.lock").symlink_to(other)
    with pytest.raises(RecipeError, match=r"run\.lock must be a file of its own"), hold(folder):
        pass
    assert not other.exists() if kind == "dangling link" else other.read_text() == "precious"
