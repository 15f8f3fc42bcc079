"""A file or folder appears whole or not at all, whatever ends the process that makes it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerastickets.errors import ExportError, RecipeError, TicketError
from kerastickets.foundations.staging import check_target, exchange, published, staged


def make(path, text, folder=False, force=True):
    with staged(path, force) as stage:
        made = stage / path.name
        if folder:
            made.mkdir()
        file = made / text if folder else made
        file.write_text(text)
        file.chmod(0o600)


def content(path):
    return sorted(one.name for one in path.iterdir()) if path.is_dir() else path.read_text()


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_files_and_folders_replace_each_other(tmp_path, before, after):
    path = tmp_path / "a"
    make(path, "old", before)
    make(path, "new", after)
    assert content(path) == (["new"] if after else "new")
    assert (path / "new" if after else path).stat().st_mode & 0o777 == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_move_that_fails_leaves_the_old_one(tmp_path, monkeypatch, folder):
    path = tmp_path / "a"
    make(path, "old", folder)
    move = os.rename if folder else os.replace

    def failing(source, target):
        if Path(source).parent.name == ".a.part":
            raise KeyboardInterrupt
        move(source, target)

    monkeypatch.setattr(os, move.__name__, failing)
    monkeypatch.setattr("kerastickets.foundations.staging.exchange", lambda one, other: False)
    with pytest.raises(KeyboardInterrupt):
        make(path, "new", folder)
    assert content(path) == (["old"] if folder else "old")
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


KILLED = """
import os, sys
from pathlib import Path
from kerastickets.foundations.staging import staged
with staged(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("half")
    os._exit(9)
"""


def test_what_a_killed_process_left_is_taken_away(tmp_path):
    path = tmp_path / "a"
    assert subprocess.run([sys.executable, "-c", KILLED, path], check=False).returncode == 9
    assert [one.name for one in tmp_path.iterdir()] == [".a.part"]
    with staged(path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "a").write_text("whole")
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("arrived", [False, True])
def test_a_process_killed_between_two_moves_loses_no_folder(tmp_path, arrived):
    path = tmp_path / "a"
    make(tmp_path / ".a.old", "old", folder=True)
    if arrived:
        make(path, "new", folder=True)
    else:
        with pytest.raises(TicketError, match="which exists"):
            check_target(path, "")
    with staged(path, force=True) as stage:
        assert content(path) == (["new"] if arrived else ["old"])
        (stage / "a").write_text("newer")
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_exchanged_in_one_step(tmp_path, monkeypatch):
    """At no moment is nothing there, however often the process is killed between two calls."""
    path = tmp_path / "a"
    make(path, "old", folder=True)
    monkeypatch.setattr("os.rename", lambda *paths: pytest.fail("the old folder was moved away"))
    if not exchange(path, path):
        pytest.skip("this file system cannot exchange folders")
    make(path, "new", folder=True, force=True)
    assert content(path) == ["new"]
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_without_exchange_the_old_folder_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr("kerastickets.foundations.staging.exchange", lambda one, other: False)
    path = tmp_path / "a"
    make(path, "old", folder=True)
    make(path, "new", folder=True, force=True)
    assert content(path) == ["new"]
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_files_that_belong_together_are_published_together(tmp_path):
    for name in ("rows", "mark", "mine", "deep/rows"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    with pytest.raises(ZeroDivisionError), published(tmp_path, "mark") as folder:  # noqa: PT012
        (folder / "rows").write_text("new")
        1 / 0  # noqa: B018
    assert (tmp_path / "rows").read_text() == (tmp_path / "mark").read_text() == "old"
    with published(tmp_path, "mark") as folder:
        (folder / "deep").mkdir()
        for name in ("rows", "mark", "deep/rows", "zero"):
            (folder / name).write_text("new")
        assert (tmp_path / "mark").read_text() == "old"
    texts = {
        str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert texts == {"rows": "new", "mark": "new", "mine": "old", "deep/rows": "new", "zero": "new"}


def test_the_mark_is_away_while_files_move(tmp_path, monkeypatch):
    (tmp_path / "mark").write_text("old")
    moved, replace = [], os.replace

    def watched(one, other):
        moved.append((Path(other).name, (tmp_path / "mark").exists()))
        replace(one, other)

    monkeypatch.setattr("os.replace", watched)
    with published(tmp_path, "mark") as folder:
        for name in ("a", "mark", "z"):
            (folder / name).write_text("new")
    assert moved == [("a", False), ("z", False), ("mark", False)]


@pytest.mark.parametrize("kind", ["link", "dangling link", "file", "pipe"])
def test_what_is_in_the_place_of_the_temporary_folder_is_not_followed(tmp_path, kind):
    precious, part = tmp_path / "precious", tmp_path / "out" / ".a.part"
    part.parent.mkdir()
    if kind != "dangling link":
        precious.mkdir()
        (precious / "file").write_text("mine")
    if kind == "file":
        part.write_text("")
    elif kind == "pipe":
        os.mkfifo(part)
    else:
        part.symlink_to(precious)
    make(tmp_path / "out" / "a", "whole")
    assert kind == "dangling link" or (precious / "file").read_text() == "mine"
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["a"]


def test_one_at_a_time(tmp_path):
    path = tmp_path / "a"
    with staged(path) as folder:
        with pytest.raises(TicketError, match="one command at a time"):
            make(path, "second")
        (folder / "a").write_text("first")
    assert path.read_text() == "first"


def test_what_came_meanwhile_stays(tmp_path):
    path = tmp_path / "a"

    def slow():
        with staged(path) as folder:
            (folder / "a").write_text("mine")
            path.write_text("theirs")

    with pytest.raises(TicketError, match="which exists"):
        slow()
    assert content(path) == "theirs"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"a must be writable\. Received: File exists"):
        make(tmp_path / "file" / "a", "text")


@pytest.mark.parametrize(
    ("path", "suffix", "error", "said"),
    [
        ("a.keras", ".tflite", RecipeError, r"must end in \.tflite\. Received: a\.keras\. Use a\.tflite"),
        (".keras", ".keras", RecipeError, "a name of its own"),
        (".", "", RecipeError, "a name of its own"),
        ("..", "", RecipeError, "a name of its own"),
        ("../here", "", TicketError, "must not remove anything else"),
        ("~", "", TicketError, "must not remove anything else"),
    ],
)
def test_targets_that_are_refused(tmp_path, monkeypatch, path, suffix, error, said):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(error, match=said):
        check_target(Path(path).expanduser(), suffix, force=True)


def test_a_link_to_nothing_exists(tmp_path):
    (tmp_path / "a").symlink_to("nowhere")
    with pytest.raises(TicketError, match="which exists"):
        check_target(tmp_path / "a", "")
