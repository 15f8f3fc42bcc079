"""Categories worked out by hand; `test_reachability_oracle.py` compares many random nets with networkx."""

import numpy as np
import pytest

from kerastickets import Data, Task, TicketError
from kerastickets.structure.reachability import Structure
from kerastickets.structure.task_separation import separation, separation_degree
from tests.helpers.structures import mlp, two_tasks


def test_each_category_once() -> None:
    # Hidden 0 is on a path; 1 leads nowhere; 2 comes from nowhere; 3 has no weight at all. Input 1 is dead.
    ticket = mlp([[1, 1, 0, 0], [0, 0, 0, 0]], [[1, 0], [0, 0], [0, 1], [0, 0]])
    facts = Structure.of(ticket).facts()
    assert facts["layers"] == [
        {"key": "dense/kernel", "active": 1, "inactive": 1, "zombie": 0, "pruned": 6},
        {"key": "dense_1/kernel", "active": 1, "inactive": 0, "zombie": 1, "pruned": 6},
    ]
    assert facts["totals"] == {"active": 2, "inactive": 1, "zombie": 1, "pruned": 12}
    assert facts["shares"] == {"active": 0.5, "inactive": 0.25, "zombie": 0.25}
    assert facts["neurons"] == [
        {"layer": "input", "active": 1, "inactive": 0, "zombie": 0, "isolated": 1},
        {"layer": "dense", "active": 1, "inactive": 1, "zombie": 1, "isolated": 1},
        {"layer": "dense_1", "active": 1, "inactive": 0, "zombie": 1, "isolated": 0},
    ]
    assert (facts["dead_inputs"], facts["effective"]) == (1, 2)


def test_an_output_without_weights_is_isolated_and_an_empty_layer_stops_everything() -> None:
    facts = Structure.of(mlp([[1, 1], [1, 1]], [[0, 0], [0, 0]], [[1, 0], [0, 0]])).facts()
    assert facts["totals"] == {"active": 0, "inactive": 4, "zombie": 1, "pruned": 7}
    assert facts["neurons"][-1] == {
        "layer": "dense_2",
        "active": 0,
        "inactive": 0,
        "zombie": 1,
        "isolated": 1,
    }


@pytest.mark.parametrize(
    ("hidden", "out", "category", "published", "subnetworks", "needed"),
    [
        ([[1, 0], [1, 1], [0, 1], [0, 1]], [[1, 0], [0, 1]], "interconnected", "interconnected", 1, 1),
        ([[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [0, 1]], "separated", "separated", 2, 0),
        ([[1, 0], [0, 0], [0, 1], [0, 1]], [[1, 0], [0, 1]], "degraded", "degraded", 2, 0),
        ([[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [0, 0]], "degraded", "degraded", 1, 0),
    ],
)
def test_categories_of_two_tasks(
    hidden: list[list[int]],
    out: list[list[int]],
    category: str,
    published: str,
    subnetworks: int,
    needed: int,
) -> None:
    facts = separation(Structure.of(mlp(hidden, out)), two_tasks())
    assert facts["category"] == category
    assert facts["as_published"] == published
    assert facts["subnetworks"] == subnetworks
    assert facts["separations_needed"] == needed
    assert facts["fragments"] == subnetworks - 2
    assert facts["tasks"] == ["a", "b"]


def test_coverage_is_the_product_of_both_sides() -> None:
    facts = separation(Structure.of(mlp([[1, 0], [0, 0], [0, 1], [0, 1]], [[1, 0], [0, 1]])), two_tasks())
    assert facts["coverage_inputs"] == [[0.5, 0.0], [0.0, 1.0]]
    assert facts["coverage_outputs"] == [[1.0, 0.0], [0.0, 1.0]]
    assert facts["coverage"] == [[0.5, 0.0], [0.0, 1.0]]


def test_outputs_alone_forgive_a_dead_input() -> None:
    structure = Structure.of(mlp([[1, 0], [0, 0], [0, 1], [0, 1]], [[1, 0], [0, 1]]))
    assert separation(structure, two_tasks(), "outputs")["category"] == "separated"
    assert separation(structure, two_tasks(), "inputs")["category"] == "degraded"


def test_a_task_in_two_pieces_is_separated_where_the_thesis_says_nothing_or_degraded() -> None:
    # Task a has two outputs, each with an input of its own.
    x, y = np.zeros((2, 3)), np.zeros((2, 3))
    tasks = {"a": Task((0, 1), (0, 1), "mse"), "b": Task((2,), (2,), "mse")}
    data = Data("three", (x, y), (x, y), (x, y), "mse", (), classes=None, tasks=tasks)
    eye = np.eye(3, dtype=int).tolist()
    structure = Structure.of(mlp(eye, eye))
    facts = separation(structure, data, "outputs")
    assert (facts["category"], facts["as_published"], facts["fragments"]) == ("separated", "undecided", 1)
    assert separation(structure, data)["as_published"] == "degraded"


def test_all_but_one_output_beside_another_task_is_not_separated() -> None:
    # As published, {half of a + b} and {the other half of a} are two subnetworks of two tasks: separated.
    x, y = np.zeros((2, 3)), np.zeros((2, 3))
    tasks = {"a": Task((0, 1), (0, 1), "mse"), "b": Task((2,), (2,), "mse")}
    data = Data("three", (x, y), (x, y), (x, y), "mse", (), classes=None, tasks=tasks)
    structure = Structure.of(mlp([[1, 0], [0, 1], [0, 1]], [[1, 0, 0], [0, 1, 1]]))
    facts = separation(structure, data, "outputs")
    assert (facts["category"], facts["as_published"]) == ("interconnected", "separated")
    assert facts["separations_needed"] == 1


def test_degree_of_separation_from_either_side() -> None:
    # Hidden 0 hears of task a alone; 1 of both; 2 of b alone, but speaks to both outputs.
    structure = Structure.of(mlp([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]], [[1, 0], [0, 1], [1, 1]]))
    facts = separation_degree(structure, two_tasks())
    layers = {row["layer"]: row for row in facts["layers"]}
    assert layers["dense"] == {"layer": "dense", "neurons": 3, "from_outputs": 2 / 3, "from_inputs": 2 / 3}
    # Input 0 reaches both outputs (by hidden 0 and 1), input 1 output 0 alone, inputs 2 and 3 both.
    assert layers["input"]["from_outputs"] == 1 / 4
    assert layers["dense_1"]["from_inputs"] == 0  # each output hears of both tasks
    assert facts["total"]["neurons"] == 9


def test_subnetworks_are_numbered_by_their_first_nodes() -> None:
    structure = Structure.of(mlp([[0, 1], [1, 0]], [[1, 0], [0, 1]]))
    assert structure.components.tolist() == [0, 1, 1, 0, 1, 0]


def test_a_layer_that_cannot_be_followed_is_named() -> None:
    ticket = mlp([[1, 1], [1, 1]])
    layers = [*ticket.architecture["config"]["layers"], {"class_name": "LSTM", "config": {"name": "memory"}}]
    config = dict(ticket.architecture["config"]) | {"layers": layers}
    strange = ticket.replace(architecture=dict(ticket.architecture) | {"config": config})
    with pytest.raises(TicketError, match="Received: 'memory', a LSTM"):
        Structure.of(strange)
    with pytest.raises(TicketError, match="without one"):
        Structure.of(ticket.replace(architecture={}))
