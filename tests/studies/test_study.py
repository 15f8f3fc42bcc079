"""Jobs and their cache: what makes two jobs one, and what a finished one leaves."""

import json
import multiprocessing
import time

import pytest

from kerastickets.errors import RecipeError
from kerastickets.studies import study
from kerastickets.studies.study import Cache, Job, Results, in_order
from kerastickets.testing import toy_ticket

A = Job("prune", {"seed": 0, "dials": {"levels": 2}})


def test_the_same_work_is_one_job_whatever_it_costs_and_however_its_options_are_ordered():
    assert Job("prune", {"dials": {"levels": 2}, "seed": 0}, cost=9.0) == A
    assert len({A, Job("prune", dict(A.options))}) == 1


@pytest.mark.parametrize(
    "other",
    [
        Job("train", A.options),
        Job("prune", {"seed": 1, "dials": {"levels": 2}}),
        Job("prune", A.options, (A.ticket(),)),
    ],
)
def test_other_work_is_another_job(other):
    assert other != A


def test_inputs_count_by_job_by_name_and_by_order():
    b = Job("prune", {"seed": 1})
    hashes = {
        Job("apply", {}, inputs).hash
        for inputs in [(A.ticket(), b.ticket()), (b.ticket(), A.ticket()), (A.ticket("level-01"), b.ticket())]
    }
    assert len(hashes) == 3


def test_another_version_of_a_library_is_another_job(monkeypatch):
    before = Job("prune", {}).hash
    monkeypatch.setattr(study, "_versions", lambda: {"keras": "0"})
    assert Job("prune", {}).hash != before


def test_what_jobs_need_comes_first_and_once():
    b = Job("apply", {}, (A.ticket("x"), A.ticket("y")))
    c = Job("train", {}, (b.ticket(),))
    assert in_order([c, b, c]) == [A, b, c]
    with pytest.raises(RecipeError, match=r"must return only jobs. Received: 'prune'"):
        in_order(["prune"])


def test_a_job_is_done_when_its_result_is_written(tmp_path):
    cache, results = Cache(tmp_path), Results(Cache(tmp_path))
    assert A not in results
    with pytest.raises(KeyError, match="not done"):
        results[A]
    with cache.held(A) as folder:
        toy_ticket().save(folder / "ticket.safetensors")
        assert A not in results
        assert cache.keep(A, {"kept": 3, "many": (1, 2)}) == {"kept": 3, "many": [1, 2]}
    assert A in results
    assert results[A] == {"kept": 3, "many": [1, 2]}
    assert results.ticket(A.ticket()) == toy_ticket()
    assert json.loads((cache.place(A) / "job.json").read_text())["verb"] == "prune"


def test_half_a_result_is_none(tmp_path):
    cache = Cache(tmp_path)
    cache.place(A).mkdir(parents=True)
    (cache.place(A) / "result.json").write_text('{"kept": ')
    assert cache.facts(A) is None


def hold(folder, event):
    with Cache(folder).held(A):
        event.set()
        time.sleep(1)
        Cache(folder).keep(A, {"by": "the other"})


@pytest.mark.slow
def test_who_wants_a_job_that_another_process_does_waits_for_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    event = context.Event()
    other = context.Process(target=hold, args=(tmp_path, event))
    other.start()
    assert event.wait(60)
    with Cache(tmp_path).held(A):
        assert Cache(tmp_path).facts(A) == {"by": "the other"}
    other.join()


def test_hashing_many_jobs_reads_the_versions_of_libraries_once(monkeypatch):
    # Each reading opens four files; a study asks for thousands of hashes whenever a job is done.
    calls = []
    study._versions.cache_clear()
    monkeypatch.setattr(study, "versions", lambda: calls.append(1) or {"keras": "0"})
    assert len({Job("prune", {"seed": seed}).hash for seed in range(50)}) == 50
    assert len(calls) == 1
    study._versions.cache_clear()
