"""The neurons and edges of tickets whose categories are worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from kerastickets import Task, TicketError
from kerastickets.structure.node_link import edge_count, network_figure, node_link
from kerastickets.structure.reachability import Structure
from tests.helpers.structures import APART, mlp, two_tasks

#: Inputs 0 and 1 and hidden 0 and 1 lead to output 0, inputs 2 and 3 and hidden 2 to output 1; hidden 3 is isolated.


def test_neurons_and_edges_by_hand():
    # Hidden 0 is on a path, 1 leads nowhere, 2 comes from nowhere, 3 has no weight at all.
    facts = node_link(mlp([[1, 1, 0, 0], [0, 0, 0, 0]], [[1, 0], [0, 0], [0, 1], [0, 0]]))
    assert [(row["layer"], row["index"], row["category"]) for row in facts["neurons"]] == [
        ("input", 0, "active"), ("input", 1, "isolated"),
        ("dense", 0, "active"), ("dense", 1, "inactive"), ("dense", 2, "zombie"), ("dense", 3, "isolated"),
        ("dense_1", 0, "active"), ("dense_1", 1, "zombie"),
    ]  # fmt: skip
    assert [(row["source"], row["target"], row["category"], row["key"]) for row in facts["edges"]] == [
        (0, 2, "active", "dense/kernel"),
        (0, 3, "inactive", "dense/kernel"),
        (2, 6, "active", "dense_1/kernel"),
        (4, 7, "zombie", "dense_1/kernel"),
    ]
    assert {(row["weight"], row["weights"]) for row in facts["edges"]} == {(1.0, 1)}
    assert facts["subnetworks"] == 1
    assert {row["group"] for row in facts["neurons"]} == {""}
    assert network_figure(facts).alt == (
        "2 active and 1 inactive and 1 zombie edges between 6 neurons of 3 layers; 2 neurons are isolated."
    )


def test_subnetworks_are_called_by_number_or_by_their_tasks():
    def groups(facts):
        return [row["group"] for row in facts["neurons"] if row["layer"] != "input"]

    assert groups(node_link(APART)) == [
        *["subnetwork 1"] * 2,
        "subnetwork 2",
        "",
        "subnetwork 1",
        "subnetwork 2",
    ]
    assert groups(node_link(APART, data=two_tasks())) == ["a", "a", "b", "", "a", "b"]
    assert node_link(APART)["subnetworks"] == 2


def test_a_subnetwork_of_both_tasks_and_a_second_of_one_say_so():
    both = mlp([[1], [0], [1], [0]], [[1, 1]])
    assert node_link(both, data=two_tasks())["neurons"][0]["group"] == "a and b"
    tasks = {"a": Task((0, 1, 2, 3), (0, 1), "mse")}
    data = replace(two_tasks(), tasks=tasks)
    assert {row["group"] for row in node_link(APART, data=data)["neurons"]} == {"a", "a (2)", ""}


def test_the_active_part_has_only_what_is_active():
    facts = node_link(mlp([[1, 1, 0, 0], [0, 0, 0, 0]], [[1, 0], [0, 0], [0, 1], [0, 0]]), "active")
    assert [row["category"] for row in facts["neurons"]] == ["active"] * 3
    assert [(row["source"], row["target"]) for row in facts["edges"]] == [(0, 1), (1, 2)]


def test_too_many_edges_are_refused():
    assert edge_count(Structure.of(APART)) == 8
    assert edge_count(Structure.of(APART), "active") == 8
    node_link(APART, below=9)
    with pytest.raises(TicketError, match=r"fewer than 8 edges. Received: 8\. Take a sparser ticket"):
        node_link(APART, below=8)


def test_a_weight_that_is_no_number_is_null():
    init = {key: np.full_like(value, np.nan) for key, value in APART.weights().items()}
    facts = node_link(APART.replace(snapshots={"init": init}))
    assert {row["weight"] for row in facts["edges"]} == {None}
