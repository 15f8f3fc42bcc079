"""What is opened, and what never is."""

import os
import socket
import threading

import pytest

from kerastickets.foundations.reading import is_regular, open_regular, reason, shown_name, user_path


def test_a_regular_file_is_opened_through_links_too(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"content")
    link.symlink_to(file)
    for path in (file, link, str(file)):
        assert is_regular(path)
        with open_regular(path) as opened:
            assert opened.read() == b"content"


def other_files(folder):
    """Paths that lead to no regular file, and what is said of them."""
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "broken").symlink_to("nowhere")
    (folder / "to-pipe").symlink_to("pipe")
    return {
        "pipe": "a named pipe",
        "to-pipe": "a named pipe",
        "folder": "a folder",
        "loop": "Too many levels",
        "broken": "No such file",
        "nowhere": "No such file",
        "/dev/zero": "a device",
        "a" * 300: "File name too long",
    }


def test_anything_else_is_refused_without_waiting(tmp_path):
    found = {}

    def work():
        for name in others:
            assert not is_regular(tmp_path / name)
            try:
                open_regular(tmp_path / name)
            except OSError as error:
                found[name] = reason(error)

    others = other_files(tmp_path)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it waits"
    assert found.keys() == others.keys()
    assert [name for name, text in others.items() if text not in found[name]] == []


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most 108 characters
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        with pytest.raises(OSError, match="it is a socket"):
            open_regular("socket")


def test_a_pipe_that_takes_the_place_of_a_file_is_refused_and_closed(tmp_path, monkeypatch):
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_bytes(b"")
    seen = os.stat(file)
    monkeypatch.setattr("kerastickets.foundations.reading.os.stat", lambda path: seen)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="it is a named pipe"):
        open_regular(pipe)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_no_file_can_have(name):
    assert not is_regular(name)
    with pytest.raises(ValueError, match=r"null|surrogates"):
        open_regular(name)


def test_the_home_folder_stands_for_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a.npz") == tmp_path / "a.npz"
    assert user_path("~no-such-user/a").as_posix() == "~no-such-user/a"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ümläut 漢字.png", "ümläut 漢字.png"),
        ("a\nb", r"'a\nb'"),
        ("\udcff", r"'\udcff'"),
        ("\u202e", r"'\u202e'"),
    ],
)
def test_names_are_shown(name, shown):
    assert shown_name(name) == shown
