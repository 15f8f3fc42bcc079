"""The pool: results, what work tells on the way, errors, and processes that end too early."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from kerastickets.errors import KerasTicketsError, RecipeError
from kerastickets.foundations.process_pool import Pool, worn_out
from kerastickets.foundations.termination import Terminated, asked, deferred


def work(task, emit):
    if task == "refuse":
        raise RecipeError("refused")
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    emit("half", task)
    import tensorflow as tf

    return task * 2, os.getpid(), tf.config.threading.get_intra_op_parallelism_threads()


@pytest.mark.slow
def test_tasks_are_done_in_few_processes_of_one_thread():
    events = []
    with Pool(work, 2) as pool:
        for task in (1, 2, 3):
            pool.submit(f"task {task}", task)
        while pool.open:
            events.append(pool.next())
    done = {event.key: event.content for event in events if event.kind == "done"}
    assert {key: content[0] for key, content in done.items()} == {"task 1": 2, "task 2": 4, "task 3": 6}
    assert sorted(event.content for event in events if event.kind == "half") == [1, 2, 3]
    assert len({content[1] for content in done.values()} - {os.getpid()}) in (1, 2)
    assert {content[2] for content in done.values()} == {1}


@pytest.fixture
def without_tensorflow(monkeypatch, tmp_path):
    """Processes find a stand-in for TensorFlow, which takes seconds to import and has no part in these tests."""
    (tmp_path / "tensorflow.py").write_text(
        "class config:\n    class threading:\n"
        "        set_intra_op_parallelism_threads = set_inter_op_parallelism_threads = staticmethod(lambda n: None)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)  # handed on to processes that are started


@pytest.mark.parametrize(
    ("task", "kind", "message"),
    [("refuse", RecipeError, "^refused$"), ("die", KerasTicketsError, "exit code -9.*Use fewer --jobs")],
)
def test_what_goes_wrong_in_a_process_is_raised_here(without_tensorflow, task, kind, message):
    with Pool(work, 1) as pool:
        pool.submit("key", task)
        with pytest.raises(kind, match=message):
            pool.next()


def test_no_process_is_started_before_it_is_needed():
    with Pool(work, 8) as pool:
        assert pool._workers == []


def once(task, emit):
    os.environ["ONCE"] = "done"
    return os.getpid()


def after_one():
    return "ONCE" in os.environ


def test_a_worn_process_gives_way_to_another(without_tensorflow):
    with Pool(once, 1, worn=after_one) as pool:
        for task in range(3):
            pool.submit(task, task)
        processes = {pool.next().content for _ in range(3)}
    assert len(processes) == 3


def test_a_process_is_worn_that_holds_a_quarter_of_the_memory(monkeypatch):
    pages = os.sysconf("SC_PHYS_PAGES")
    held = int(Path("/proc/self/statm").read_text().split()[1])
    for size, worn in ((pages, False), (4 * held // 2, True)):
        monkeypatch.setattr(os, "sysconf", lambda name, size=size: size)
        assert worn_out() is worn


def large(task, emit):
    """Die in the middle of a message that is larger than a pipe holds."""
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    emit("rows", b"x" * 500_000_000)


@pytest.mark.slow
def test_a_process_that_dies_within_a_message_is_no_hang(without_tensorflow):
    with Pool(large, 2) as pool:
        pool.submit("large", 0)
        until = time.monotonic() + 20
        while not pool._workers[0].process.exitcode and time.monotonic() < until:
            time.sleep(0.05)  # nobody reads, so the message cannot end
        with pytest.raises(KerasTicketsError, match="exit code -9"):
            pool.next()


def patient(task, emit):
    with deferred():
        emit("begun", None)
        while not asked():
            time.sleep(0.01)
        Path(task).write_text("kept")


def test_sigterm_lets_a_process_keep_its_state(without_tensorflow, tmp_path):
    with pytest.raises(Terminated), Pool(patient, 2) as pool:  # noqa: PT012
        for name in ("a", "b"):
            pool.submit(name, str(tmp_path / name))
        assert [pool.next().kind, pool.next().kind] == ["begun", "begun"]
        raise Terminated
    assert [(tmp_path / name).read_text() for name in ("a", "b")] == ["kept", "kept"]
