"""Files are written whole or not at all, whatever is in the way and whoever is killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerastickets.foundations.files import clear_parts, write_text, write_whole

KILLED = """
import os, sys
from pathlib import Path
from kerastickets.foundations.files import write_whole
write_whole(Path(sys.argv[1]), b"half", lambda: os._exit(9))
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def killed(path):
    assert subprocess.run([sys.executable, "-c", KILLED, path], check=False).returncode == 9


def test_the_next_write_removes_what_a_killed_process_left(tmp_path):
    path = tmp_path / "a"
    killed(path)
    killed(path)
    assert len(names(tmp_path)) == 1
    write_whole(path, b"whole")
    assert (names(tmp_path), path.read_bytes()) == (["a"], b"whole")


def test_clear_parts_leaves_what_is_being_written(tmp_path):
    killed(tmp_path / "a")
    (tmp_path / ".mine.part").mkdir()
    write_whole(tmp_path / "b", b"whole", lambda: clear_parts(tmp_path))
    assert names(tmp_path) == [".mine.part", "b"]


def test_a_refusal_at_the_last_moment_changes_nothing(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_whole(path, b"new", lambda: 1 / 0)
    assert (names(tmp_path), path.read_text()) == (["a"], "old")


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a"
    write_whole(path, b"first", lambda: write_whole(path, b"second"))
    assert (names(tmp_path), path.read_bytes()) == (["a"], b"first")


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_nothing_in_the_place_of_the_temporary_file_is_written_to(tmp_path, kind):
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    killed(folder / "a")
    part = next(folder.iterdir())
    part.unlink()
    other.write_text("precious")
    if kind == "link":
        part.symlink_to(other)
    elif kind == "hard link":
        os.link(other, part)
    elif kind == "pipe":
        os.mkfifo(part)
    else:
        part.mkdir()
    write_whole(folder / "a", b"whole")
    assert (other.read_text(), (folder / "a").read_bytes()) == ("precious", b"whole")


def test_halves_of_characters_are_written_as_escapes(tmp_path):
    write_text(tmp_path / "a", "half \ud800")
    assert (tmp_path / "a").read_text() == "half \\ud800"


def test_a_folder_that_is_replaced_meanwhile_is_not_written_to(tmp_path):
    folder = tmp_path / "folder"

    def replaced() -> None:
        folder.rename(tmp_path / "away")
        folder.mkdir()

    write_whole(folder / "a", b"whole", replaced)
    assert names(folder) == []
    assert (tmp_path / "away" / "a").read_bytes() == b"whole"


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_whole(Path("a"), b"x" * 5_000_000)
    assert Path("a").stat().st_size == 5_000_000
