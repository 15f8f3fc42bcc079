"""Networks as figures: values, places, files' data and what a page takes."""

import json

import pytest

from kerastickets.errors import RecipeError
from kerastickets.figures.chart import figure
from kerastickets.figures.network import Edge, Network, Neuron
from tests.helpers.networks import EDGES, NET, NEURONS


def test_facts_come_back_from_json():
    facts = json.loads(json.dumps(NET.facts(), allow_nan=False))
    assert figure(facts) == NET


def test_active_groups_get_colours_that_are_no_other_category():
    assert NET.layers == ["input", "dense", "out"]
    assert NET.kinds() == {"active, b": 0, "active, a": 3, "inactive": 1, "zombie": 2, "isolated": 6}
    assert [*map(NET.kind, EDGES)] == ["active, b", "inactive", "zombie", "active, b"]


def test_more_groups_than_colours_share_the_last():
    many = Network("n", "N", tuple(Neuron("a", n, "active", str(n)) for n in range(7)), (), "Seven.")
    assert [*many.kinds().values()] == [0, 3, 4, 5, 7, 7, 7]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Neuron("a", 0, "dead"), "one of active, inactive, zombie, isolated. Received: 'dead'"),
        (lambda: Edge(0, 1, "isolated"), "one of active, inactive, zombie. Received: 'isolated'"),
        (lambda: Edge(0, 1, "active", "k", "high"), "must be numbers. Received: 'high' in 'k'"),
        (
            lambda: Network("n", "N", NEURONS, (Edge(0, 6, "active"),), ""),
            "the 6 neurons, counted from 0. Received: 6",
        ),
        (lambda: figure({**NET.facts(), "edges": [{"source": 0}]}), "The edge must have source"),
        (lambda: figure({**NET.facts(), "neurons": 3}), "The network must have name"),
    ],
)
def test_others_are_refused(make, said):
    with pytest.raises(RecipeError, match=said.replace("(", r"\(")):
        make()
