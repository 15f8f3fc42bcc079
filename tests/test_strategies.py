"""Where training runs: names and TF_CONFIG refused in time, and replicas that equal one device."""

import json

import pytest

from kerastickets.errors import RecipeError
from kerastickets.strategies import Cluster, check_strategy, is_chief


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
        (config(2, 0, "chief"), "task.type='chief', of which the cluster has none"),
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
    from kerastickets.layout import Layout

    assert Layout.of("mirrored") is Layout.of("mirrored")
    assert (Layout.of("mirrored").strategy, Layout.of("mirrored").describe()) == (
        None,
        {"replicas": 1, "workers": 1},
    )
