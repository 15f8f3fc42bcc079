"""Edges with their weights, worked out by hand; that all edges are there, `test_reachability_oracle.py` says."""

import keras
import networkx as nx
import numpy as np
import pytest
from keras import layers

from kerastickets import Ticket, TicketError, save_graphml, to_networkx
from kerastickets.models.architecture import architecture
from kerastickets.models.variables import snapshot
from tests.helpers.structures import mlp


def numbered(*shape):
    return np.arange(-1, np.prod(shape) - 1, dtype="float32").reshape(shape)


def test_dense_weights_are_on_their_edges():
    # Input 1 is dead; hidden 1 comes from nowhere: its weight is a zombie's.
    plain = mlp([[1, 0], [0, 0]], [[1], [1]])
    init = {"dense/kernel": numbered(2, 2), "dense_1/kernel": numbered(2, 1)}
    init |= {"dense/bias": np.zeros(2, "float32"), "dense_1/bias": np.zeros(1, "float32")}
    final = {key: 10 * value * plain.masks.get(key, 1) for key, value in init.items()}
    ticket = plain.replace(snapshots={"init": init, "final": final})
    network = to_networkx(ticket)
    assert dict(network.nodes(data=True)) == {
        0: {"layer": "input", "index": 0, "category": "active"},
        1: {"layer": "input", "index": 1, "category": "isolated"},
        2: {"layer": "dense", "index": 0, "category": "active"},
        3: {"layer": "dense", "index": 1, "category": "zombie"},
        4: {"layer": "dense_1", "index": 0, "category": "active"},
    }
    of = {"weights": 1, "category": "active"}
    assert {(a, b): edge for a, b, edge in network.edges(data=True)} == {
        (0, 2): {**of, "key": "dense/kernel", "index": (0, 0), "init": -1, "final": -10},
        (2, 4): {**of, "key": "dense_1/kernel", "index": (0, 0), "init": -1, "final": -10},
        # A kept weight that is 0 is an edge as any other.
        (3, 4): {**of, "key": "dense_1/kernel", "index": (1, 0), "init": 0, "final": 0, "category": "zombie"},
    }
    active = to_networkx(ticket, "active")
    assert (sorted(active), sorted(active.edges)) == ([0, 2, 4], [(0, 2), (2, 4)])


def ticket(*some, shape, **masks):
    model = keras.Sequential([keras.Input(shape), *some])
    weights = {key: numbered(*value.shape) for key, value in snapshot(model).items()}
    kept = {key: np.ones(value.shape, bool) for key, value in weights.items() if key.endswith("kernel")}
    return Ticket(architecture(model), kept | masks, {"init": weights})


def edges(ticket):
    return {(a, b): edge for a, b, edge in to_networkx(ticket).edges(data=True)}


def test_channels_have_the_sum_of_absolute_values():
    # The kernel is (1, 2, 1, 2): -1, 0 at the first place and 1, 2 at the second.
    mask = np.array([[[[True, True]], [[True, False]]]])
    found = edges(ticket(layers.Conv2D(2, (1, 2)), shape=(2, 2, 1), **{"conv2d/kernel": mask}))
    of = {"key": "conv2d/kernel", "category": "active"}
    assert found == {
        (0, 1): {**of, "weights": 2, "index": (0, 0), "init_l1": 2.0},
        (0, 2): {**of, "weights": 1, "index": (0, 1), "init_l1": 0.0},
    }


def test_behind_flatten_an_edge_stands_for_several_places():
    found = edges(ticket(layers.Conv1D(1, 1), layers.Flatten(), layers.Dense(2), shape=(3, 1)))
    # The dense kernel is (3, 2): -1, 1, 3 to the first unit and 0, 2, 4 to the second.
    of = {"key": "dense/kernel", "category": "active", "weights": 3}
    assert found[1, 2] == {**of, "init_l1": 5.0}
    assert found[1, 3] == {**of, "init_l1": 6.0}
    assert found[0, 1] == {
        "key": "conv1d/kernel", "category": "active", "weights": 1, "index": (0, 0), "init": -1
    }  # fmt: skip


def test_places_in_kernels_of_parts():
    grouped = edges(ticket(layers.Conv1D(4, 1, groups=2), shape=(3, 4)))
    assert {pair: edge["index"] for pair, edge in grouped.items()} == {
        (0, 4): (0, 0), (0, 5): (0, 1), (1, 4): (1, 0), (1, 5): (1, 1),
        (2, 6): (0, 2), (2, 7): (0, 3), (3, 6): (1, 2), (3, 7): (1, 3),
    }  # fmt: skip
    assert grouped[2, 7]["init"] == numbered(1, 2, 4)[0, 0, 3]
    depthwise = edges(ticket(layers.DepthwiseConv1D(1, depth_multiplier=2), shape=(3, 2)))
    assert {pair: (edge["index"], edge["init"]) for pair, edge in depthwise.items()} == {
        (0, 2): ((0,), -1), (0, 3): ((1,), 0), (1, 4): ((2,), 1), (1, 5): ((3,), 2),
    }  # fmt: skip


def test_additions_have_no_weight():
    x = keras.Input((1,))
    model = keras.Model(x, layers.Add()([layers.Dense(1)(x), x]))
    network = to_networkx(Ticket(architecture(model), {}, {"init": snapshot(model)}))
    assert network.nodes[2] == {"layer": "add", "index": 0, "category": "active"}
    assert network.edges[0, 2] == network.edges[1, 2] == {"category": "active"}
    assert network.edges[0, 1]["weights"] == 1  # without a mask all are kept


def test_graphml_keeps_everything(tmp_path):
    small = mlp([[1, 0], [1, 1]], [[1], [1]])
    path = save_graphml(small, tmp_path / "new" / "a.graphml")
    back, network = nx.read_graphml(path, node_type=int), to_networkx(small)
    assert dict(back.nodes(data=True)) == dict(network.nodes(data=True))
    for *_, edge in network.edges(data=True):
        edge["index"] = ",".join(map(str, edge["index"]))
    assert list(back.edges(data=True)) == list(network.edges(data=True))
    before = path.read_bytes()
    assert save_graphml(small, path).read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["a.graphml"]
    save_graphml(small, path, part="active")
    with pytest.raises(TicketError, match="cannot be written"):
        save_graphml(small, path / "below")


def test_another_part_is_refused():
    with pytest.raises(TicketError, match="Received: part='pruned'"):
        to_networkx(mlp([[1]]), "pruned")
