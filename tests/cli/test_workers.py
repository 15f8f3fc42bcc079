"""`--jobs`: seeds in processes of one thread each."""

import json

import pytest

from kerastickets import Ticket


@pytest.mark.slow
def test_the_number_of_processes_changes_no_number(kt, small, tmp_path):
    arguments = ("prune", *small, "--levels", 1, "--rate", 0.5, "--seeds", "0-2", "--json")
    results = {jobs: kt(*arguments, "--jobs", jobs, "--out", tmp_path / str(jobs)) for jobs in (1, 2)}
    assert [result.stderr.count("Run in ") for result in results.values()] == [3, 3]
    runs = {jobs: json.loads(result.stdout) for jobs, result in results.items()}
    assert [run["seed"] for run in runs[2]] == [0, 1, 2]
    digests = {jobs: [level["digest"] for run in runs[jobs] for level in run["levels"]] for jobs in runs}
    assert digests[1] == digests[2]
    ticket = Ticket.load(tmp_path / "2" / "seed-2" / "level-01.safetensors")
    assert ticket.provenance["environment"]["threads"] == 1


@pytest.mark.slow
def test_an_error_in_a_process_is_told(kt, small, tmp_path):
    result = kt(
        "prune", *small, "--target", 593, "--levels", 1, "--jobs", 1, "--out", tmp_path / "out", code=1
    )
    assert (
        result.stderr
        == "Error: target must be in [1, 592], the weights that are left. Received: target=593\n"
    )
