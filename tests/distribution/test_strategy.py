"""Where training runs: names and TF_CONFIG refused in time, and replicas that equal one device."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from kerastickets.distribution.strategy import Cluster, check_strategy, is_chief
from kerastickets.errors import RecipeError

#: Two processes that train together, and all that replicas are compared in: over a minute each.
SLOW_FIXTURES = {"mirrored_whole", "workers"}

ROOT = Path(__file__).resolve().parents[2]
EQUAL = ["momentum", "adam", "schedule", "averages", "own step", "stream"]


def config(workers=2, index=0, kind="worker", **more):
    addresses = [f"127.0.0.1:{5000 + n}" for n in range(workers)]
    return json.dumps({"cluster": {"worker": addresses, **more}, "task": {"type": kind, "index": index}})


def test_a_cluster_names_its_workers_and_its_chief():
    assert Cluster.of(config(2, 1)) == Cluster(("127.0.0.1:5000", "127.0.0.1:5001"), 1)
    assert [Cluster.of(config(3, n)).chief for n in range(3)] == [True, False, False]


def test_a_chief_that_is_named_comes_before_the_workers():
    chief = Cluster.of(config(1, 0, "chief", chief=["c:1"]))
    worker = Cluster.of(config(1, 0, "worker", chief=["c:1"]))
    assert chief.workers == worker.workers == ("c:1", "127.0.0.1:5000")
    assert (chief.index, worker.index) == (0, 1)


@pytest.mark.parametrize(
    ("text", "received"),
    [
        (None, "TF_CONFIG is not set"),
        ("", "TF_CONFIG is not set"),
        ("{", "text that is no JSON"),
        ("[]", "JSON without the objects `cluster` and `task`"),
        (json.dumps({"cluster": {"worker": ["a:1"]}}), "JSON without the objects"),
        (config(0), r"cluster.worker=\[\], not a list of host:port"),
        (config(ps=["p:1"]), "a cluster with 'ps'"),
        (config(chief=["a:1", "b:1"]), "more than one chief"),
        (config(chief=["127.0.0.1:5000"]), "an address that is listed twice"),
        (config(chief=["host"]), "not a list of host:port"),
        (config(chief=["host:0"]), "not a list of host:port"),
        (config(chief=[7]), "not a list of host:port"),
        (config(2, 2), "task.index=2 of 2 worker processes"),
        (config(2, -1), "task.index=-1 of 2"),
        (config(2, True), "task.index=True of 2"),
        (config(2, "0"), "task.index='0' of 2"),
        (config(2, 0, "chief"), "task.type='chief', but the cluster has no process of that type"),
        (config(2, 0, ["worker"]), r"task.type=\['worker'\]"),
    ],
)
def test_a_malformed_configuration_is_refused_with_an_example(text, received):
    with pytest.raises(RecipeError, match=received) as error:
        Cluster.of(text)
    assert '{"cluster": {"worker": [' in str(error.value)


def test_an_unknown_strategy_suggests_the_nearest():
    with pytest.raises(
        RecipeError, match=r"No strategy named 'miror'. Did you mean 'mirrored'\? Known: default, "
    ):
        check_strategy("miror")
    with pytest.raises(
        RecipeError, match=r"must be a name or a tf.distribute.Strategy. Received: strategy=2"
    ):
        check_strategy(2)


def test_multiworker_reads_the_environment(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(RecipeError, match="TF_CONFIG is not set"):
        check_strategy("multiworker")
    monkeypatch.setenv("TF_CONFIG", config(2, 1))
    check_strategy("multiworker")
    assert (is_chief("multiworker"), is_chief("mirrored"), is_chief("default")) == (False, True, True)


def test_mirrored_on_one_device_is_the_default():
    from kerastickets.distribution.devices import Layout

    assert Layout.of("mirrored") is Layout.of("mirrored")
    assert (Layout.of("mirrored").strategy, Layout.of("mirrored").describe()) == (
        None,
        {"replicas": 1, "workers": 1},
    )


def last_line(process, seconds):
    """The JSON that a child prints last, when it is done; a child that takes longer is ended."""
    try:
        out, errors = process.communicate(timeout=seconds)
    finally:
        process.kill()
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.splitlines()[-1])


def child(*arguments, **environment):
    command = [sys.executable, "-m", "tests.helpers.replicas", *map(str, arguments)]
    pipe, own = subprocess.PIPE, {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=own, cwd=ROOT)


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    """What two replicas of one process found; see `tests/helpers/replicas.py`."""
    return last_line(child("mirrored", tmp_path_factory.mktemp("mirrored")), 900)


@pytest.fixture(scope="module")
def mirrored_whole(tmp_path_factory):
    """The same with every setting that replicas are compared in."""
    return last_line(child("mirrored-whole", tmp_path_factory.mktemp("whole")), 900)


@pytest.mark.parametrize("name", EQUAL[:2])
def test_two_replicas_equal_one_device_after_20_steps(mirrored, name):
    check_equal(mirrored["equal"][name])


@pytest.mark.parametrize("name", EQUAL[2:])
def test_two_replicas_equal_one_device_with_every_other_setting(mirrored_whole, name):
    check_equal(mirrored_whole["equal"][name])


def check_equal(gaps):
    assert gaps["weights"] <= 1e-6
    assert gaps["metrics"] <= 1e-6
    assert (gaps["moved"], gaps["iterations"]) == (0, 20)


def test_what_keras_defines_by_replica_differs_and_still_keeps_zeros(mirrored_whole):
    assert mirrored_whole["replicas"] == 2
    for gaps in mirrored_whole["different"].values():
        assert gaps["weights"] > 1e-3
        assert gaps["moved"] == 0
    assert mirrored_whole["synchronised"]["weights"] <= 1e-6


def test_statistics_are_averaged_and_random_layers_have_a_stream_a_replica(mirrored_whole):
    first, second = mirrored_whole["apart"]["means"]
    assert first == second
    (first, steps), (second, others) = mirrored_whole["apart"]["states"]
    assert first != second
    assert steps == others == 20


def test_a_training_of_replicas_that_was_stopped_goes_on_to_the_same_bits(mirrored_whole):
    assert mirrored_whole["stopped"] == [True, True]


def test_evaluation_counts_every_example_once_also_where_splits_do_not_divide(mirrored_whole):
    assert mirrored_whole["uneven"] <= 1e-6


def test_a_batch_is_the_global_one_and_must_divide(mirrored):
    assert mirrored["odd batch"] == (
        "`batch_size` is the batch of all 2 replicas together and must be divisible by 2. "
        "Received: batch_size=7. Nearest: 8"
    )
    assert mirrored["small batch"].endswith("Received: batch_size=1. Nearest: 2")
    assert mirrored["odd stream"].startswith(
        "Every batch that the data makes must be divisible by the 2 replicas."
    )


def test_what_replicas_cannot_do_is_refused(mirrored):
    assert mirrored["jit"].startswith("`jit=on` needs strategy=default.")
    assert (
        "`gradient_accumulation_steps` needs strategy=default. Received: 2 with" in mirrored["accumulation"]
    )
    assert mirrored["server"].endswith("Received: a CentralStorageStrategy.")


def check_runs(runs):
    assert runs["kept"] == [56, 28, 14]
    assert runs["continued"] == runs["digests"]
    assert runs["zeros"]


def test_a_mirrored_run_continues_with_the_same_bytes(mirrored):
    check_runs(mirrored["runs"])
    environment = mirrored["runs"]["environment"]
    assert (environment["replicas"], environment["workers"], environment["xla"]) == (2, 1, False)


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """What two processes on this machine found, the chief first, and the folder that they shared."""
    folder = tmp_path_factory.mktemp("workers")
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    children = []
    try:
        for index in range(2):
            task = {"type": "worker", "index": index}
            described = json.dumps({"cluster": cluster, "task": task})
            children.append(child("worker", folder, TF_CONFIG=described))
        return [last_line(each, 900) for each in children], folder
    finally:
        for each in children:
            each.kill()
            each.wait()


def test_two_workers_equal_one_device_and_each_other_to_the_bit(workers):
    (chief, other), _ = workers
    assert (chief["replicas"], chief["chief"], other["chief"]) == (2, True, False)
    for name in ("momentum", "adam"):
        assert chief["equal"][name]["weights"] <= 1e-6
        assert chief["equal"][name]["metrics"] <= 1e-6
        assert chief["equal"][name]["moved"] == 0
        assert chief["equal"][name]["digest"] == other["equal"][name]["digest"]
    assert chief["noisy"]["digest"] == other["noisy"]["digest"]
    assert chief["uneven"] <= 1e-6


def test_workers_find_the_same_tickets_and_continue_with_the_same_bytes(workers):
    (chief, other), _ = workers
    check_runs(chief["runs"])
    assert {**other["runs"], "folder": "whole"} == chief["runs"]
    assert (chief["runs"]["environment"]["workers"], chief["runs"]["folder"]) == (2, "whole")


def test_only_the_chief_writes(workers):
    (_, other), folder = workers
    assert other["runs"]["folder"] is None
    assert list((folder / "home-1").iterdir()) == []
    rows = [json.loads(line) for line in (folder / "whole" / "metrics.jsonl").read_text().splitlines()]
    steps = [(row["level"], row["iteration"]) for row in rows]
    assert steps == [(level, step) for level in range(3) for step in (0, 5, 10)]


def test_workers_that_do_not_do_the_same_all_say_so(workers):
    (chief, other), _ = workers
    assert chief["not shared"] == other["not shared"]
    assert (
        "on worker 1 a different set of 3 finished levels (its --out must be the chief's"
        in chief["not shared"]
    )
    assert chief["another seed"] == other["another seed"]
    assert (
        "on worker 1 a different recipe (a setting, the model, the data, or a seed)" in chief["another seed"]
    )
    assert "belongs to a run with" in chief["refused on the chief"]
    assert other["refused on the chief"].startswith("The chief, worker 0, could not open the run's folder.")
